//! Fits the weights of what falls together on pieces that the model was not trained on, and prints them as JSON:
//!
//! `cargo run --release --example tune_coincidence -- MODEL FOLDER [NOTES] > weights.json`
//!
//! The file belongs to `src/coincidence/`; the one there was made with the bundled model, the memory's weights beside it
//! and 16000 notes of each style. So these weights are to be fitted after those of the memory (`tune_memory`).
//!
//! FOLDER holds a folder for each style; of each, NOTES notes of its valid/ part are taken (unless told otherwise
//! 16000). First the weights are fitted on every second piece and counted on the others; then they are fitted on all.

mod held_out;

use anyhow::Result;

use antiphon::coincidence::tuning::{LEANED, Row, bits, fit, rows};
use antiphon::evaluation::remembering;
use antiphon::memory::Memory;

fn main() -> Result<()> {
    let mut pieces: Vec<[Vec<Row>; 3]> = Vec::new();
    held_out::each("tune_coincidence", 16_000, |notes, classes, logits| {
        pieces.push(rows(notes, classes, &remembering(classes, logits, Memory::default())));
    })?;
    let mut all = Vec::new();
    for (number, attribute) in LEANED.into_iter().enumerate() {
        let part = |keep: &dyn Fn(usize) -> bool| -> Vec<&Row> {
            let kept = pieces.iter().enumerate().filter(|(piece, _)| keep(*piece));
            kept.flat_map(|(_, piece)| &piece[number]).collect()
        };
        let half = fit(attribute, &part(&|piece| piece % 2 == 0));
        let (with, without) = bits(&half, &part(&|piece| piece % 2 == 1));
        eprintln!("{}: {with:.3} bits leaned, {without:.3} without", attribute.name());
        all.push(fit(attribute, &part(&|_| true)));
    }
    println!("{}", serde_json::to_string(&all)?.replace("],[", "],\n["));
    Ok(())
}
