//! Thousands of files to lessons: in parallel, with a progress bar, and each file only once.

mod cache;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use antiphon::midi_file;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::progress::FileBar;
use crate::sessions::{Lesson, lesson};
use cache::{Cache, Entry, Stamp};

/// How files are read.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// Where what was read is kept for the next time; `None`: nowhere.
    pub cache: Option<PathBuf>,
    /// Whether people see how it goes on.
    pub is_shown: bool,
}

impl Reader {
    /// Shows how it goes on and keeps what it reads in the user's cache folder, unless `no_cache` asks for neither.
    pub fn of_user(no_cache: bool) -> Self {
        Self {
            cache: user_cache_folder().filter(|_| !no_cache).map(|folder| folder.join("antiphon/songs")),
            is_shown: true,
        }
    }

    /// Reads the files of a folder; of each a lesson or why there is none, in the order of `paths`.
    ///
    /// A file that is as it was at an earlier call, by its length and times or else by its digest, comes from the cache.
    /// A cache that is damaged or of no use is made anew; one that cannot be written is only spoken of.
    pub fn read(&self, folder: &Path, paths: &[&Path]) -> Vec<Result<Lesson, String>> {
        let begin = Instant::now();
        let cache_file = self.cache.as_ref().map(|caches| cache::file_of(caches, folder));
        let cache = cache_file.as_deref().map(Cache::open).unwrap_or_default();
        if let (Some(file), true) = (&cache_file, cache.is_damaged) {
            println!("the cache {} is damaged and is made anew", file.display());
        }
        let bar = self.is_shown.then(|| FileBar::new(paths.len(), &folder.display().to_string()));
        let known = AtomicUsize::new(0);
        let now = SystemTime::now();
        let read: Vec<Read> = paths
            .par_iter()
            .map(|path| {
                let read = read_one(path, &cache, now, cache_file.is_some());
                known.fetch_add(usize::from(read.was_known), Ordering::Relaxed);
                bar.iter().for_each(FileBar::add_one);
                read
            })
            .collect();
        if let Some(bar) = bar {
            bar.finish();
            println!("{}", summary(folder, paths.len(), known.into_inner(), begin.elapsed().as_secs_f64()));
        }
        if let Some(file) = &cache_file {
            let is_new = read.iter().any(|read| !read.was_as_stamped) || cache.len() != read.len();
            let entries = paths.iter().zip(&read).filter_map(|(path, read)| Some((*path, read.entry()?)));
            if is_new && let Err(error) = cache::write(file, entries) {
                println!("cannot keep what was read for the next time: {error}");
            }
        }
        read.into_iter().map(|read| read.lesson).collect()
    }
}

/// A file that was read, or found in the cache.
struct Read {
    lesson: Result<Lesson, String>,
    /// Not for a file that the system did not give out: that is not the file's fault.
    place: Option<(Stamp, [u8; 32])>,
    was_known: bool,
    was_as_stamped: bool,
}

impl Read {
    fn entry(&self) -> Option<Entry<'_>> {
        let (stamp, digest) = self.place?;
        Some(Entry { stamp, digest, lesson: &self.lesson })
    }
}

fn read_one(path: &Path, cache: &Cache, now: SystemTime, is_kept: bool) -> Read {
    let stamp = Stamp::of(path, now);
    if let Some((digest, lesson)) = stamp.and_then(|stamp| cache.by_stamp(path, stamp)) {
        return Read { lesson, place: stamp.map(|stamp| (stamp, digest)), was_known: true, was_as_stamped: true };
    }
    let bytes = match midi_file::load(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            return Read { lesson: Err(error.to_string()), place: None, was_known: false, was_as_stamped: false };
        }
    };
    let digest = if is_kept { Sha256::digest(&bytes).into() } else { [0; 32] };
    let known = cache.by_digest(&digest);
    let was_known = known.is_some();
    let lesson = known.unwrap_or_else(|| lesson(&bytes).map_err(|error| error.to_string()));
    Read { lesson, place: Some((stamp.unwrap_or_default(), digest)), was_known, was_as_stamped: false }
}

/// The line that stays when the files are read.
#[expect(clippy::cast_precision_loss, reason = "numbers of files are far below 2^53")]
fn summary(folder: &Path, files: usize, known: usize, seconds: f64) -> String {
    let speed = files as f64 / seconds.max(1e-6);
    let from_cache = match known {
        0 => String::new(),
        known if known == files => ", all of them unchanged and from the cache".into(),
        known => format!(", {known} of them unchanged and from the cache"),
    };
    format!("read {files} files of {} in {seconds:.1} s ({speed:.0} files/s){from_cache}", folder.display())
}

/// `XDG_CACHE_HOME` where it is set, else what the system has.
fn user_cache_folder() -> Option<PathBuf> {
    let from = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let of_system = || {
        if cfg!(windows) {
            from("LOCALAPPDATA")
        } else if cfg!(target_vendor = "apple") {
            from("HOME").map(|home| home.join("Library/Caches"))
        } else {
            from("HOME").map(|home| home.join(".cache"))
        }
    };
    from("XDG_CACHE_HOME").or_else(of_system)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::Duration;

    use super::*;

    /// A MIDI file of one note.
    fn song(key: u8) -> Vec<u8> {
        let track = [0, 0x90, key, 64, 96, 0x80, key, 0, 0, 0xFF, 0x2F, 0];
        [b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x0C", &track[..]].concat()
    }

    /// Writes a file that has been as it is for an hour.
    fn write_settled(path: &Path, bytes: &[u8]) {
        fs::write(path, bytes).expect("written");
        let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
        File::options().write(true).open(path).and_then(|file| file.set_modified(an_hour_ago)).expect("a time");
    }

    struct Stage {
        folder: tempfile::TempDir,
        reader: Reader,
    }

    impl Stage {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let reader = Reader { cache: Some(folder.path().join("cache")), is_shown: false };
            Self { folder, reader }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn cache_file(&self) -> PathBuf {
            cache::file_of(self.reader.cache.as_deref().expect("named"), self.folder.path())
        }

        /// The key of each file's first note, or why there is none.
        fn keys(&self, reader: &Reader, names: &[&str]) -> Vec<Result<u8, String>> {
            let paths: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
            let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
            let lessons = reader.read(self.folder.path(), &paths).into_iter();
            lessons.map(|lesson| lesson.map(|lesson| lesson.notes[0].key)).collect()
        }
    }

    #[test]
    fn a_file_that_is_as_it_was_is_not_even_opened() {
        let stage = Stage::new();
        write_settled(&stage.path("a.mid"), &song(60));
        // A cache that holds something else shows that the file was not looked into.
        let stamp = Stamp::of(&stage.path("a.mid"), SystemTime::now()).expect("settled");
        let lesson = Err("is known".to_owned());
        let entry = Entry { stamp, digest: [0; 32], lesson: &lesson };
        cache::write(&stage.cache_file(), [(&*stage.path("a.mid"), entry)].into_iter()).expect("written");
        assert_eq!(stage.keys(&stage.reader, &["a.mid"]), [Err("is known".to_owned())]);
        assert_eq!(stage.keys(&Reader::default(), &["a.mid"]), [Ok(60)], "without a cache it is");
        write_settled(&stage.path("a.mid"), &song(61));
        assert_eq!(stage.keys(&stage.reader, &["a.mid"]), [Ok(61)], "it has changed");
    }

    #[test]
    fn a_file_that_was_moved_or_touched_is_known_by_its_bytes() {
        let stage = Stage::new();
        write_settled(&stage.path("new.mid"), &song(60));
        let lesson = Err("is known".to_owned());
        let digest = Sha256::digest(song(60)).into();
        let entry = Entry { stamp: Stamp::default(), digest, lesson: &lesson };
        cache::write(&stage.cache_file(), [(&*stage.path("old.mid"), entry)].into_iter()).expect("written");
        assert_eq!(stage.keys(&stage.reader, &["new.mid"]), [Err("is known".to_owned())]);
        assert_eq!(Cache::open(&stage.cache_file()).len(), 1, "the file that is gone is forgotten");
    }

    #[test]
    fn a_damaged_cache_is_made_anew() {
        let stage = Stage::new();
        write_settled(&stage.path("a.mid"), &song(60));
        write_settled(&stage.path("b.mid"), b"no music");
        let names = ["a.mid", "b.mid", "missing.mid"];
        let first = stage.keys(&stage.reader, &names);
        assert_eq!(first[0], Ok(60));
        assert!(first[1].as_ref().is_err_and(|why| why.contains("no MThd")), "{first:?}");
        let whole = fs::read(stage.cache_file()).expect("a cache");
        let mut spoilt = whole.clone();
        spoilt[20] ^= 1;
        fs::write(stage.cache_file(), spoilt).expect("written");
        assert_eq!(stage.keys(&stage.reader, &names), first);
        assert_eq!(fs::read(stage.cache_file()).expect("a cache"), whole, "as before, and without the missing file");
    }

    #[test]
    fn a_cache_that_cannot_be_written_stops_nothing() {
        let mut stage = Stage::new();
        write_settled(&stage.path("a.mid"), &song(60));
        stage.reader.cache = Some(stage.path("a.mid"));
        assert_eq!(stage.keys(&stage.reader, &["a.mid"]), [Ok(60)]);
    }

    #[test]
    fn the_line_says_how_fast_and_how_much_was_known() {
        let line = |known| summary(Path::new("songs"), 300, known, 1.5);
        assert_eq!(line(0), "read 300 files of songs in 1.5 s (200 files/s)");
        assert!(line(7).ends_with("(200 files/s), 7 of them unchanged and from the cache"));
        assert!(line(300).ends_with(", all of them unchanged and from the cache"));
    }
}
