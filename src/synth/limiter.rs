//! Keeps what is heard inside the range of the converter, whatever is played.

/// Louder than this is turned down.
const CEILING: f32 = 0.7;

/// Above this the last stage bends: what is quicker than the turning down stays inside the range.
const KNEE: f32 = 0.8;

/// How far above the knee it goes at most, so that it ends below 1.
const ABOVE: f32 = 0.19;

/// How soon it turns down, and how soon up again, in seconds.
const ATTACK: f32 = 0.0005;
const RECOVERY: f32 = 0.15;

/// See above. Both sides are turned down together, so that nothing moves from one to the other.
pub(super) struct Limiter {
    /// How loud it is.
    level: f32,
    attack: f32,
    recovery: f32,
}

impl Limiter {
    pub fn new(rate: f32) -> Self {
        Self { level: 0.0, attack: share(ATTACK, rate), recovery: share(RECOVERY, rate) }
    }

    /// Bounds one frame: each side ends in `-0.99..=0.99`; what is no number becomes silence.
    #[inline]
    pub fn bound(&mut self, frame: [f32; 2]) -> [f32; 2] {
        let [left, right] = frame.map(|side| if side.is_finite() { side } else { 0.0 });
        let peak = left.abs().max(right.abs());
        let share = if peak > self.level { self.attack } else { self.recovery };
        self.level += (peak - self.level) * share;
        let gain = if self.level > CEILING { CEILING / self.level } else { 1.0 };
        [bend(left * gain), bend(right * gain)]
    }
}

#[inline]
fn bend(side: f32) -> f32 {
    let loud = side.abs();
    if loud <= KNEE { side } else { (KNEE + ABOVE * ((loud - KNEE) / ABOVE).tanh()).copysign(side) }
}

/// The share of a distance that is gone each frame, so that all but a third is gone after `seconds`.
pub(super) fn share(seconds: f32, rate: f32) -> f32 {
    1.0 - (-1.0 / (seconds * rate)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_in_stays_inside_and_the_usual_is_left_as_it_is() {
        let mut limiter = Limiter::new(48_000.0);
        for place in 0..1000u16 {
            let quiet = [f32::from(place % 100) * 0.006, -0.3];
            assert_eq!(limiter.bound(quiet), quiet);
        }
        for loud in [1.5, -40.0, 1e30, f32::INFINITY, f32::NAN, f32::MIN, f32::MAX] {
            for _ in 0..100 {
                let [left, right] = limiter.bound([loud, 0.1]);
                assert!(left.abs() <= 0.99 && right.abs() <= 0.99, "{loud}: {left} {right}");
            }
        }
    }

    #[test]
    fn what_goes_on_too_loud_is_turned_down_instead_of_bent() {
        let mut limiter = Limiter::new(48_000.0);
        let mut last = [0.0; 2];
        for _ in 0..4_800 {
            last = limiter.bound([2.0, -2.0]);
        }
        assert!((last[0] - CEILING).abs() < 0.01 && last[0] == -last[1], "{last:?}");
    }
}
