//! What settings change at open ports, and the call for silence.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::echo::Echoes;
use crate::hands::Hands;
use crate::settings::{Feedback, Settings};
use crate::synth::Gains;

/// Whether echoes are heard and whether the human's messages are passed on; the ledger of echoes; and whether silence is
/// called for.
///
/// Thread: any. Realtime-safe: yes, each switch is one atomic.
#[derive(Default)]
pub struct Routing {
    /// What was sent and may come back.
    pub echoes: Echoes,
    /// What the human holds.
    pub hands: Hands,
    thru: AtomicBool,
    /// The bits of the gains of human and Antiphon.
    gains: [AtomicU32; 2],
    silence: AtomicBool,
}

impl Routing {
    /// Does as is set from now on.
    pub fn follow(&self, settings: &Settings) {
        self.echoes.suppress(settings.feedback == Feedback::Suppress);
        self.thru.store(settings.thru, Relaxed);
        let Gains { human, ai } = settings.gains;
        for (gain, value) in self.gains.iter().zip([human, ai]) {
            gain.store(value.to_bits(), Relaxed);
        }
    }

    /// Whether the human's messages are passed on.
    pub fn thru(&self) -> bool {
        self.thru.load(Relaxed)
    }

    /// How loud each part is in the sound of `--synth`.
    pub fn gains(&self) -> Gains {
        let [human, ai] = [0, 1].map(|part: usize| f32::from_bits(self.gains[part].load(Relaxed)));
        Gains { human, ai }
    }

    /// Everything that sounds is to end, and what is planned is not to be heard, whatever the conductor is at.
    pub(super) fn call_for_silence(&self) {
        self.silence.store(true, Relaxed);
    }

    /// Whether that has been called for since it was last asked.
    pub(super) fn takes_call_for_silence(&self) -> bool {
        self.silence.load(Relaxed) && self.silence.swap(false, Relaxed)
    }
}
