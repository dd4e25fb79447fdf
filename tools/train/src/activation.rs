//! `tanh`, the logistic function and `exp` as short polynomials that the compiler vectorises.
//!
//! Error against the exact functions is at most 1e-6 (tested below), far less than the 1e-4 within which an exported
//! model must agree with the trainer.

#![expect(
    clippy::inline_always,
    reason = "the functions must be compiled for the instructions of the loop around them"
)]

/// `tanh(x)`: the rational approximation of degree 13/6 that Eigen uses (`Eigen/src/Core/MathFunctionsImpl.h`).
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let x = x.clamp(-7.905_311, 7.905_311);
    let s = x * x;
    let p = -2.760_768_5e-16f32;
    let p = p * s + 2.000_188e-13;
    let p = p * s - 8.604_672e-11;
    let p = p * s + 5.122_297e-8;
    let p = p * s + 1.485_722_4e-5;
    let p = p * s + 6.372_619_3e-4;
    let p = p * s + 4.893_524_6e-3;
    let q = 1.198_258_4e-6f32;
    let q = q * s + 1.185_347e-4;
    let q = q * s + 2.268_434_6e-3;
    let q = q * s + 4.893_525e-3;
    x * p / q
}

/// The logistic function `1 / (1 + exp(-x))`, through `tanh`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    0.5 * tanh(0.5 * x) + 0.5
}

/// `exp(x)` for `x <= 88`, by the polynomial of the Cephes library (`expf`); below -87 it is about 1e-38.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding it rounds a float to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.max(-87.0);
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
    fn the_approximations_err_by_less_than_a_millionth() {
        for step in -200_000i32..=200_000 {
            let x = f64::from(step) * 1e-4;
            #[expect(clippy::cast_possible_truncation, reason = "the argument as the functions see it")]
            let single = x as f32;
            let x = f64::from(single);
            assert!((f64::from(tanh(single)) - x.tanh()).abs() < 1e-6, "tanh({x})");
            assert!((f64::from(sigmoid(single)) - 1.0 / (1.0 + (-x).exp())).abs() < 1e-6, "sigmoid({x})");
            assert!((f64::from(exp(-single.abs())) - (-x.abs()).exp()).abs() < 1e-6, "exp({x})");
        }
    }
}
