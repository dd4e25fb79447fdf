//! Which moment of the session the frames of a device are.
//!
//! A device asks for its frames in blocks, more or less in time. A delay-locked loop (Adriaensen, "Using a DLL to filter
//! time", 2005) makes an even time of that, so that notes keep their distances whatever the machine does between.

use crate::time::SessionTime;

/// How fast the loop follows, in hertz: slow against the jitter of blocks, fast against the drift of a sound card.
const BANDWIDTH: f64 = 0.5;

/// A block so much too early or too late, in seconds and at least four blocks, is no jitter: the time begins anew.
const LOST: f64 = 0.05;

/// See above. Times are seconds of the session.
#[derive(Debug)]
pub(super) struct Timeline {
    rate: f64,
    /// When the block that comes next begins, and how long a frame is.
    next: Option<f64>,
    frame: f64,
}

/// One block of frames: which moment each is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    begin: f64,
    frame: f64,
    frames: usize,
}

impl Timeline {
    pub fn new(rate: u32) -> Self {
        let rate = f64::from(rate);
        Self { rate, next: None, frame: 1.0 / rate }
    }

    /// The device asks for so many frames `now`. They are those of the time just past: as long as the block lasts, a
    /// message has to wait for its frame, and no longer.
    pub fn block(&mut self, now: SessionTime, frames: usize) -> Block {
        let now = now.since(SessionTime::ZERO).as_seconds();
        #[expect(clippy::cast_precision_loss, reason = "some thousand frames")]
        let count = frames.max(1) as f64;
        let length = count / self.rate;
        let late = self.next.map(|next| now - next).filter(|late| late.abs() < LOST.max(4.0 * length));
        let end = match (self.next, late) {
            (Some(next), Some(late)) => {
                let omega = (std::f64::consts::TAU * BANDWIDTH * length).min(0.5);
                self.frame += omega * omega * late / count;
                next + std::f64::consts::SQRT_2 * omega * late
            }
            _ => {
                self.frame = 1.0 / self.rate;
                now
            }
        };
        // No sound card is further from its name than a part in a hundred.
        self.frame = self.frame.clamp(0.99 / self.rate, 1.01 / self.rate);
        self.next = Some(end + count * self.frame);
        Block { begin: end - count * self.frame, frame: self.frame, frames }
    }
}

impl Block {
    /// The frame of a moment: the first for what has passed, `None` for what belongs to a later block.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    pub fn frame_of(&self, time: SessionTime) -> Option<usize> {
        let frame = ((time.since(SessionTime::ZERO).as_seconds() - self.begin) / self.frame).round() as usize;
        (frame < self.frames).then_some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> SessionTime {
        SessionTime::from_micros(us)
    }

    #[test]
    fn a_message_waits_a_block_and_no_longer() {
        let mut timeline = Timeline::new(48_000);
        let block = timeline.block(at(1_000_000), 480);
        assert_eq!(block.frame_of(at(990_000)), Some(0));
        assert_eq!(block.frame_of(at(995_000)), Some(240));
        assert_eq!(block.frame_of(at(1_000_000)), None, "this is the next block's");
        assert_eq!(block.frame_of(at(900_000)), Some(0), "late");
    }

    #[test]
    fn even_notes_stay_even_while_blocks_jitter_and_the_card_drifts() {
        let mut timeline = Timeline::new(48_000);
        // 100 parts in a million too fast, and called up to 2 ms too late.
        let (mut frames, mut placed) = (0u64, Vec::new());
        let mut random = 7u64;
        let mut note = 0u64;
        for block_number in 0..20_000u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let jitter = (random >> 33) % 2_000;
            let block = timeline.block(at(1_000_000 + block_number * 5_332_800 / 1_000 + jitter), 256);
            while let Some(frame) = block.frame_of(at(1_000_000 + note * 25_000)) {
                placed.push(frames + frame as u64);
                note += 1;
            }
            frames += 256;
        }
        let settled = &placed[1_000..];
        let gaps: Vec<u64> = settled.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (least, most) = (gaps.iter().min().expect("some"), gaps.iter().max().expect("some"));
        // 25 ms are 1200.12 frames of this card.
        assert!((1_190..=1_200).contains(least) && (1_200..=1_210).contains(most), "{least}..{most}");
    }

    #[test]
    fn after_a_gap_the_time_begins_anew() {
        let mut timeline = Timeline::new(48_000);
        timeline.block(at(0), 480);
        let block = timeline.block(at(5_000_000), 480);
        assert_eq!(block.frame_of(at(4_995_000)), Some(240));
    }
}
