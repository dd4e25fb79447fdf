//! The takes in the folder that is recorded to: the one that is recorded, and what lies beside it under its name with a
//! time behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::midi::{ShortMessage, TimedMessage};
use crate::midi_file::read_events;
use crate::playback::Recording;
use crate::song_folder::{entries, is_midi, name};

/// A take's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeFile {
    /// Where it is.
    pub path: PathBuf,
    /// When it was written last.
    pub modified: SystemTime,
}

/// The takes beside `current`, the one that is recorded, and that one: newest first.
pub fn list(current: &Path) -> Vec<TakeFile> {
    let folder = current.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stem = current.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut takes: Vec<TakeFile> = entries(folder)
        .unwrap_or_default()
        .into_iter()
        .filter(|path| is_midi(path) && name(path).starts_with(&stem) && path.is_file())
        .filter_map(|path| {
            Some(TakeFile { modified: fs::metadata(&path).and_then(|data| data.modified()).ok()?, path })
        })
        .collect();
    // The one that is recorded is the newest, also where it was written in the same moment as another.
    takes.sort_by_key(|take| (name(&take.path) == name(current), take.modified, take.path.clone()));
    takes.reverse();
    takes
}

/// The take of that name: only what is listed, so that no name leads out of the folder.
pub fn find(current: &Path, wanted: &str) -> Option<PathBuf> {
    list(current).into_iter().map(|take| take.path).find(|path| name(path) == wanted)
}

/// Reads the take of that name, or the newest one with a note in it, to be played back.
///
/// # Errors
/// One sentence, when there is none or its file is damaged.
pub fn read(current: &Path, wanted: Option<&str>) -> Result<Recording, String> {
    match wanted {
        Some(wanted) => {
            let path = find(current, wanted).ok_or_else(|| format!("there is no take {wanted:?}"))?;
            recording(&path)
        }
        None => list(current)
            .iter()
            .find_map(|take| recording(&take.path).ok().filter(has_a_note))
            .ok_or_else(|| "there is no take with a note in it yet".to_owned()),
    }
}

fn has_a_note(recording: &Recording) -> bool {
    recording.messages.iter().any(|timed| timed.message.is_note_on())
}

fn recording(path: &Path) -> Result<Recording, String> {
    let name = name(path);
    let events = read_events(path).map_err(|why| format!("{name}: {why}"))?;
    let timed = events.iter().filter_map(|event| {
        let message = ShortMessage::from_bytes(event.bytes()).ok().filter(|message| message.channel().is_some())?;
        Some(TimedMessage { time: event.time, message })
    });
    Ok(Recording { messages: timed.collect(), name: name.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::take::{Happening, Take};

    fn write(path: &Path, notes: &[(u64, u8)]) {
        let mut take = Take::default();
        for &(ms, key) in notes {
            take.add(Happening::Human(TimedMessage::on(ms, key)));
            take.add(Happening::Human(TimedMessage::off(ms + 100, key)));
        }
        fs::write(path, take.to_midi().expect("short")).expect("written");
    }

    #[test]
    fn without_a_name_the_newest_take_with_a_note_is_read_and_no_name_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let current = path("take.mid");
        assert!(read(&current, None).expect_err("nothing there").contains("no take"));
        write(&current, &[]);
        assert!(read(&current, None).expect_err("no note").contains("no take with a note"));
        write(&path("take-20260101-120000.mid"), &[(0, 60)]);
        write(&path("other.mid"), &[(0, 61)]);
        let read_of = |name| read(&current, name).map(|recording| recording.name.to_string());
        assert_eq!(read_of(None).as_deref(), Ok("take-20260101-120000.mid"));
        write(&current, &[(0, 62)]);
        assert_eq!(read_of(None).as_deref(), Ok("take.mid"), "the one that is recorded is the newest");
        assert_eq!(read(&current, None).expect("read").messages[0].message, TimedMessage::on(0, 62).message);
        fs::write(path("take-9.mid"), "no MIDI").expect("written");
        for name in ["other.mid", "../take.mid", "/etc/passwd", ""] {
            assert!(read_of(Some(name)).expect_err(name).contains("no take"));
        }
        assert!(read_of(Some("take-9.mid")).expect_err("damaged").starts_with("take-9.mid: "));
    }
}
