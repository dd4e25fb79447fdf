//! The held-out pieces on which weights are fitted, and what a model says of them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use antiphon::evaluation::encode;
use antiphon::midi_file::read_notes;
use antiphon::model::{Engine, EngineChoice, Logits, LstmModel, ModelFile};
use antiphon::note::Note;
use antiphon::note_model::NoteClasses;

/// Notes of a piece that are taken.
const LONGEST: usize = 8_000;

/// Reads `NAME MODEL FOLDER [NOTES]` from the command line and hands out the pieces of the valid/ parts, of each style at
/// least `most` notes unless NOTES says otherwise, with their classes and the model's logits.
pub fn each(name: &str, most: usize, mut piece: impl FnMut(&[Note], &[NoteClasses], &Logits)) -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = || format!("{name} MODEL FOLDER [NOTES]");
    let model = PathBuf::from(arguments.next().with_context(usage)?);
    let folder = PathBuf::from(arguments.next().with_context(usage)?);
    let most: usize = arguments.next().map_or(Ok(most), |notes| notes.parse()).with_context(usage)?;
    let mut model = LstmModel::load(&ModelFile::read(&model)?, &Engine::start(&EngineChoice::Embedded)?)?;
    for style in sorted(&folder)? {
        let valid = style.join("valid");
        let (mut taken, mut count) = (0, 0);
        for file in if valid.is_dir() { sorted(&valid)? } else { Vec::new() } {
            let Ok(notes) = read_notes(&file) else { continue };
            let notes = &notes[..notes.len().min(LONGEST)];
            let classes = encode(notes);
            piece(notes, &classes, &model.score(&classes, 0)?);
            (taken, count) = (taken + notes.len(), count + 1);
            if taken >= most {
                break;
            }
        }
        eprintln!("{}: {taken} notes of {count} pieces", style.display());
    }
    Ok(())
}

/// What a folder holds, in an order that does not favour the first names.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort_by_key(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.iter().fold(7u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
    });
    Ok(paths)
}
