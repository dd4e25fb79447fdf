//! The models that can be chosen while it plays.

use std::path::{Path, PathBuf};

use super::Wish;
use crate::model::Origin;
use crate::song_folder::{entries, name};

/// A model that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// What it is called on the list: the name of its file.
    pub name: String,
    /// As it is chosen: `model 2`, `model jazz.onnx`.
    pub control: String,
    /// Its file; `None`: it is inside the program.
    pub path: Option<PathBuf>,
}

/// Models that were named, by their numbers, and all model files in a folder, by their names. The folder is looked into
/// anew each time: training may have added one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChoice {
    named: Vec<Option<PathBuf>>,
    usual: PathBuf,
    folder: PathBuf,
}

impl ModelChoice {
    /// The one that it begins with, `None` being the file at `usual` or, without it, the one inside the program; then the
    /// others. The folder is the first one's.
    pub fn new(first: Option<PathBuf>, others: Vec<PathBuf>, usual: &Path) -> Self {
        let folder = first.as_deref().unwrap_or(usual).parent().unwrap_or(Path::new("")).to_owned();
        Self {
            named: std::iter::once(first).chain(others.into_iter().map(Some)).collect(),
            usual: usual.to_owned(),
            folder,
        }
    }

    /// How many were named.
    pub fn count(&self) -> usize {
        self.named.len()
    }

    /// All that can be chosen now.
    pub fn list(&self) -> Vec<Offered> {
        let usual = Some(&self.usual).filter(|usual| usual.exists());
        let named = (1..).zip(&self.named).map(|(number, path)| {
            let path = path.as_ref().or(usual).cloned();
            let name = path.as_deref().map_or_else(|| Origin::BUNDLED.to_owned(), name);
            Offered { name, control: format!("model {number}"), path }
        });
        let mut offered: Vec<Offered> = named.collect();
        for path in self.in_folder() {
            let same = |offered: &Offered| offered.path.as_deref().is_some_and(|known| is_same(known, &path));
            if !offered.iter().any(same) {
                offered.push(Offered {
                    name: name(&path),
                    control: format!("model {}", name(&path)),
                    path: Some(path),
                });
            }
        }
        offered
    }

    /// The file of the one that is wanted.
    ///
    /// # Errors
    /// One sentence with those that there are.
    pub fn find(&self, wish: &Wish) -> Result<Option<PathBuf>, String> {
        match wish {
            Wish::Number(number) => {
                let found = usize::from(*number).checked_sub(1).and_then(|index| self.named.get(index));
                found.cloned().ok_or_else(|| {
                    format!("there is no model {number}; {} of them were named, from 1", self.named.len())
                })
            }
            Wish::Named(wanted) => {
                let files = self.in_folder();
                let whole = files.iter().find(|path| name(path) == **wanted);
                let stem = || files.iter().find(|path| path.file_stem().is_some_and(|stem| *stem == **wanted));
                whole.or_else(stem).cloned().map(Some).ok_or_else(|| {
                    let there: Vec<String> = files.iter().map(|path| name(path)).collect();
                    let there = if there.is_empty() { "there is none".to_owned() } else { there.join(", ") };
                    format!("there is no model {wanted:?} in {}: {there}", self.shown_folder())
                })
            }
        }
    }

    /// Whether the model of that origin's name is this one.
    pub fn is_playing(offered: &Offered, origin: &str) -> bool {
        match &offered.path {
            Some(path) => is_same(path, Path::new(origin)),
            None => origin == Origin::BUNDLED,
        }
    }

    fn shown_folder(&self) -> std::path::Display<'_> {
        if self.folder.as_os_str().is_empty() { Path::new(".").display() } else { self.folder.display() }
    }

    fn in_folder(&self) -> Vec<PathBuf> {
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let mut files = entries(folder).unwrap_or_default();
        files.retain(|path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")));
        files
    }
}

/// Whether two paths lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole(one) == whole(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_named_has_its_number_and_what_lies_beside_it_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["a.onnx", "b.onnx", "2.onnx", "notes.txt", ".hidden.onnx"] {
            std::fs::write(path(name), "").expect("written");
        }
        let choice = ModelChoice::new(Some(path("b.onnx")), vec![path("c.onnx")], Path::new("models/antiphon.onnx"));
        let list = choice.list();
        let shown: Vec<_> = list.iter().map(|offered| (offered.name.as_str(), offered.control.as_str())).collect();
        let wanted =
            [("b.onnx", "model 1"), ("c.onnx", "model 2"), ("2.onnx", "model 2.onnx"), ("a.onnx", "model a.onnx")];
        assert_eq!(shown, wanted);
        for offered in &list {
            let wish = match crate::control::Control::parse(&offered.control).expect("can be asked for") {
                crate::control::Control::Model(number) => Wish::Number(number),
                crate::control::Control::ModelNamed(name) => Wish::Named(name),
                other => panic!("{other}"),
            };
            assert_eq!(choice.find(&wish).as_ref(), Ok(&offered.path), "{}", offered.control);
        }
        assert!(ModelChoice::is_playing(&list[3], &path("a.onnx").display().to_string()));
        assert!(!ModelChoice::is_playing(&list[3], Origin::BUNDLED));
        assert_eq!(choice.find(&Wish::Named("a".into())), Ok(Some(path("a.onnx"))), "without the ending");
        let why = choice.find(&Wish::Named("d".into())).expect_err("none");
        assert!(why.contains("a.onnx, b.onnx") && choice.find(&Wish::Number(3)).is_err(), "{why}");
        std::fs::write(path("d.onnx"), "").expect("written");
        assert!(choice.find(&Wish::Named("d".into())).is_ok(), "one that was trained meanwhile");
    }

    #[test]
    fn without_a_name_the_usual_file_or_the_model_inside_is_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let usual = folder.path().join("antiphon.onnx");
        let choice = ModelChoice::new(None, Vec::new(), &usual);
        let inside = Offered { name: Origin::BUNDLED.into(), control: "model 1".into(), path: None };
        assert_eq!(choice.list(), std::slice::from_ref(&inside));
        assert!(ModelChoice::is_playing(&inside, Origin::BUNDLED));
        std::fs::write(&usual, "").expect("written");
        let file = Offered { name: "antiphon.onnx".into(), control: "model 1".into(), path: Some(usual) };
        assert_eq!(choice.list(), [file]);
        assert_eq!(choice.find(&Wish::Number(1)), Ok(None));
    }
}
