//! Files to pieces; what cannot be used is said and left out.

use std::num::NonZero;
use std::path::PathBuf;

use crate::evaluation::{encode, is_flat};
use crate::markov::in_parallel;
use crate::midi_file::{MAX_NOTES, read_notes};
use crate::note::Note;
use crate::note_model::NoteClasses;

/// Notes of a piece that are scored at most: a model's logits of so many take some 80 MB.
const MOST_SCORED: usize = 50_000;

/// A piece that was read.
pub(super) struct Piece {
    /// Its file.
    pub path: PathBuf,
    /// Its notes as classes.
    pub classes: Vec<NoteClasses>,
    /// The same as they were played.
    pub notes: Vec<Note>,
    /// Whether its velocities say nothing.
    pub is_flat: bool,
}

/// Reads files to be evaluated: of very long pieces the first [`MOST_SCORED`] notes.
pub(super) fn read(files: &[PathBuf], threads: NonZero<usize>) -> Vec<Piece> {
    read_up_to(files, MOST_SCORED, threads)
}

/// Reads files to be learnt from.
pub(super) fn read_classes(files: &[PathBuf], threads: NonZero<usize>) -> Vec<Vec<NoteClasses>> {
    read_up_to(files, MAX_NOTES, threads).into_iter().map(|piece| piece.classes).collect()
}

fn read_up_to(files: &[PathBuf], most: usize, threads: NonZero<usize>) -> Vec<Piece> {
    let read = in_parallel(files, threads, |path| {
        let mut notes = read_notes(path).map_err(|error| error.to_string())?;
        if notes.is_empty() {
            return Err("holds no notes".to_owned());
        }
        let cut = notes.len().saturating_sub(most);
        notes.truncate(most);
        Ok((Piece { path: path.clone(), classes: encode(&notes), is_flat: is_flat(&notes), notes }, cut))
    });
    let mut pieces = Vec::new();
    for (path, result) in files.iter().zip(read) {
        match result {
            Ok((piece, cut)) => {
                if cut > 0 {
                    eprintln!("{}: only the first {most} notes are scored", path.display());
                }
                pieces.push(piece);
            }
            Err(why) => eprintln!("left out: {} {why}", path.display()),
        }
    }
    pieces
}
