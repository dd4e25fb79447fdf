//! Where SoundFonts lie, and which one is played.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Exit, Failure};
use crate::synth::{Timbre, read_soundfont};

/// What `--soundfont` takes for the instrument inside this program.
pub(super) const BUILT_IN: &str = "built-in";

/// The largest file that is read: all of it is kept in memory.
const MOST_BYTES: u64 = 2 << 30;

/// What is played on, and what it is in words.
pub(super) struct Chosen {
    pub timbre: Timbre,
    pub name: String,
    /// SoundFonts that were found but cannot be played, each with the reason.
    pub passed_over: Vec<String>,
}

impl Chosen {
    fn built_in(name: &str, passed_over: Vec<String>) -> Self {
        Self { timbre: Timbre::BuiltIn, name: name.to_owned(), passed_over }
    }
}

/// The SoundFont that was named, else the first in the usual places that can be played, else the built-in instrument.
///
/// # Errors
/// When one was named that cannot be played.
pub(super) fn choose(named: Option<&Path>) -> Result<Chosen, Failure> {
    match named {
        Some(path) if path == Path::new(BUILT_IN) => Ok(Chosen::built_in("the built-in electric piano", Vec::new())),
        Some(path) => match load(path) {
            Ok(timbre) => Ok(Chosen { timbre, name: described(path), passed_over: Vec::new() }),
            Err(why) => Err(Failure::new(
                Exit::Sound,
                format!("the SoundFont {} {why}; name another with --soundfont, or {BUILT_IN}", path.display()),
            )),
        },
        None => Ok(choose_among(&usual_places())),
    }
}

fn choose_among(places: &[PathBuf]) -> Chosen {
    let mut passed_over = Vec::new();
    for path in places.iter().flat_map(|place| fonts_in(place)) {
        match load(&path) {
            Ok(timbre) => return Chosen { timbre, name: described(&path), passed_over },
            Err(why) => passed_over.push(format!("the SoundFont {} {why}; it is passed over", path.display())),
        }
    }
    let name = "the built-in electric piano (no SoundFont is installed; --soundfont FILE names one)";
    Chosen::built_in(name, passed_over)
}

fn described(path: &Path) -> String {
    format!("the SoundFont {}", path.display())
}

/// Folders in which systems and people keep SoundFonts: the user's own first.
fn usual_places() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("HOME");
    let own = variable("XDG_DATA_HOME").or_else(|| Some(home.as_ref()?.join(".local/share")));
    let systems = variable("XDG_DATA_DIRS").unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    let data = own.into_iter().chain(std::env::split_paths(&systems));
    let mut places: Vec<PathBuf> =
        data.flat_map(|data| ["soundfonts", "sounds/sf2"].map(|folder| data.join(folder))).collect();
    // macOS.
    places.extend(home.map(|home| home.join("Library/Audio/Sounds/Banks")));
    places.push("/Library/Audio/Sounds/Banks".into());
    // Windows.
    places.extend(variable("ProgramData").map(|data| data.join("soundfonts")));
    places
}

/// The SoundFonts of a folder: what is called the default first, then by their names.
fn fonts_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let is_font = |path: &PathBuf| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("sf2"));
    let mut fonts: Vec<PathBuf> = entries.filter(is_font).collect();
    let is_default = |path: &Path| {
        path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.to_lowercase().starts_with("default"))
    };
    fonts.sort_by_key(|path| (!is_default(path), path.clone()));
    fonts
}

/// Reads one; else what is wrong with it, as the end of a sentence.
fn load(path: &Path) -> Result<Timbre, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read ({error})");
    let known = fs::metadata(path).map_err(unreadable)?;
    if !known.is_file() {
        return Err("is not a regular file".to_owned());
    }
    if known.len() > MOST_BYTES {
        return Err(format!("is larger than {} GiB", MOST_BYTES >> 30));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    read_soundfont(&bytes).map(Timbre::Font).map_err(|why| format!("cannot be played: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_the_default_comes_first_and_damaged_ones_are_passed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["a.sf2", "default-GM.SF2", "notes.txt", "b.sf3"] {
            fs::write(folder.path().join(name), b"RIFF, but no more").expect("written");
        }
        let names: Vec<_> =
            fonts_in(folder.path()).iter().filter_map(|path| path.file_name().map(OsStr::to_owned)).collect();
        assert_eq!(names, ["default-GM.SF2", "a.sf2"]);
        let nowhere = folder.path().join("nowhere");
        let chosen = choose_among(&[nowhere.clone(), folder.path().to_owned()]);
        assert!(matches!(chosen.timbre, Timbre::BuiltIn) && chosen.name.contains("--soundfont"), "{}", chosen.name);
        assert_eq!(chosen.passed_over.len(), 2, "{:?}", chosen.passed_over);
        let refused = choose(Some(&nowhere)).err().expect("it is not there");
        assert!(refused.exit == Exit::Sound && refused.sentence.contains("nowhere"), "{}", refused.sentence);
    }
}
