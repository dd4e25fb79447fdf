//! Both parts together: an instrument for each, their gains, the limiter.

use super::limiter::{Limiter, share};
use super::{BuiltIn, Instrument, Part, Timbre};
use crate::fault::tried;
use crate::midi::ShortMessage;

/// Frames that are rendered in one go.
const BLOCK: usize = 64;

/// How soon a gain follows what is set, in seconds.
const FOLLOWS: f32 = 0.01;

/// How loud each part is: factors, 1 as it comes, 0 silent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gains {
    /// The player.
    pub human: f32,
    /// Antiphon.
    pub ai: f32,
}

impl Default for Gains {
    fn default() -> Self {
        Self { human: 1.0, ai: 1.0 }
    }
}

/// See above.
///
/// Thread: any one at a time. Realtime-safe: yes.
pub struct Mixer {
    rate: u32,
    instruments: [Box<dyn Instrument>; 2],
    gains: [f32; 2],
    follow: f32,
    limiter: Limiter,
    /// Room for what one part plays.
    block: [[f32; BLOCK]; 2],
    /// Kept for the case that the SoundFont's player breaks down.
    spare: Option<[Box<dyn Instrument>; 2]>,
    broken: bool,
}

impl Mixer {
    /// A mixer at `rate` frames a second.
    ///
    /// # Errors
    /// When the timbre cannot be played at that rate.
    pub fn new(timbre: &Timbre, rate: u32, gains: Gains) -> Result<Self, String> {
        let spare = || -> [Box<dyn Instrument>; 2] { [Box::new(BuiltIn::new(rate)), Box::new(BuiltIn::new(rate))] };
        #[expect(clippy::cast_precision_loss, reason = "rates are far below 2^24")]
        let frames = rate as f32;
        Ok(Self {
            rate,
            instruments: [timbre.instrument(rate)?, timbre.instrument(rate)?],
            gains: [gains.human, gains.ai],
            follow: share(FOLLOWS, frames),
            limiter: Limiter::new(frames),
            block: [[0.0; BLOCK]; 2],
            spare: matches!(timbre, Timbre::Font(_)).then(spare),
            broken: false,
        })
    }

    /// Frames a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Whether the SoundFont's player has broken down, and the instrument that is always there has taken over.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Takes a message of one part; it counts from the next frame on.
    pub fn play(&mut self, part: Part, message: ShortMessage) {
        self.guarded(|mixer| mixer.instruments[part as usize].play(message));
    }

    /// Ends all that sounds, without a click.
    pub fn silence(&mut self) {
        for channel in 0..16 {
            for part in [Part::Human, Part::Ai] {
                self.play(part, ShortMessage::control_change(channel, 64, 0));
                self.play(part, ShortMessage::control_change(channel, 66, 0));
                self.play(part, ShortMessage::all_notes_off(channel));
            }
        }
    }

    /// The next frames, left and right; each sample is in `-0.99..=0.99`.
    pub fn render(&mut self, gains: Gains, frames: &mut [[f32; 2]]) {
        let wanted = [gains.human, gains.ai];
        for frames in frames.chunks_mut(BLOCK) {
            frames.fill([0.0; 2]);
            for part in [Part::Human, Part::Ai] {
                let place = part as usize;
                self.guarded(|mixer| {
                    let [left, right] = &mut mixer.block;
                    mixer.instruments[place].render(&mut left[..frames.len()], &mut right[..frames.len()]);
                });
                let gain = &mut self.gains[place];
                let [left, right] = &self.block;
                for ((frame, left), right) in frames.iter_mut().zip(left).zip(right) {
                    *gain += (wanted[place] - *gain) * self.follow;
                    frame[0] += left * *gain;
                    frame[1] += right * *gain;
                }
            }
            for frame in frames {
                *frame = self.limiter.bound(*frame);
            }
        }
    }

    /// A SoundFont may be so odd that its player breaks down in the middle of a note: then the built-in instrument plays
    /// on, instead of the whole program ending. That moment alone takes memory.
    fn guarded(&mut self, act: impl FnOnce(&mut Self)) {
        if self.spare.is_none() || self.broken {
            return act(self);
        }
        if tried(|| act(self)).is_none() {
            self.block = [[0.0; BLOCK]; 2];
            self.broken = true;
            // What has broken down stays where the spare was: giving its memory back is not for this thread.
            if let Some(spare) = &mut self.spare {
                std::mem::swap(&mut self.instruments, spare);
            }
        }
    }
}
