//! The held-out pieces of a style.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use antiphon::midi_file::read_notes;
use antiphon::note::Note;

/// Notes of a piece that are taken.
const LONGEST: usize = 8_000;

/// Pieces of the style's valid/ part with at least `most` notes together, if there are so many.
pub fn of_style(style: &Path, most: usize) -> Result<Vec<Vec<Note>>> {
    let valid = style.join("valid");
    let (mut taken, mut pieces) = (0, Vec::new());
    for file in if valid.is_dir() { sorted(&valid)? } else { Vec::new() } {
        let Ok(mut notes) = read_notes(&file) else { continue };
        notes.truncate(LONGEST);
        taken += notes.len();
        pieces.push(notes);
        if taken >= most {
            break;
        }
    }
    Ok(pieces)
}

/// What a folder holds, in an order that does not favour the first names.
pub fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort_by_key(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.iter().fold(7u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
    });
    Ok(paths)
}
