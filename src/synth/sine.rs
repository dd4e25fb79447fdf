//! Sine waves from a table.

use std::f64::consts::TAU;
use std::sync::LazyLock;

/// Two to this power are the steps of the table. With a straight line between them a sine is off by 1.2e-6 at most.
const STEPS_LOG2: u32 = 11;
const STEPS: usize = 1 << STEPS_LOG2;
/// The bits of a phase behind those that choose a step.
const BETWEEN: u32 = 32 - STEPS_LOG2;

/// One turn of a sine; the last value is the first again.
pub(super) struct Sines([f32; STEPS + 1]);

static SINES: LazyLock<Sines> = LazyLock::new(|| {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small numbers, and sines")]
    let value = |step: usize| (step as f64 * TAU / STEPS as f64).sin() as f32;
    Sines(std::array::from_fn(value))
});

impl Sines {
    /// The table, made at first use: to be asked for before anything plays.
    pub fn table() -> &'static Self {
        &SINES
    }

    /// The sine of a phase, in turns of 2^32.
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "21 bits")]
    pub fn at(&self, phase: u32) -> f32 {
        let step = (phase >> BETWEEN) as usize;
        let beyond = (phase & ((1 << BETWEEN) - 1)) as f32 / (1u32 << BETWEEN) as f32;
        let from = self.0[step];
        from + (self.0[step + 1] - from) * beyond
    }
}

/// A number of turns as a phase; whole turns are left out.
#[inline]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole turns are to be left out")]
pub(super) fn phase(turns: f32) -> u32 {
    (turns * 4_294_967_296.0) as i64 as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_a_sine_between_its_steps_as_well() {
        let sines = Sines::table();
        for place in 0u32..100_003 {
            let phase = place.wrapping_mul(42_949);
            let exact = (f64::from(phase) * TAU / 4_294_967_296.0).sin();
            assert!((f64::from(sines.at(phase)) - exact).abs() < 2e-6, "{phase}");
        }
    }

    #[test]
    fn turns_wrap_around_on_both_sides() {
        assert_eq!([phase(0.25), phase(3.25), phase(-0.75)], [1 << 30; 3]);
    }
}
