//! `tanh`, the logistic function and `exp` as a short polynomial that the compiler vectorises.
//!
//! Error against the exact functions is at most 2e-7 (tested below). An exported model must agree with the trainer within
//! 1e-4 after a whole piece.

#![expect(
    clippy::inline_always,
    reason = "the functions must be compiled for the instructions of the loop around them"
)]

/// `tanh(x)`, as `2 sigmoid(2 x) - 1`.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// The logistic function `1 / (1 + exp(-x))`.
///
/// A gate near one lets a cell count over hundreds of notes, so that a steady error of a few ten-millionths, as the
/// usual rational approximations have, would show in the logits. This form errs by a rounding only.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x.clamp(-80.0, 80.0)))
}

/// `exp(x)` for `x <= 88`, by the polynomial of the Cephes library (`expf`); below -87 it is about 1e-38.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding it rounds a float to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // Not `max`, which would turn what is no number into a good one.
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4f32;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_65;
    let p = p * r + 0.5;
    let power_of_two = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    (p * r * r + r + 1.0) * power_of_two
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_stays_none() {
        assert!(tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan() && exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_approximations_err_by_no_more_than_a_rounding() {
        for step in -200_000i32..=200_000 {
            let x = f64::from(step) * 1e-4;
            #[expect(clippy::cast_possible_truncation, reason = "the argument as the functions see it")]
            let single = x as f32;
            let x = f64::from(single);
            assert!((f64::from(tanh(single)) - x.tanh()).abs() < 2e-7, "tanh({x})");
            assert!((f64::from(sigmoid(single)) - 1.0 / (1.0 + (-x).exp())).abs() < 2e-7, "sigmoid({x})");
            assert!((f64::from(exp(-single.abs())) - (-x.abs()).exp()).abs() < 2e-7, "exp({x})");
        }
    }
}
