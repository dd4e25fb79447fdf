//! Input by midir: CoreMIDI, WinMM.

use midir::{Ignore, MidiInput, MidiInputConnection};

use super::listening::Listening;
use super::system::{names, refused, unavailable};
use super::{InputSink, PortError, PortName};
use crate::time::Clock;

/// A port that listens.
pub(super) struct Source(MidiInputConnection<Listening>);

impl Source {
    /// Our own port, where the system has virtual ones.
    #[cfg(unix)]
    pub fn open_virtual(name: &PortName, clock: Clock, sink: InputSink) -> Result<Option<Self>, PortError> {
        use midir::os::unix::VirtualInput as _;
        let connection = client(name)?
            .create_virtual(&name.input(), hear, Listening::new(clock, sink))
            .map_err(|error| refused(&name.input(), error.kind()))?;
        Ok(Some(Self(connection)))
    }

    /// Windows has no virtual ports: a loopback port must be named instead.
    #[cfg(not(unix))]
    pub fn open_virtual(_: &PortName, _: Clock, _: InputSink) -> Result<Option<Self>, PortError> {
        Ok(None)
    }

    /// Attaches to the port with this whole name.
    pub fn attach(name: &PortName, port: &str, clock: Clock, sink: InputSink) -> Result<Self, PortError> {
        let client = client(name)?;
        let (ports, there) = names(&client);
        let place = there.iter().position(|there| there == port).ok_or_else(|| refused(port, "it has just gone"))?;
        let connection = client
            .connect(&ports[place], &name.input(), hear, Listening::new(clock, sink))
            .map_err(|error| refused(port, error.kind()))?;
        Ok(Self(connection))
    }

    /// Closes it; what was held there goes up.
    pub fn close(self) {
        let (_, mut listening) = self.0.close();
        listening.release();
    }
}

/// Thread: midir's.
fn hear(stamp_us: u64, bytes: &[u8], listening: &mut Listening) {
    listening.hear(stamp_us, bytes);
}

fn client(name: &PortName) -> Result<MidiInput, PortError> {
    let mut input = MidiInput::new(name.client()).map_err(|error| unavailable(&error))?;
    // Clock and transport are heard.
    input.ignore(Ignore::ActiveSense);
    Ok(input)
}
