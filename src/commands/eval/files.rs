//! Which files are evaluated, and which the baselines learn from.

use std::path::{Path, PathBuf};

use crate::commands::{Exit, Failure};
use crate::note_model::ANY_STYLE;
use crate::song_folder::{NOT_MUSIC, entries, is_midi, midi_files, name};

/// Names of the parts of a style that is split.
const PARTS: [&str; 3] = ["train", "valid", "test"];

/// Files of one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StyleFiles {
    /// The style's name: that of its folder, or `any`.
    pub style: String,
    /// Where the files lie.
    pub from: PathBuf,
    /// The files, sorted.
    pub files: Vec<PathBuf>,
    /// The folder that holds the style's train/, if the style is split.
    pub split: Option<PathBuf>,
}

impl StyleFiles {
    fn of_part(split: &Path, part: &str) -> Self {
        let from = split.join(part);
        Self { style: name(split), files: midi_files(&from), from, split: Some(split.to_owned()) }
    }

    /// The files of another part of the same style; none where the style is not split.
    pub fn beside(&self, part: &str) -> Vec<PathBuf> {
        self.split.as_ref().map(|split| midi_files(&split.join(part))).unwrap_or_default()
    }
}

/// The files of a folder, or of one part where it is split, style by style. A folder that is itself one part of a split
/// style is taken whole; so is a style that is not split.
pub(super) fn find(folder: &Path, part: &str) -> Result<Vec<StyleFiles>, Failure> {
    let unreadable = |cause: std::io::Error| {
        let sentence = format!("cannot read the folder {}: {cause}; check the path", folder.display());
        Failure::new(Exit::MidiFile, sentence)
    };
    let absolute = folder.canonicalize().map_err(unreadable)?;
    let parent = absolute.parent().filter(|parent| is_split(parent));
    let mut found = Vec::new();
    if is_split(&absolute) {
        found.push(StyleFiles::of_part(&absolute, part));
    } else if let Some(split) = parent.filter(|_| PARTS.contains(&name(&absolute).as_str())) {
        found.push(StyleFiles::of_part(split, &name(&absolute)));
    } else if absolute.is_file() {
        let files = vec![absolute.clone()];
        found.push(StyleFiles { style: ANY_STYLE.into(), from: absolute, files, split: None });
    } else {
        let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) =
            entries(&absolute).map_err(unreadable)?.into_iter().partition(|entry| entry.is_dir());
        let files = files.into_iter().filter(|file| is_midi(file)).collect();
        found.push(StyleFiles { style: ANY_STYLE.into(), from: absolute, files, split: None });
        for folder in folders.into_iter().filter(|folder| name(folder) != NOT_MUSIC) {
            found.push(if is_split(&folder) {
                StyleFiles::of_part(&folder, part)
            } else {
                StyleFiles { style: name(&folder), files: midi_files(&folder), from: folder, split: None }
            });
        }
    }
    found.retain(|style| !style.files.is_empty());
    if found.is_empty() {
        let sentence = format!("{} holds no MIDI files to take; name a folder of .mid files", folder.display());
        return Err(Failure::new(Exit::MidiFile, sentence));
    }
    Ok(found)
}

fn is_split(folder: &Path) -> bool {
    folder.join(PARTS[0]).is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these empty files.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("inside")).expect("made");
            std::fs::write(path, "").expect("written");
        }
        folder
    }

    fn told(folder: &Path, part: &str) -> Vec<(String, usize)> {
        let found = find(folder, part).expect("there");
        found.into_iter().map(|style| (style.style, style.files.len())).collect()
    }

    #[test]
    fn of_a_split_style_one_part_is_taken() {
        let songs = folder(&[
            "top.mid",
            "notes.txt",
            "folk/a.MID",
            "folk/more/b.midi",
            "waltz/train/c.mid",
            "waltz/train/d.mid",
            "waltz/valid/e.mid",
            "waltz/test/f.mid",
            "rag/train/g.mid",
            "adversarial/bad.mid",
        ]);
        let any_and_folk = [("any".to_owned(), 1), ("folk".to_owned(), 2)];
        assert_eq!(told(songs.path(), "test"), [&any_and_folk[..], &[("waltz".into(), 1)]].concat());
        assert_eq!(
            told(songs.path(), "train"),
            [&any_and_folk[..], &[("rag".into(), 1), ("waltz".into(), 2)]].concat()
        );
        let waltz = songs.path().join("waltz");
        assert_eq!(told(&waltz, "test"), [("waltz".into(), 1)]);
        assert_eq!(told(&waltz.join("valid"), "test"), [("waltz".into(), 1)]);
        let style = &find(&waltz, "test").expect("there")[0];
        assert_eq!((style.beside("train").len(), style.beside("valid").len()), (2, 1));
        assert_eq!(told(&songs.path().join("top.mid"), "test"), [("any".into(), 1)]);
    }

    #[test]
    fn a_folder_without_midi_files_is_refused() {
        let songs = folder(&["notes.txt"]);
        assert!(find(songs.path(), "test").expect_err("empty").sentence.contains("no MIDI files"));
        assert!(find(&songs.path().join("missing"), "test").expect_err("missing").sentence.contains("missing"));
    }
}
