//! What settings change at open ports.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::echo::Echoes;
use crate::settings::{Feedback, Settings};

/// Whether echoes are heard and whether the human's messages are passed on; and the ledger of echoes.
///
/// Thread: any. Realtime-safe: yes, each switch is one atomic.
#[derive(Default)]
pub struct Routing {
    /// What was sent and may come back.
    pub echoes: Echoes,
    thru: AtomicBool,
}

impl Routing {
    /// Does as is set from now on.
    pub fn follow(&self, settings: &Settings) {
        self.echoes.suppress(settings.feedback == Feedback::Suppress);
        self.thru.store(settings.thru, Relaxed);
    }

    /// Whether the human's messages are passed on.
    pub fn thru(&self) -> bool {
        self.thru.load(Relaxed)
    }
}
