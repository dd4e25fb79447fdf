//! Folders of songs: what is in them, in an order that is the same everywhere.

use std::io;
use std::path::{Path, PathBuf};

/// Folders deeper than this are taken for a loop of links.
const DEEPEST: usize = 16;

/// A folder of broken files for tests, which is not music.
pub const NOT_MUSIC: &str = "adversarial";

/// What is in a folder, sorted, without hidden entries.
///
/// # Errors
/// When the folder cannot be read.
pub fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths: io::Result<Vec<PathBuf>> = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths?;
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort_unstable();
    Ok(paths)
}

/// The MIDI files in a folder and all below it, sorted; of a file, the file itself if it is one. What cannot be read
/// is left out.
pub fn midi_files(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(path, 0, &mut files);
    files
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    if path.is_dir() && depth < DEEPEST {
        for entry in entries(path).unwrap_or_default() {
            collect(&entry, depth + 1, files);
        }
    } else if is_midi(path) {
        files.push(path.to_owned());
    }
}

/// The last part of a path, as text.
pub fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether the name ends as a MIDI file's does, in any case.
pub fn is_midi(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    matches!(extension.as_deref(), Some("mid" | "midi" | "smf"))
}
