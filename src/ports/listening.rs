//! What hears one source: decodes, stamps, pushes, and no more.

use super::InputSink;
use super::held::Held;
use super::stamps::Stamps;
use crate::midi::ShortMessage;
use crate::sysex::Slicer;
use crate::time::Clock;

/// Who sends by one way, and what they hold.
///
/// Thread: the driver's.
pub(super) struct Listening {
    clock: Clock,
    stamps: Stamps,
    sink: InputSink,
    held: Held,
    slicer: Slicer,
}

impl Listening {
    pub fn new(clock: Clock, sink: InputSink) -> Self {
        Self { clock, stamps: Stamps::default(), slicer: sink.slicer(), sink, held: Held::default() }
    }

    /// Lets go of what is held, as if the human had, and ends a SysEx message that will not go on.
    pub fn release(&mut self) {
        let now = self.clock.now();
        self.slicer.break_off().into_iter().for_each(|end| self.sink.push_piece(end));
        self.held.release(|message| self.sink.push(now, message.as_bytes()));
    }

    /// The driver has this, which it has stamped with its own time.
    pub fn hear(&mut self, stamp_us: u64, bytes: &[u8]) {
        let time = self.stamps.convert(stamp_us, self.clock.now());
        let Self { sink, slicer, held, .. } = self;
        sink.hear(slicer, time, bytes, |met| {
            if let Ok(message) = ShortMessage::from_bytes(met) {
                held.hear(message);
            }
        });
    }
}
