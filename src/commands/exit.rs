//! How the command ends: one code for each kind of end, for scripts and service managers.

use std::fmt::Write as _;

/// How the command ends. 2 is also what a nonsense flag gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well; also after Ctrl-C and SIGTERM.
    Done = 0,
    /// Something unforeseen.
    Failed = 1,
    /// A flag, a setting or the configuration file makes no sense.
    Usage = 2,
    /// The model file is missing, not ours, or of another version; or a style that it does not know.
    Model = 3,
    /// No engine could run the model.
    Engine = 4,
    /// A MIDI port or system is missing, or another program has the port of the page or OSC.
    Port = 5,
    /// The take could not be written.
    Record = 6,
    /// A MIDI file could not be read, or a folder holds none.
    MidiFile = 7,
    /// A session file could not be read.
    Session = 8,
    /// A session did not come out as it was played.
    Differs = 9,
    /// A thread panicked; what sounded was released and the take closed.
    Panicked = 10,
    /// A SoundFont could not be read, a WAV file not written, or a sound device is missing that had to be there.
    Sound = 11,
    /// `antiphon doctor` found something wrong.
    Unfit = 12,
    /// Another program has the name of our ports.
    NameTaken = 13,
    /// A second signal to end, or an end in order that took too long: what sounded was released and the take closed,
    /// nothing else was waited for. What shells give for a program that Ctrl-C has ended.
    AtOnce = 130,
}

/// What each code means, for `antiphon --help`: the one place where they are listed for people.
const MEANINGS: [(Exit, &str); 15] = [
    (Exit::Done, "done"),
    (Exit::Failed, "failed"),
    (Exit::Usage, "wrong flags or configuration"),
    (Exit::Model, "model"),
    (Exit::Engine, "engine"),
    (Exit::Port, "MIDI port or system; a port for the page or OSC"),
    (Exit::Record, "take not written"),
    (Exit::MidiFile, "MIDI file not read"),
    (Exit::Session, "session file not read"),
    (Exit::Differs, "replay --check: not as it was played, or cut short"),
    (Exit::Panicked, "something in the program broke; what sounded was released and the take closed"),
    (Exit::Sound, "sound: SoundFont, WAV file or device"),
    (Exit::Unfit, "doctor: something is wrong here"),
    (Exit::NameTaken, "another Antiphon runs under this name (--name)"),
    (Exit::AtOnce, "ended at once by a second signal"),
];

/// The codes and their meanings, a line each.
pub(super) fn codes() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for (exit, meaning) in MEANINGS {
        let _ = writeln!(text, "  {:>3}  {meaning}", exit as u8);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once_in_order() {
        let listed: Vec<u8> = MEANINGS.iter().map(|(exit, _)| *exit as u8).collect();
        assert!(listed.is_sorted_by(|a, b| a < b), "{listed:?}");
        // A code that is added to the enum but not to the list ends this match.
        for (exit, _) in MEANINGS {
            match exit {
                Exit::Done | Exit::Failed | Exit::Usage | Exit::Model | Exit::Engine | Exit::Port => {}
                Exit::Record | Exit::MidiFile | Exit::Session | Exit::Differs | Exit::Panicked => {}
                Exit::Sound | Exit::Unfit | Exit::NameTaken | Exit::AtOnce => {}
            }
        }
        assert!(codes().contains("130  ended at once"), "{}", codes());
    }
}
