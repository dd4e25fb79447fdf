//! A struck tine, as in an electric piano: one sine, bent by itself and by a bell that dies away sooner.

use std::f32::consts::TAU;

use super::limiter::share;
use super::sine::{Sines, phase};

/// How loud the loudest single note is.
const LOUDEST: f32 = 0.24;

/// The bell's pitch is so many times the tine's, where the rate allows it.
const BELL: u32 = 14;

/// A note that has become so soft is over: 96 dB below its beginning.
const OVER: f32 = 1.6e-5;

/// Seconds in which a blow reaches its height: short, but no click.
const RISE: f32 = 0.0015;

/// Something that dies away by the same share each frame.
#[derive(Clone, Copy)]
pub(super) struct Decay {
    pub level: f32,
    keep: f32,
}

impl Decay {
    /// From `level`, a third of which is left after `seconds`.
    pub fn new(level: f32, seconds: f32, rate: f32) -> Self {
        Self { level, keep: 1.0 - share(seconds, rate) }
    }

    #[inline]
    pub fn next(&mut self) -> f32 {
        self.level *= self.keep;
        self.level
    }
}

/// Goes up to 1 in a straight line.
#[derive(Clone, Copy)]
pub(super) struct Rise {
    level: f32,
    step: f32,
}

impl Rise {
    pub fn new(seconds: f32, rate: f32) -> Self {
        Self { level: 0.0, step: 1.0 / (seconds * rate).max(1.0) }
    }

    #[inline]
    pub fn next(&mut self) -> f32 {
        self.level = (self.level + self.step).min(1.0);
        self.level
    }
}

/// See above.
#[derive(Clone, Copy)]
pub(super) struct Tine {
    phase: u32,
    /// Turns a frame.
    speed: f32,
    rise: Rise,
    /// The blow and what sings on after it.
    blow: Decay,
    song: Decay,
    /// How much the sine bends itself, and how much the bell bends it, in turns.
    hardness: Decay,
    bell: Decay,
    bell_ratio: u32,
}

impl Tine {
    /// A key struck with `velocity`.
    pub fn strike(key: u8, velocity: u8, rate: f32) -> Self {
        let hertz = 440.0 * 2f32.powf((f32::from(key) - 69.0) / 12.0);
        let force = f32::from(velocity) / 127.0;
        // Low strings are long and sing long; high ones are hardly more than their blow.
        let height = (f32::from(key) - 48.0) / 12.0;
        let sings = (3.6 * 2f32.powf(-height * 0.62)).clamp(0.35, 8.0);
        let loud = LOUDEST * force.powf(1.55) * 2f32.powf(-height * 0.08);

        // Neither sine may bend so far that it folds at half the rate.
        let room = 0.45 * rate / hertz;
        let hardness = ((0.12 + 1.25 * force * force) * 2f32.powf(-height * 0.25)).min((room - 2.0).max(0.0));
        let bell_ratio = whole(room - 3.0).min(BELL);
        let bell = if bell_ratio < 3 { 0.0 } else { 0.03 + 0.3 * force * force };
        Self {
            phase: 0,
            speed: hertz / rate,
            rise: Rise::new(RISE, rate),
            blow: Decay::new(0.4 * loud, 0.09 * sings, rate),
            song: Decay::new(0.6 * loud, sings, rate),
            hardness: Decay::new(hardness / TAU, 0.35 * sings, rate),
            bell: Decay::new(bell / TAU, 0.05 + 0.06 * sings, rate),
            bell_ratio,
        }
    }

    /// The pitch moves by this factor.
    pub fn step(&self, factor: f32) -> u32 {
        phase(self.speed * factor)
    }

    /// The next frame, `step` further.
    #[inline]
    pub fn next(&mut self, sines: &Sines, step: u32) -> f32 {
        self.phase = self.phase.wrapping_add(step);
        let bent = self.hardness.next() * sines.at(self.phase)
            + self.bell.next() * sines.at(self.phase.wrapping_mul(self.bell_ratio));
        let level = self.rise.next() * (self.blow.next() + self.song.next());
        level * sines.at(self.phase.wrapping_add(phase(bent)))
    }

    /// How loud it is now.
    pub fn level(&self) -> f32 {
        self.blow.level + self.song.level
    }

    /// Whether nobody can hear it any more.
    pub fn is_over(&self) -> bool {
        self.level() < OVER * LOUDEST
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(number: f32) -> u32 {
    number as u32
}
