//! Flags for sound without a synth or a DAW.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::Failure;
use super::log::Log;
use super::soundfonts::choose;
use crate::ports::{Backend, SoundSettings};

/// The device that stands for JACK.
const JACK: &str = "jack";

#[derive(Debug, Args)]
pub(super) struct SoundFlags {
    /// Let you and Antiphon sound here, through the machine's own sound device (through JACK with --backend jack); --set
    /// human-gain=0 where your keyboard sounds by itself
    #[arg(long, conflicts_with = "virtual_time")]
    pub synth: bool,

    /// SoundFont (.sf2) that --synth plays on, or `built-in` for the electric piano in this program [default: the first in
    /// the usual folders, else built-in]
    #[arg(long, value_name = "FILE")]
    pub soundfont: Option<PathBuf>,

    /// Sound device of --synth: its name or a part of it, or `jack` [default: the system's]
    #[arg(long, value_name = "NAME")]
    pub audio_device: Option<String>,

    /// Frames a block that --synth asks the sound device for, 16 to 8192: fewer are heard sooner, more bear a busier
    /// machine
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = value_parser!(u32).range(16..=8192))]
    pub audio_frames: u32,

    /// End with exit code 11 when --synth finds no sound device at the beginning, instead of playing on without sound
    #[arg(long)]
    pub require_sound: bool,
}

impl SoundFlags {
    /// What is to sound, and what it is played on in words; `None` where nothing is.
    ///
    /// # Errors
    /// When a SoundFont was named that cannot be played.
    pub(super) fn settings(&self, log: Log, backend: Backend) -> Result<Option<(SoundSettings, String)>, Failure> {
        if !self.synth {
            return Ok(None);
        }
        let chosen = choose(self.soundfont.as_deref())?;
        chosen.passed_over.iter().for_each(|sentence| log.warning(sentence));
        let named_jack = self.audio_device.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(JACK));
        let settings = SoundSettings {
            timbre: chosen.timbre,
            through_jack: named_jack || (self.audio_device.is_none() && backend == Backend::Jack),
            device: self.audio_device.clone().filter(|_| !named_jack),
            frames: self.audio_frames,
            required: self.require_sound,
        };
        Ok(Some((settings, chosen.name)))
    }

    /// Says where it sounds, or that it does not.
    pub(super) fn announce(log: Log, timbre: &str, sounding: &Result<String, String>) {
        match sounding {
            Ok(device) => log.info(format_args!("sound: {timbre}, on {device}")),
            Err(why) => log
                .warning(format_args!("sound: none ({why}); the music goes on without it, and a device is waited for")),
        }
    }
}
