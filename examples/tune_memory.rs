//! Fits the weights of the session memory on pieces that the model was not trained on, and prints them as JSON:
//!
//! `cargo run --release --example tune_memory -- MODEL FOLDER [NOTES] > weights.json`
//!
//! The file belongs to `src/memory/`; the one there was made with the bundled model and 16000 notes of each style.
//!
//! FOLDER holds a folder for each style; of each, NOTES notes of its valid/ part are taken (unless told otherwise
//! 25000). First the weights are fitted on every second piece and counted on the others, so that what is said about
//! them is said about pieces that they do not know; then they are fitted on all.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use antiphon::evaluation::encode;
use antiphon::memory::tuning::{Row, bits, fit, rows};
use antiphon::midi_file::read_notes;
use antiphon::model::{Engine, EngineChoice, LstmModel, ModelFile};
use antiphon::note_model::Attribute;

/// Notes of a piece that are taken.
const LONGEST: usize = 8_000;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "tune_memory MODEL FOLDER [NOTES]";
    let model = PathBuf::from(arguments.next().context(usage)?);
    let folder = PathBuf::from(arguments.next().context(usage)?);
    let most: usize = arguments.next().map_or(Ok(25_000), |notes| notes.parse()).context(usage)?;
    let mut model = LstmModel::load(&ModelFile::read(&model)?, &Engine::start(&EngineChoice::Embedded)?)?;

    let mut pieces: Vec<[Vec<Row>; 4]> = Vec::new();
    for style in sorted(&folder)? {
        let valid = style.join("valid");
        let (mut taken, mut count) = (0, 0);
        for file in if valid.is_dir() { sorted(&valid)? } else { Vec::new() } {
            let Ok(notes) = read_notes(&file) else { continue };
            let classes = encode(&notes[..notes.len().min(LONGEST)]);
            pieces.push(rows(&classes, &model.score(&classes, 0)?));
            (taken, count) = (taken + classes.len(), count + 1);
            if taken >= most {
                break;
            }
        }
        eprintln!("{}: {taken} notes of {count} pieces", style.display());
    }

    let mut gates = Vec::new();
    for attribute in Attribute::ALL {
        let part = |keep: &dyn Fn(usize) -> bool| -> Vec<&Row> {
            let kept = pieces.iter().enumerate().filter(|(number, _)| keep(*number));
            kept.flat_map(|(_, piece)| &piece[attribute.index()]).collect()
        };
        let gate = fit(&part(&|number| number % 2 == 0));
        let (with, alone) = bits(&gate, &part(&|number| number % 2 == 1));
        eprintln!("{}: {with:.3} bits with memory, {alone:.3} without", attribute.name());
        gates.push(fit(&part(&|_| true)));
    }
    println!("{}", serde_json::to_string(&gates)?.replace("],[[", "],\n[["));
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
