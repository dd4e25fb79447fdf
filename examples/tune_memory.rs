//! Fits the weights of the session memory on pieces that the model was not trained on, and prints them as JSON:
//!
//! `cargo run --release --example tune_memory -- MODEL FOLDER [NOTES] > weights.json`
//!
//! The file belongs to `src/memory/`; the one there was made with the bundled model and 16000 notes of each style.
//!
//! FOLDER holds a folder for each style; of each, NOTES notes of its valid/ part are taken (unless told otherwise
//! 25000). First the weights are fitted on every second piece and counted on the others, so that what is said about
//! them is said about pieces that they do not know; then they are fitted on all.

mod held_out;

use anyhow::Result;

use antiphon::memory::tuning::{Row, bits, fit, rows};
use antiphon::note_model::Attribute;

fn main() -> Result<()> {
    let mut pieces: Vec<[Vec<Row>; 4]> = Vec::new();
    held_out::each("tune_memory", 25_000, |_, classes, logits| pieces.push(rows(classes, logits)))?;
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
