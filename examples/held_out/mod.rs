//! The held-out pieces on which weights are fitted, and what a model says of them.

mod pieces;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use antiphon::evaluation::encode;
use antiphon::model::{Engine, EngineChoice, Logits, LstmModel, ModelFile};
use antiphon::note::Note;
use antiphon::note_model::NoteClasses;
use pieces::{of_style, sorted};

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
        let pieces = of_style(&style, most)?;
        for notes in &pieces {
            let classes = encode(notes);
            piece(notes, &classes, &model.score(&classes, 0)?);
        }
        let notes: usize = pieces.iter().map(Vec::len).sum();
        eprintln!("{}: {notes} notes of {} pieces", style.display(), pieces.len());
    }
    Ok(())
}
