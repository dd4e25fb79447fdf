//! When clocks really fall: a Kalman filter over their arrivals.
//!
//! State: the time of the newest clock and the time from clock to clock. A clock that comes near where it is expected
//! corrects both. Clocks that come elsewhere (late in a bunch, lost, too many) correct nothing: the pulse goes on as
//! it was until the last [`FIT`] of them are regular in themselves, and then tell which of three things has happened.
//!
//! | they are | then |
//! |---|---|
//! | at the old tempo, whole clocks off | clocks were lost, or came twice: they are counted in or out, the pulse goes on |
//! | at another tempo | the master has changed it: the pulse begins anew from them |
//! | at the old tempo, elsewhere | the master has moved its clock: the pulse begins anew from them |

use super::seconds;
use crate::time::SessionTime;

/// This many clocks begin a pulse: a third of a beat.
const FIT: usize = 8;
const FIT_F: f64 = 8.0;
/// They are numbered from their middle; this is the sum of the squares.
const NUMBERS: [f64; FIT] = [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5];
const SPREAD: f64 = 42.0;

/// After this many clocks in succession that came elsewhere the pulse is given up.
const MOST_STRAYS: u32 = 48;

/// Seconds from clock to clock at 400 and 20 bpm, with a tenth to spare.
const SHORTEST: f64 = 2.5 / 440.0;
const LONGEST: f64 = 2.5 / 18.0;

/// Seconds by which arrivals differ from the truth: between a good driver's and a bad USB cable's, and what is assumed
/// of the first clocks.
const LEAST_NOISE: f64 = 0.0003;
const MOST_NOISE: f64 = 0.006;

/// How far a tempo is expected to wander in a second, as a share of itself and a standard deviation. Masters are steady;
/// a tempo that changes faster shows as a bias.
const WANDER: f64 = 0.0015;

/// Errors are averaged over about this many clocks. If the average exceeds the noise, three times what chance gives,
/// the tempo is changing, and the pulse is held to be less sure of it.
const BIAS_CLOCKS: f64 = 6.0;

/// A clock that comes this many seconds early or late is never taken for jitter, unless the clocks are slow.
const WORST_JITTER: f64 = 0.012;

/// A tempo is known to this share of itself when a song starts again after a stop.
const AFTER_A_STOP: f64 = 0.05;

/// The pulse of a clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    /// The last arrivals in seconds, the newest at `newest`; `heard` of them are filled.
    arrivals: [f64; FIT],
    newest: usize,
    heard: usize,
    lock: Option<Lock>,
    /// Standard deviation of arrivals around the pulse, in seconds.
    noise: f64,
    /// Mean of the last errors, in seconds: near nothing, unless the tempo changes faster than expected.
    bias: f64,
    /// Clocks in succession that came elsewhere.
    strays: u32,
}

/// Where the pulse is now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest {
    /// When the newest clock really fell, in seconds.
    pub(super) time: f64,
    /// Seconds from clock to clock.
    pub(super) period: f64,
    /// Standard deviation of `time`, in seconds.
    pub(super) uncertainty: f64,
}

/// The state of the filter.
#[derive(Clone, Copy, Debug)]
struct Lock {
    /// When the newest clock really fell, in seconds.
    time: f64,
    /// Seconds from clock to clock.
    period: f64,
    /// Variances of the two and their covariance, in seconds squared.
    time_variance: f64,
    covariance: f64,
    period_variance: f64,
}

/// A straight line through the last arrivals.
struct Fit {
    /// At the newest, in seconds.
    time: f64,
    /// Seconds from clock to clock.
    period: f64,
    /// Root of the mean square of what the line leaves, in seconds.
    residual: f64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { arrivals: [0.0; FIT], newest: 0, heard: 0, lock: None, noise: MOST_NOISE / 2.0, bias: 0.0, strays: 0 }
    }
}

impl Pulse {
    /// The newest clock; `None` while too little is known.
    pub(super) fn newest(&self) -> Option<Newest> {
        self.lock.map(|Lock { time, period, time_variance, .. }| Newest {
            time,
            period,
            uncertainty: time_variance.sqrt(),
        })
    }

    /// Whether the newest clock came where it was expected.
    pub(super) fn is_steady(&self) -> bool {
        self.strays == 0
    }

    /// Takes in a clock. Gives back how many clocks must have been lost before it; negative when there were too many.
    pub(super) fn hear(&mut self, at: SessionTime) -> f64 {
        let at = seconds(at);
        self.keep(at);
        let Some(mut lock) = self.lock else {
            self.lock = self.fit().map(|fit| self.lock_on(&fit));
            return 0.0;
        };
        lock.step();
        let error = at - lock.time;
        let mut lost = 0.0;
        // A third of a clock, or what jitter makes at its worst.
        if error.abs() <= (0.3 * lock.period).max((4.0 * self.noise).min(WORST_JITTER)) {
            self.strays = 0;
            self.bias += (error - self.bias) / BIAS_CLOCKS;
            if self.bias.abs() > self.noise {
                lock.period_variance = lock.period_variance.max((self.bias / BIAS_CLOCKS).powi(2));
            } else {
                // Slow, so that a single late clock does not make the pulse stiff.
                let variance = self.noise * self.noise;
                self.noise = (variance + (error * error - variance) / 32.0).sqrt().clamp(LEAST_NOISE, MOST_NOISE);
            }
            lock.correct(error, self.noise);
        } else {
            self.strays += 1;
            // Jitter may have become worse.
            self.noise = (1.03 * self.noise).min(MOST_NOISE);
            if let Some(fit) = self.fit().filter(|_| usize::try_from(self.strays).is_ok_and(|strays| strays >= FIT)) {
                lost = self.whole_clocks_lost(&lock, &fit);
                lock = self.lock_on(&fit);
            }
        }
        self.lock = (self.strays < MOST_STRAYS).then_some(lock);
        lost
    }

    /// The clock that comes now is the first after a stop: the tempo may be the old one, the moment is a new one.
    pub(super) fn restart(&mut self, at: SessionTime) {
        self.heard = 0;
        self.strays = 0;
        self.bias = 0.0;
        let at = seconds(at);
        self.keep(at);
        if let Some(lock) = &mut self.lock {
            lock.time = at;
            lock.time_variance = self.noise * self.noise;
            lock.covariance = 0.0;
            lock.period_variance = lock.period_variance.max((AFTER_A_STOP * lock.period).powi(2));
        }
    }

    fn keep(&mut self, at: f64) {
        self.newest = (self.newest + 1) % FIT;
        self.arrivals[self.newest] = at;
        self.heard = (self.heard + 1).min(FIT);
    }

    /// The line of least squares through the last arrivals, if they are regular and of a tempo that music has.
    fn fit(&self) -> Option<Fit> {
        if self.heard < FIT {
            return None;
        }
        let oldest = (self.newest + 1) % FIT;
        let origin = self.arrivals[oldest];
        let in_order = self.arrivals[oldest..].iter().chain(&self.arrivals[..oldest]);
        let points = NUMBERS.iter().zip(in_order.map(|at| at - origin));
        let mean = points.clone().map(|(_, y)| y).sum::<f64>() / FIT_F;
        let period = points.clone().map(|(x, y)| x * y).sum::<f64>() / SPREAD;
        let residual = (points.map(|(x, y)| (y - mean - period * x).powi(2)).sum::<f64>() / FIT_F).sqrt();
        let is_regular = residual <= (0.15 * period).max(0.0045) && (SHORTEST..=LONGEST).contains(&period);
        is_regular.then_some(Fit { time: origin + mean + period * NUMBERS[FIT - 1], period, residual })
    }

    /// Begins the pulse from a line, with the uncertainty that a line of least squares has at its end.
    fn lock_on(&mut self, fit: &Fit) -> Lock {
        self.bias = 0.0;
        self.strays = 0;
        self.noise = fit.residual.max(self.noise / 2.0).clamp(LEAST_NOISE, MOST_NOISE);
        let variance = self.noise * self.noise;
        Lock {
            time: fit.time,
            period: fit.period,
            time_variance: variance * 2.0 * (2.0 * FIT_F - 1.0) / (FIT_F * (FIT_F + 1.0)),
            covariance: variance * 6.0 / (FIT_F * (FIT_F + 1.0)),
            period_variance: variance / SPREAD,
        }
    }

    /// How many clocks were lost (negative: too many) if regular ones come elsewhere than expected; 0 when the master
    /// has changed its tempo or moved its clock.
    fn whole_clocks_lost(&self, lock: &Lock, fit: &Fit) -> f64 {
        let clocks = (fit.time - lock.time) / lock.period;
        let whole = clocks.round();
        let slope_noise = self.noise / SPREAD.sqrt();
        let tempo_change = (fit.period - lock.period).abs();
        let is_lost = if whole.abs() > 2.0 {
            tempo_change < (4.0 * slope_noise).max(0.1 * lock.period)
        } else {
            // A step of the tempo also begins with an error of a clock or two, but neither whole nor out of the blue.
            let is_sudden = self.bias.abs() < 0.7 * self.noise;
            is_sudden && (clocks - whole).abs() < 0.25 && tempo_change < (3.0 * slope_noise).max(0.02 * lock.period)
        };
        if is_lost { whole } else { 0.0 }
    }
}

impl Lock {
    /// On to the next clock.
    fn step(&mut self) {
        self.time += self.period;
        self.time_variance += 2.0 * self.covariance + self.period_variance;
        self.covariance += self.period_variance;
        self.period_variance += (WANDER * self.period).powi(2) * self.period;
    }

    /// Takes in that the clock came `error` seconds after where it was expected.
    fn correct(&mut self, error: f64, noise: f64) {
        let variance = self.time_variance + noise * noise;
        let (time_gain, period_gain) = (self.time_variance / variance, self.covariance / variance);
        self.time += time_gain * error;
        self.period = (self.period + period_gain * error).clamp(SHORTEST, LONGEST);
        self.period_variance -= period_gain * self.covariance;
        self.covariance -= time_gain * self.covariance;
        self.time_variance -= time_gain * self.time_variance;
    }
}
