//! A small room: four delays that feed each other.

use super::limiter::share;

/// Lengths of the delays in seconds, without a common divisor in frames at the usual rates.
const LENGTHS: [f32; 4] = [0.0297, 0.0371, 0.0411, 0.0437];

/// How long it rings until it is 60 dB softer, in seconds.
const RINGS: f32 = 1.1;

/// How much of what comes in, and above which time constant, in seconds, walls swallow it.
const SEND: f32 = 0.09;
const DULL: f32 = 0.000_06;

/// Keeps numbers away from those so small that processors take long over them. Far below what a converter can tell.
const NEVER_ZERO: f32 = 1e-18;

/// See above.
pub(super) struct Room {
    lines: [Line; 4],
    dull: f32,
}

struct Line {
    delay: Vec<f32>,
    place: usize,
    gain: f32,
    heard: f32,
}

impl Room {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousand frames")]
    pub fn new(rate: f32) -> Self {
        let line = |seconds: f32| {
            let frames = (seconds * rate).round().max(1.0) as usize;
            Line { delay: vec![0.0; frames], place: 0, gain: 10f32.powf(-3.0 * seconds / RINGS), heard: 0.0 }
        };
        Self { lines: LENGTHS.map(line), dull: share(DULL, rate) }
    }

    /// Adds the room to what is played.
    pub fn add(&mut self, left: &mut [f32], right: &mut [f32]) {
        for (left, right) in left.iter_mut().zip(right) {
            let send = (*left + *right) * SEND + NEVER_ZERO;
            let mut back = [0.0; 4];
            for (line, back) in self.lines.iter_mut().zip(&mut back) {
                line.heard += (line.delay[line.place] - line.heard) * self.dull;
                *back = line.heard * line.gain;
            }
            *left += back[0] + back[2];
            *right += back[1] + back[3];
            // Each wall reflects to all others: a mirror, which neither adds nor takes.
            let mirrored = 0.5 * back.iter().sum::<f32>();
            for (line, back) in self.lines.iter_mut().zip(back) {
                line.delay[line.place] = send + back - mirrored;
                line.place = if line.place + 1 == line.delay.len() { 0 } else { line.place + 1 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clap_comes_back_softer_on_both_sides_and_dies_away() {
        let mut room = Room::new(48_000.0);
        let (mut left, mut right) = (vec![0.0; 144_000], vec![0.0; 144_000]);
        (left[0], right[0]) = (1.0, 1.0);
        room.add(&mut left, &mut right);
        for side in [&left, &right] {
            let loudest = |range: std::ops::Range<usize>| side[range].iter().fold(0f32, |loud, s| loud.max(s.abs()));
            assert!((0.01..0.3).contains(&loudest(1..4_800)), "{}", loudest(1..4_800));
            assert!(loudest(96_000..144_000) < 1e-4, "{}", loudest(96_000..144_000));
        }
        assert_ne!(left[1..], right[1..]);
    }
}
