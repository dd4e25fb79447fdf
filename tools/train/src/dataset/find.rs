//! Which files there are, of which style, and which part their folders assign them to.

use std::path::{Path, PathBuf};

use antiphon::note_model::ANY_STYLE;
use antiphon::song_folder::{NOT_MUSIC, entries, is_midi, midi_files, name};

use crate::error::TrainError;

/// Which part the folders assign a file to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Valid,
    Train,
    Undecided,
}

pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) style: String,
    pub(super) part: Part,
}

/// Files directly in the folder have style `any`, first-level folders are styles. A folder that is itself split into
/// train/ and the rest is one style.
pub(super) fn find_styles(folder: &Path, found: &mut Vec<Found>) -> Result<(), TrainError> {
    let entries = entries(folder).map_err(|cause| TrainError::Folder { folder: folder.to_owned(), cause })?;
    if entries.iter().any(|entry| entry.is_dir() && name(entry) == "train") {
        let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        find_parts(folder, &name(&absolute), found);
        return Ok(());
    }
    for entry in entries {
        if entry.is_dir() {
            let style = name(&entry);
            if style != NOT_MUSIC {
                find_parts(&entry, &style, found);
            }
        } else if is_midi(&entry) {
            found.push(Found { path: entry, style: ANY_STYLE.into(), part: Part::Undecided });
        }
    }
    Ok(())
}

fn find_parts(folder: &Path, style: &str, found: &mut Vec<Found>) {
    let inside = entries(folder).unwrap_or_default();
    let is_split = inside.iter().any(|entry| entry.is_dir() && name(entry) == "train");
    for entry in inside {
        let part = match name(&entry).as_str() {
            "test" if is_split => continue,
            "train" if is_split => Part::Train,
            "valid" if is_split => Part::Valid,
            _ => Part::Undecided,
        };
        let files = midi_files(&entry).into_iter();
        found.extend(files.map(|path| Found { path, style: style.to_owned(), part }));
    }
}
