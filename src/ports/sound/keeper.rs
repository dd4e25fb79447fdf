//! The thread that opens the device, and opens it again when it has gone.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use cpal::ErrorKind;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::device::{Open, open};
use super::{SoundSettings, Surroundings};
use crate::sight::Sight;
use crate::synth::Resting;

/// How often it looks whether all is well.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How soon a device that is not there is looked for again.
const TRY_EVERY: Duration = Duration::from_secs(2);

/// A device that has asked for nothing for so long has gone, whatever it says.
const SILENT_FOR: Duration = Duration::from_secs(3);

/// How long what sounds fades out at the end: to a thousandth.
const FADE: Duration = Duration::from_millis(80);

/// How long a device may take to give the line back when it is closed.
const CLOSES_WITHIN: Duration = Duration::from_secs(5);

/// See above.
pub(super) struct Keeper {
    settings: SoundSettings,
    around: Surroundings,
    back: Sender<Resting>,
    returned: Receiver<Resting>,
    trouble: Sender<ErrorKind>,
    troubles: Receiver<ErrorKind>,
    /// Blocks when last looked, and when there was another.
    blocks: (u64, Instant),
    broken: bool,
}

impl Keeper {
    pub fn new(settings: SoundSettings, around: Surroundings) -> Self {
        let (back, returned) = crossbeam_channel::bounded(1);
        let (trouble, troubles) = crossbeam_channel::bounded(8);
        let blocks = (0, Instant::now());
        Self { settings, around, back, returned, trouble, troubles, blocks, broken: false }
    }

    /// Opens the device and says so to `tell`; then keeps it open until `stopped` closes.
    pub fn run(mut self, resting: Resting, tell: &Sender<Result<String, String>>, stopped: &Receiver<()>) {
        // ALSA's library writes to the terminal by itself; our own sentence is enough.
        #[cfg(target_os = "linux")]
        let _quiet = alsa::Output::local_error_handler();
        let opened = self.open(resting);
        let _ = tell.send(opened.as_ref().map(|open| open.name.clone()).map_err(Clone::clone));
        let mut open = opened.ok();
        let mut resting = if open.is_none() { self.line_back() } else { None };
        let mut try_at = Instant::now() + TRY_EVERY;
        while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            if let Some(gone) = open.take() {
                match self.what_is_wrong() {
                    None => open = Some(gone),
                    Some(why) => {
                        self.around.status.sound.rate.store(0, Relaxed);
                        self.around.status.sound.lost.fetch_add(1, Relaxed);
                        let sentence = format!("no sound: {} has gone ({why}); it is waited for", gone.name);
                        // First, because a device that hangs does not let go.
                        self.show(Sight::Trouble(sentence));
                        drop(gone);
                        resting = self.line_back();
                        // At once: it may only have become another. Not at JACK: where its server has gone, opening a client
                        // deletes those of this process that are not closed yet, and MIDI may have one.
                        try_at = Instant::now();
                        if self.settings.through_jack {
                            try_at += TRY_EVERY;
                        }
                    }
                }
            } else if let Some(mut line) = resting.take() {
                line.catch_up();
                if Instant::now() < try_at {
                    resting = Some(line);
                    continue;
                }
                match self.open(line) {
                    Ok(opened) => {
                        let news = format!("sound: again on {}", opened.name);
                        self.show(Sight::Sound { at: self.around.clock.now(), news });
                        open = Some(opened);
                    }
                    Err(_) => resting = self.line_back(),
                }
                try_at = Instant::now() + TRY_EVERY;
            }
        }
        if let Some(open) = &open {
            open.fading.store(true, Relaxed);
            std::thread::sleep(FADE);
        }
    }

    fn open(&mut self, resting: Resting) -> Result<Open, String> {
        while self.troubles.try_recv().is_ok() {}
        let opened = open(&self.settings, &self.around, resting, &self.back, &self.trouble);
        self.blocks = (self.around.status.sound.blocks.load(Relaxed), Instant::now());
        opened
    }

    /// The line's end, from a device that was closed.
    fn line_back(&self) -> Option<Resting> {
        let line = self.returned.recv_timeout(CLOSES_WITHIN).ok();
        if line.is_none() {
            self.show(Sight::Trouble("no sound any more: the device does not let go".to_owned()));
        }
        line
    }

    /// Whether the device does what it should; else what not.
    fn what_is_wrong(&mut self) -> Option<String> {
        let sound = &self.around.status.sound;
        if sound.broken.load(Relaxed) && !std::mem::replace(&mut self.broken, true) {
            let sentence = "the SoundFont could not be played on; the built-in instrument has taken over";
            self.show(Sight::Trouble(sentence.to_owned()));
        }
        if let Ok(kind) = self.troubles.try_recv() {
            return Some(kind.to_string().trim_end_matches('.').to_owned());
        }
        let blocks = sound.blocks.load(Relaxed);
        if blocks != self.blocks.0 {
            self.blocks = (blocks, Instant::now());
        }
        (self.blocks.1.elapsed() > SILENT_FOR).then(|| "it asks for nothing any more".to_owned())
    }

    /// Policy when full: nobody looks.
    fn show(&self, sight: Sight) {
        let _ = self.around.watchers.try_send(sight);
    }
}
