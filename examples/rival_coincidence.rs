//! What the Markov model gains from what falls together, the layer that the note model plays with (`src/coincidence/`):
//!
//! `cargo run --release --example rival_coincidence -- FOLDER [NOTES]`
//!
//! FOLDER holds a folder for each style, with train/, valid/ and test/. The chain of a style learns as in `antiphon eval`.
//! The layer's weights are fitted to the chains on valid/, on all styles together, as the note model's are
//! (`tune_coincidence`); a second time on the style's own pieces, which the note model's are not. Bits are those of test/,
//! of each style about NOTES notes if told. All of it takes 1 GB and six minutes of a processor.

#[path = "held_out/pieces.rs"]
mod held_out;

use std::collections::HashSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use antiphon::coincidence::tuning::{Fitted, LEANED, Row, bits, fit, rows_of};
use antiphon::evaluation::{Tally, encode, is_flat};
use antiphon::markov::{Chain, Training, fingerprint, in_parallel};
use antiphon::midi_file::read_notes;
use antiphon::note::Note;
use antiphon::note_model::{Attribute, NoteClasses};
use antiphon::song_folder::{entries, midi_files, name};

/// Notes of each style that the weights are fitted on, as for the note model.
const FITTED_ON: usize = 16_000;
/// Notes that are counted, and those of a piece that are scored, as `antiphon eval` has them.
const MOST_TRAINING_NOTES: usize = 1_500_000;
const MOST_SCORED: usize = 50_000;

struct Piece {
    notes: Vec<Note>,
    classes: Vec<NoteClasses>,
}

struct Style {
    name: String,
    training: Training,
    valid: Vec<Piece>,
    test: Vec<Piece>,
    /// The chain as it is, with weights fitted on all styles, with weights fitted on this one.
    tallies: [Tally; 3],
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = || "rival_coincidence FOLDER [NOTES]";
    let folder = PathBuf::from(arguments.next().with_context(usage)?);
    let most: usize = arguments.next().map_or(Ok(usize::MAX), |notes| notes.parse()).with_context(usage)?;
    let threads = std::thread::available_parallelism()?;
    let mut styles = read(&folder, most, threads)?;
    for attribute in Attribute::ALL {
        score(attribute, &mut styles, threads);
    }
    print(&styles);
    Ok(())
}

/// Fills in one attribute of the tallies.
fn score(attribute: Attribute, styles: &mut [Style], threads: NonZero<usize>) {
    let (mut valid, mut test) = (Vec::new(), Vec::new());
    for style in styles.iter_mut() {
        let chain = style.training.chain(attribute, threads);
        let costs = chain.bits(&classes(&style.test), threads);
        let sum: f64 = costs.iter().map(|bits| bits.with_piece).sum();
        style.tallies.iter_mut().for_each(|tally| tally.bits[attribute.index()] += sum);
        let is_leaned = LEANED.contains(&attribute);
        let rows = |pieces| if is_leaned { rows(attribute, &chain, pieces, threads) } else { Vec::new() };
        valid.push(rows(&style.valid));
        test.push(rows(&style.test));
        eprintln!("{}, {}: counted", attribute.name(), style.name);
    }
    if !LEANED.contains(&attribute) {
        return;
    }
    let together = fit(attribute, &valid.iter().flatten().collect::<Vec<_>>());
    for ((style, valid), test) in styles.iter_mut().zip(&valid).zip(&test) {
        let own = fit(attribute, &valid.iter().collect::<Vec<_>>());
        eprintln!("{}, {}: {:.3} bits saved on valid/", attribute.name(), style.name, saved(&together, valid).0);
        for (tally, weights) in style.tallies[1..].iter_mut().zip([&together, &own]) {
            tally.bits[attribute.index()] -= saved(weights, test).1;
        }
    }
}

fn rows(attribute: Attribute, chain: &Chain, pieces: &[Piece], threads: NonZero<usize>) -> Vec<Row> {
    let said = chain.log_probabilities(&classes(pieces), threads);
    let rows = pieces.iter().zip(&said).map(|(piece, said)| rows_of(attribute, &piece.notes, &piece.classes, said));
    rows.flatten().collect()
}

fn classes(pieces: &[Piece]) -> Vec<&[NoteClasses]> {
    pieces.iter().map(|piece| piece.classes.as_slice()).collect()
}

/// Bits that the layer saves a row, and all of them. Where a note has no row, the layer has nothing to say.
#[expect(clippy::cast_precision_loss, reason = "a number of notes")]
fn saved(weights: &Fitted, rows: &[Row]) -> (f64, f64) {
    let (leaned, plain) = bits(weights, &rows.iter().collect::<Vec<_>>());
    (plain - leaned, (plain - leaned) * rows.len() as f64)
}

fn read(folder: &Path, most: usize, threads: NonZero<usize>) -> Result<Vec<Style>> {
    let mut folders = entries(folder).with_context(|| folder.display().to_string())?;
    folders.retain(|style| !midi_files(&style.join("train")).is_empty());
    ensure!(!folders.is_empty(), "{} holds no style with MIDI files in train/", folder.display());
    let part = |style: &Path, part: &str| -> Vec<Vec<Note>> {
        let read = in_parallel(&midi_files(&style.join(part)), threads, |file| read_notes(file).ok());
        read.into_iter().flatten().filter(|notes| !notes.is_empty()).collect()
    };
    let encoded = |pieces: Vec<Vec<Note>>| pieces.iter().map(|notes| encode(notes)).collect::<Vec<_>>();
    let mut tests: Vec<Vec<Vec<Note>>> = folders.iter().map(|style| part(style, "test")).collect();
    tests.iter_mut().flatten().for_each(|notes| notes.truncate(MOST_SCORED));
    let evaluated: HashSet<u64> = tests.iter().flatten().map(|notes| fingerprint(&encode(notes))).collect();
    let piece = |notes: Vec<Note>| Piece { classes: encode(&notes), notes };
    let of_style = |(folder, mut test): (&PathBuf, Vec<Vec<Note>>)| {
        let mut taken = 0;
        test.retain(|notes| {
            let is_wanted = taken < most;
            taken += notes.len();
            is_wanted
        });
        let grid = |notes: &Vec<Note>| Tally::of_piece(&encode(notes), [0.0; 4], is_flat(notes));
        let mut valid: Vec<Piece> = held_out::of_style(folder, FITTED_ON)?.into_iter().map(piece).collect();
        valid.retain(|piece| !evaluated.contains(&fingerprint(&piece.classes)));
        let (train, tuning) = (encoded(part(folder, "train")), encoded(part(folder, "valid")));
        Ok(Style {
            name: name(folder),
            training: Training::new(train, tuning, &evaluated, MOST_TRAINING_NOTES),
            valid,
            tallies: [test.iter().map(grid).sum(); 3],
            test: test.into_iter().map(piece).collect(),
        })
    };
    folders.iter().zip(tests).map(of_style).collect()
}

fn print(styles: &[Style]) {
    let total = [0, 1, 2].map(|column| styles.iter().map(|style| style.tallies[column]).sum());
    let total = ("all", &total);
    let styles =
        styles.iter().filter(|style| !style.test.is_empty()).map(|style| (style.name.as_str(), &style.tallies));
    println!(
        "| set | notes | Markov = shift + key + duration + velocity | with the layer | with the layer fitted to the set |"
    );
    println!("|---|---|---|---|---|");
    for (name, tallies) in styles.chain([total]) {
        let columns = tallies.map(|tally| {
            let bits = tally.per_note();
            let parts = [bits.shift, bits.key, bits.duration, bits.velocity].map(|part| format!("{part:.3}"));
            format!("{:.2} = {}", bits.sum(), parts.join(" + "))
        });
        println!("| {name} | {} | {} |", tallies[0].notes, columns.join(" | "));
    }
}
