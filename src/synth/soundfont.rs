//! A SoundFont played by `rustysynth`.

use std::io::Cursor;
use std::sync::Arc;

pub use rustysynth::SoundFont;
use rustysynth::{Synthesizer, SynthesizerSettings};

use super::Instrument;
use crate::fault::tried;
use crate::midi::ShortMessage;

/// Samples that sound at once: a key of many SoundFonts takes two, left and right.
const POLYPHONY: usize = 128;

/// Frames between two looks of the synthesiser at its keys: 0.3 ms at 48 kHz. The fewest that it takes, 8, cost almost
/// twice what 32 do.
const BLOCK: usize = 16;

/// Rates that `rustysynth` takes.
const RATES: std::ops::RangeInclusive<u32> = 16_000..=192_000;

/// Reads a SoundFont (`.sf2`).
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(bytes: &[u8]) -> Result<Arc<SoundFont>, String> {
    // The crate takes as much memory as a chunk says that it is long, whether it is there or not.
    if !chunks_are_whole(bytes) {
        return Err("it is cut off or damaged".to_owned());
    }
    // A damaged file may go beyond a bound that the crate does not look at.
    match tried(|| SoundFont::new(&mut Cursor::new(bytes))) {
        Some(Ok(font)) => Ok(Arc::new(font)),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("it is damaged".to_owned()),
    }
}

/// Whether the three lists of a SoundFont, and the chunks in them, are as long as they say.
fn chunks_are_whole(bytes: &[u8]) -> bool {
    // Behind `RIFF`, a length that the crate does not look at either, and `sfbk`.
    let mut rest = bytes.get(12..).unwrap_or_default();
    for _ in 0..3 {
        let Some((list, behind)) = chunk(rest) else { return false };
        // Behind the list's kind.
        let mut chunks = list.get(4..).unwrap_or_default();
        while !chunks.is_empty() {
            let Some((_, behind)) = chunk(chunks) else { return false };
            chunks = behind;
        }
        rest = behind;
    }
    true
}

/// What the first chunk holds, and what is behind it.
fn chunk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    let [_, _, _, _, length @ ..] = *head;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(length)).ok()?)
}

/// See above.
pub(super) struct FontPlayer {
    synthesizer: Synthesizer,
}

impl FontPlayer {
    /// A player of `font` at `rate` frames a second.
    ///
    /// # Errors
    /// When it cannot play at that rate.
    pub fn new(font: &Arc<SoundFont>, rate: u32) -> Result<Self, String> {
        let rate = Some(rate).filter(|rate| RATES.contains(rate)).and_then(|rate| i32::try_from(rate).ok());
        let rate = rate.ok_or_else(|| format!("a SoundFont is played at {} to {} Hz", RATES.start(), RATES.end()))?;
        let mut settings = SynthesizerSettings::new(rate);
        settings.maximum_polyphony = POLYPHONY;
        settings.block_size = BLOCK;
        let mut synthesizer = Synthesizer::new(font, &settings).map_err(|error| error.to_string())?;
        // As loud as the built-in instrument, with the usual SoundFonts.
        synthesizer.set_master_volume(1.0);
        Ok(Self { synthesizer })
    }
}

impl Instrument for FontPlayer {
    fn play(&mut self, message: ShortMessage) {
        let [status, first, second] = match *message.as_bytes() {
            [status, first] => [status, first, 0],
            [status, first, second] => [status, first, second],
            _ => return,
        };
        let (channel, command) = (i32::from(status & 0x0f), i32::from(status & 0xf0));
        self.synthesizer.process_midi_message(channel, command, first.into(), second.into());
    }

    fn render(&mut self, left: &mut [f32], right: &mut [f32]) {
        self.synthesizer.render(left, right);
    }
}
