//! What the human holds at one port, so that it can be let go when the port does not say so any more.

use crate::midi::ShortMessage;
use crate::thru::Thru;

/// Keys and pedals that are down at a port that sends to us.
///
/// Thread: any one at a time. Realtime-safe: yes.
#[derive(Default)]
pub(super) struct Held(Thru);

impl Held {
    /// The port has sent this.
    pub fn hear(&mut self, message: ShortMessage) {
        // The same ledger as that of what is passed on.
        self.0.passes(message, true);
    }

    /// The port has gone: gives what lets go of all that is down to `send`. Nothing is, afterwards.
    pub fn release(&mut self, send: impl FnMut(ShortMessage)) {
        self.0.release(send);
    }
}
