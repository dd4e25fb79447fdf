//! From folders of .mid files to pieces: found, read, rid of doubles, split.

mod find;

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use antiphon::note::Note;
use antiphon::note_model::{ANY_STYLE, NoteClasses};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::augment::{Character, encode};
use crate::dataset::find::{Found, Part, find_styles};
use crate::error::TrainError;
use crate::reading::Reader;
use crate::sessions::Lesson;

/// Fewest notes that are worth training on.
pub const FEWEST_NOTES: usize = 20;
/// One in so many pieces is held out where the folders do not say which.
const HELD_OUT_ONE_IN: usize = 10;
/// Styles that a model can hold, `any` among them.
const MOST_STYLES: usize = 256;

/// A piece of music.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Where it was read from.
    pub path: PathBuf,
    /// Style number.
    pub style: u8,
    /// Its notes by onset, then key.
    pub notes: Vec<Note>,
    /// Its notes as classes, as they are held out and counted.
    pub classes: Vec<NoteClasses>,
    /// What it can teach.
    pub character: Character,
    digest: [u8; 32],
}

/// A file that could not be used, or only in part.
#[derive(Clone, Debug)]
pub struct Reject {
    /// The file.
    pub path: PathBuf,
    /// Why, in words that follow the path.
    pub why: String,
}

impl Reject {
    /// The path and why.
    pub fn line(&self) -> String {
        format!("{} {}", self.path.display(), self.why)
    }
}

/// All that was found.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// Style names; number 0 is `any`.
    pub styles: Vec<String>,
    /// Pieces to train on, in the order of their digests.
    pub training: Vec<Piece>,
    /// Pieces never trained on, likewise.
    pub held_out: Vec<Piece>,
    /// Files with a MIDI name.
    pub files: usize,
    /// Files that could not be used.
    pub rejects: Vec<Reject>,
    /// Files of which only what stands before a broken place is learnt.
    pub damaged: Vec<Reject>,
    /// Pieces left out because another file holds the same notes.
    pub doubles: usize,
    /// Pieces that are recorded sessions, of which only the player's track is learnt.
    pub sessions: usize,
    /// Whether the end of the only piece stands in for held-out pieces.
    pub cut_one_piece: bool,
    /// SHA-256 of all pieces with style and part, in hexadecimal.
    pub sha256: String,
}

/// How much there is of a style: pieces and notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StyleCount<'a> {
    /// Its name.
    pub name: &'a str,
    /// To train on.
    pub training: (usize, usize),
    /// Never trained on.
    pub held_out: (usize, usize),
}

impl Dataset {
    /// Reads the folders anew and in silence. The split depends on the seed and the pieces' notes alone, not on names.
    ///
    /// # Errors
    /// When a folder cannot be read, or all of them together hold fewer than [`FEWEST_NOTES`] valid notes.
    pub fn read(folders: &[PathBuf], seed: u64) -> Result<Self, TrainError> {
        Self::read_onto(&[], folders, seed, &Reader::default())
    }

    /// Reads the folders as the reader does; `known` styles keep their numbers, new ones follow.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    pub fn read_onto(known: &[String], folders: &[PathBuf], seed: u64, reader: &Reader) -> Result<Self, TrainError> {
        let mut files = Vec::new();
        for folder in folders {
            let mut found = Vec::new();
            find_styles(folder, &mut found)?;
            let paths: Vec<&Path> = found.iter().map(|file| file.path.as_path()).collect();
            let lessons = reader.read(folder, &paths);
            files.extend(found.into_iter().zip(lessons));
        }
        // Validation files come first: a piece that is in both parts is never trained on.
        files.sort_by(|(a, _), (b, _)| (a.part, &a.path).cmp(&(b.part, &b.path)));
        let mut dataset = Self { files: files.len(), ..Self::default() };

        dataset.styles = if known.is_empty() { vec![ANY_STYLE.to_owned()] } else { known.to_vec() };
        let named: BTreeSet<&str> = files.iter().map(|(file, _)| file.style.as_str()).collect();
        let new: Vec<&str> =
            named.into_iter().filter(|&name| !dataset.styles.iter().any(|known| known == name)).collect();
        let room = MOST_STYLES.saturating_sub(dataset.styles.len());
        dataset.styles.extend(new.into_iter().take(room).map(str::to_owned));

        let styles = &dataset.styles;
        let read: Vec<_> = files
            .into_par_iter()
            .map(|(file, lesson)| {
                let Lesson { notes, is_session, damage } = match lesson {
                    Ok(lesson) => lesson,
                    Err(why) => return Err(Reject { path: file.path, why }),
                };
                if notes.is_empty() {
                    let why = if is_session { "holds no notes of the player" } else { "holds no notes" };
                    return Err(Reject { path: file.path, why: why.into() });
                }
                let damage = damage.map(|why| Reject { path: file.path.clone(), why });
                Ok((file.part, Piece::new(file, notes, styles), is_session, damage))
            })
            .collect();

        let mut seen = HashSet::new();
        let mut pieces = Vec::new();
        for read in read {
            match read {
                Err(reject) => dataset.rejects.push(reject),
                Ok((part, piece, is_session, damage)) => {
                    dataset.damaged.extend(damage);
                    if seen.insert(piece.digest) {
                        pieces.push((part, piece));
                        dataset.sessions += usize::from(is_session);
                    } else {
                        dataset.doubles += 1;
                    }
                }
            }
        }
        let notes: usize = pieces.iter().map(|(_, piece)| piece.notes.len()).sum();
        if notes < FEWEST_NOTES {
            return Err(TrainError::TooFewNotes {
                found: notes,
                needed: FEWEST_NOTES,
                place: folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", "),
                files: dataset.files,
                rejects: dataset.rejects.iter().map(Reject::line).collect(),
            });
        }
        dataset.split(pieces, seed);
        dataset.sha256 = dataset.digest();
        Ok(dataset)
    }

    /// Assigns the pieces: as their folders say; else one in ten, and at least one in all, is held out.
    fn split(&mut self, mut pieces: Vec<(Part, Piece)>, seed: u64) {
        pieces.sort_by_key(|(_, piece)| lot(seed, &piece.digest));
        let validated: HashSet<u8> =
            pieces.iter().filter(|(part, _)| *part == Part::Valid).map(|(_, piece)| piece.style).collect();
        let undecided = |part: Part, piece: &Piece| {
            part == Part::Undecided || (part == Part::Train && !validated.contains(&piece.style))
        };
        let count = pieces.iter().filter(|(part, piece)| undecided(*part, piece)).count();
        let mut to_hold_out = count / HELD_OUT_ONE_IN;
        if to_hold_out == 0 && validated.is_empty() {
            to_hold_out = 1;
        }
        let only_one = pieces.len() == 1;
        for (part, piece) in pieces {
            if only_one {
                let (training, held_out) = piece.cut();
                self.training.push(training);
                self.held_out.push(held_out);
                self.cut_one_piece = true;
            } else if part == Part::Valid {
                self.held_out.push(piece);
            } else if to_hold_out > 0 && undecided(part, &piece) {
                to_hold_out -= 1;
                self.held_out.push(piece);
            } else {
                self.training.push(piece);
            }
        }
        // Only validation files: the split is drawn after all.
        if self.training.is_empty() {
            let keep = (self.held_out.len() / HELD_OUT_ONE_IN).max(1);
            self.training = self.held_out.split_off(keep);
        }
        self.training.sort_by_key(|piece| piece.digest);
        self.held_out.sort_by_key(|piece| piece.digest);
    }

    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (part, pieces) in [(b"train", &self.training), (b"valid", &self.held_out)] {
            for piece in pieces {
                hash.update(part);
                hash.update(self.styles[usize::from(piece.style)].as_bytes());
                hash.update(piece.digest);
            }
        }
        hexadecimal(&hash.finalize())
    }

    /// Notes to train on.
    pub fn training_notes(&self) -> usize {
        self.training.iter().map(|piece| piece.notes.len()).sum()
    }

    /// The styles that have pieces.
    pub fn by_style(&self) -> Vec<StyleCount<'_>> {
        let count = |pieces: &[Piece], number: usize| {
            let of_style = pieces.iter().filter(|piece| usize::from(piece.style) == number);
            of_style.fold((0, 0), |(pieces, notes), piece| (pieces + 1, notes + piece.notes.len()))
        };
        let styles = self.styles.iter().enumerate().map(|(number, name)| StyleCount {
            name,
            training: count(&self.training, number),
            held_out: count(&self.held_out, number),
        });
        styles.filter(|style| style.training.0 + style.held_out.0 > 0).collect()
    }

    /// What was found, for people: rejects first, one line each, then a line for each style.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for reject in &self.rejects {
            let _ = writeln!(text, "rejected: {}", reject.line());
        }
        for damaged in &self.damaged {
            let _ = writeln!(text, "read in part: {}", damaged.line());
        }
        let pieces = self.training.len() + self.held_out.len();
        let held_out: usize = self.held_out.iter().map(|piece| piece.notes.len()).sum();
        let notes = self.training_notes() + held_out;
        let _ = writeln!(
            text,
            "found {} MIDI files: {pieces} pieces with {notes} notes, {} doubles left out, {} files rejected{}",
            self.files,
            self.doubles,
            self.rejects.len(),
            if self.damaged.is_empty() { String::new() } else { format!(", {} read in part", self.damaged.len()) },
        );
        for StyleCount { name, training: (pieces, notes), held_out: (held_pieces, held_notes) } in self.by_style() {
            let _ = writeln!(
                text,
                "  style {name}: {pieces} pieces, {notes} notes to train on; {held_pieces} pieces, {held_notes} notes held out"
            );
        }
        if self.sessions > 0 {
            let _ = writeln!(
                text,
                "  {} of the pieces are recorded sessions: only what the player played (track \"You\") is learnt",
                self.sessions
            );
        }
        if self.cut_one_piece {
            let _ = writeln!(text, "  there is only one piece: its last tenth is held out, which says little");
        }
        text
    }
}

impl Piece {
    fn new(file: Found, notes: Vec<Note>, styles: &[String]) -> Self {
        let style = styles.iter().position(|style| *style == file.style).unwrap_or(0);
        let style = u8::try_from(style).unwrap_or(0);
        Self::from_notes(file.path, style, notes)
    }

    /// A piece from its notes, which are ordered by onset, then key.
    pub fn from_notes(path: PathBuf, style: u8, notes: Vec<Note>) -> Self {
        let classes = encode(&notes);
        let mut hash = Sha256::new();
        classes.iter().for_each(|note| hash.update(note.0));
        let character = Character::of(&notes);
        Self { path, style, notes, classes, character, digest: hash.finalize().into() }
    }

    /// The first nine tenths and the rest.
    fn cut(mut self) -> (Self, Self) {
        let rest = self.notes.split_off(self.notes.len() - (self.notes.len() / HELD_OUT_ONE_IN).max(1));
        let held_out = Self::from_notes(self.path.clone(), self.style, rest);
        (Self::from_notes(self.path, self.style, self.notes), held_out)
    }
}

/// The lot of a piece in the split.
fn lot(seed: u64, digest: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(seed.to_le_bytes()).chain_update(digest).finalize().into()
}

/// Bytes as hexadecimal text.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
