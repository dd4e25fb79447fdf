//! What was read of a folder, kept in one file of the user's cache folder.
//!
//! ```text
//! "ANTISONG", entries, SHA-256 of all before
//! entry: path, length and times of the file, SHA-256 of its bytes, then why it was refused, or its lesson
//! ```
//! The file's name is the digest of the folder's path and of [`VERSION`]. An entry is found by path and stamp without
//! opening the song, or by the digest of its bytes: so a file that was moved, copied or touched is not parsed again.
//! Numbers are LEB128; a note is its distance from the onset before, duration, key and velocity.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use antiphon::note::Note;
use antiphon::time::{SessionDuration, SessionTime};
use sha2::{Digest, Sha256};

use crate::checkpoint::write_whole;
use crate::dataset::hexadecimal;
use crate::error::TrainError;
use crate::sessions::Lesson;

/// Version of this file's form and of how songs are read. A change of either is a new version; a test below notices
/// when songs are read otherwise.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"ANTISONG";
const DIGEST: usize = 32;
/// A file that changed so shortly before it was read may change again within the same tick of the file system's clock.
const SETTLED: Duration = Duration::from_secs(2);
/// A cache that was not written for so long is removed; if it was still of use, it is made anew.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// What tells an unchanged file without opening it. Zeros match nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    len: u64,
    /// Nanoseconds since 1970.
    modified: u64,
    /// When name, rights or content last changed; 0 where the system does not say.
    changed: u64,
}

impl Stamp {
    /// The stamp of a file that is settled at the time `now`.
    pub(super) fn of(path: &Path, now: SystemTime) -> Option<Self> {
        let about = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let modified = about.modified().ok().filter(|modified| *modified + SETTLED < now)?;
        let modified = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Self { len: about.len(), modified: nanoseconds(modified), changed: changed(&about) })
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(unix)]
fn changed(about: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let seconds = Duration::from_secs(u64::try_from(about.ctime()).unwrap_or(0));
    nanoseconds(seconds) + u64::try_from(about.ctime_nsec()).unwrap_or(0)
}

#[cfg(not(unix))]
fn changed(_about: &std::fs::Metadata) -> u64 {
    0
}

/// What is kept of a song.
pub(super) struct Entry<'a> {
    pub(super) stamp: Stamp,
    /// Of the file's bytes.
    pub(super) digest: [u8; 32],
    pub(super) lesson: &'a Result<Lesson, String>,
}

/// The cache of a folder, as it was found.
#[derive(Debug, Default)]
pub(super) struct Cache {
    bytes: Vec<u8>,
    entries: Vec<Place>,
    by_path: HashMap<Vec<u8>, usize>,
    by_digest: HashMap<[u8; 32], usize>,
    /// There is one, but it is cut short or altered.
    pub(super) is_damaged: bool,
}

#[derive(Debug)]
struct Place {
    stamp: Stamp,
    digest: [u8; 32],
    /// Where the lesson stands in the bytes.
    lesson: std::ops::Range<usize>,
}

/// The file that keeps the songs of `folder`.
pub(super) fn file_of(caches: &Path, folder: &Path) -> PathBuf {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let digest = Sha256::new().chain_update(VERSION.to_le_bytes()).chain_update(folder.as_os_str().as_encoded_bytes());
    caches.join(format!("{:.16}.songs", hexadecimal(&digest.finalize())))
}

impl Cache {
    /// Opens what is there; nothing, if that is nothing sound.
    pub(super) fn open(file: &Path) -> Self {
        match std::fs::read(file) {
            Ok(bytes) => Self::parse(bytes).unwrap_or_else(|| Self { is_damaged: true, ..Self::default() }),
            Err(_) => Self::default(),
        }
    }

    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        if Sha256::digest(content).as_slice() != digest {
            return None;
        }
        let mut rest = content.strip_prefix(MAGIC)?;
        let mut cache = Self::default();
        while !rest.is_empty() {
            let path = take_bytes(&mut rest)?;
            let [len, modified, changed] = [take(&mut rest)?, take(&mut rest)?, take(&mut rest)?];
            let digest = *rest.split_off(..DIGEST)?.first_chunk::<DIGEST>()?;
            let lesson = take_bytes(&mut rest)?;
            let end = content.len() - rest.len();
            cache.by_path.insert(path.to_vec(), cache.entries.len());
            cache.by_digest.insert(digest, cache.entries.len());
            let stamp = Stamp { len, modified, changed };
            cache.entries.push(Place { stamp, digest, lesson: end - lesson.len()..end });
        }
        cache.bytes = bytes;
        Some(cache)
    }

    /// Songs in it.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The song at `path`, if it is as it was.
    pub(super) fn by_stamp(&self, path: &Path, stamp: Stamp) -> Option<([u8; 32], Result<Lesson, String>)> {
        let place = &self.entries[*self.by_path.get(path.as_os_str().as_encoded_bytes())?];
        let is_same = place.stamp == stamp && stamp != Stamp::default();
        if is_same { Some((place.digest, self.lesson(place)?)) } else { None }
    }

    /// A song of these bytes, wherever it lay.
    pub(super) fn by_digest(&self, digest: &[u8; 32]) -> Option<Result<Lesson, String>> {
        self.lesson(&self.entries[*self.by_digest.get(digest)?])
    }

    fn lesson(&self, place: &Place) -> Option<Result<Lesson, String>> {
        let mut rest = &self.bytes[place.lesson.clone()];
        let kind = take(&mut rest)?;
        let text = String::from_utf8(take_bytes(&mut rest)?.to_vec()).ok()?;
        if kind & REFUSED != 0 {
            return Some(Err(text));
        }
        let mut onset = SessionTime::ZERO;
        let mut notes = Vec::with_capacity(usize::try_from(take(&mut rest)?).ok()?.min(rest.len()));
        while !rest.is_empty() {
            onset += SessionDuration::from_micros(take(&mut rest)?);
            let duration = SessionDuration::from_micros(take(&mut rest)?);
            let [key, velocity] = *rest.split_off(..2)?.first_chunk::<2>()?;
            notes.push(Note { onset, key, duration, velocity });
        }
        let damage = (kind & DAMAGED != 0).then_some(text);
        Some(Ok(Lesson { notes, is_session: kind & SESSION != 0, damage }))
    }
}

/// What an entry is; the bits are added.
const REFUSED: u64 = 1;
const SESSION: u64 = 2;
const DAMAGED: u64 = 4;

/// Writes the cache, and removes those that nobody has used for long.
pub(super) fn write<'a>(file: &Path, songs: impl Iterator<Item = (&'a Path, Entry<'a>)>) -> Result<(), TrainError> {
    let mut bytes = MAGIC.to_vec();
    let mut content = Vec::new();
    for (path, Entry { stamp, digest, lesson }) in songs {
        put_bytes(&mut bytes, path.as_os_str().as_encoded_bytes());
        [stamp.len, stamp.modified, stamp.changed].into_iter().for_each(|number| put(&mut bytes, number));
        bytes.extend_from_slice(&digest);
        content.clear();
        put_lesson(&mut content, lesson);
        put_bytes(&mut bytes, &content);
    }
    let digest = Sha256::digest(&bytes);
    bytes.write_all(&digest).expect("memory takes all");
    remove_old(file);
    write_whole(file, &bytes)
}

fn put_lesson(bytes: &mut Vec<u8>, lesson: &Result<Lesson, String>) {
    let lesson = match lesson {
        Ok(lesson) => lesson,
        Err(why) => {
            put(bytes, REFUSED);
            return put_bytes(bytes, why.as_bytes());
        }
    };
    let bit = |is_so: bool, bit: u64| if is_so { bit } else { 0 };
    put(bytes, bit(lesson.is_session, SESSION) | bit(lesson.damage.is_some(), DAMAGED));
    put_bytes(bytes, lesson.damage.as_deref().unwrap_or_default().as_bytes());
    put(bytes, lesson.notes.len() as u64);
    let mut before = SessionTime::ZERO;
    for note in &lesson.notes {
        put(bytes, note.onset.since(before).as_micros());
        put(bytes, note.duration.as_micros());
        bytes.extend_from_slice(&[note.key, note.velocity]);
        before = note.onset;
    }
}

fn remove_old(file: &Path) {
    let is_old = |entry: &std::fs::DirEntry| -> io::Result<bool> {
        let is_cache = entry.path().extension().is_some_and(|extension| extension == "songs");
        Ok(is_cache && entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > KEPT))
    };
    let entries = file.parent().and_then(|caches| std::fs::read_dir(caches).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if is_old(&entry).unwrap_or(false) {
            // One that stays is no harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A number, seven bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7F) as u8);
}

fn put_bytes(bytes: &mut Vec<u8>, content: &[u8]) {
    put(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(take(rest)?).ok()?;
    rest.split_off(..len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::lesson;

    /// Of the phrase that is bundled with the program, as it is read. If this changes, [`VERSION`] must change too.
    const PHRASE_AS_READ: &str = "832a4822656dc5e76736597191c47f2392aea6a2ef9c482f1eee7f9dd6dca58b";

    #[test]
    fn songs_are_read_as_this_version_reads_them() {
        let phrase = lesson(include_bytes!("../../../../assets/phrase.mid")).expect("whole");
        let mut bytes = Vec::new();
        put_lesson(&mut bytes, &Ok(phrase));
        assert_eq!(hexadecimal(&Sha256::digest(&bytes)), PHRASE_AS_READ, "songs are read otherwise: raise VERSION");
    }

    #[test]
    fn what_is_written_is_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("some.songs");
        let note = |onset, duration| Note {
            onset: SessionTime::from_micros(onset),
            key: 127,
            duration: SessionDuration::from_micros(duration),
            velocity: 1,
        };
        let notes = vec![note(0, 1), note(0, 127), note(128, 86_400_000_000)];
        let lessons = [
            Ok(Lesson { notes: notes.clone(), is_session: true, damage: None }),
            Ok(Lesson { notes, is_session: false, damage: Some("is torn".into()) }),
            Err("is no music".to_owned()),
        ];
        let stamp = |number| Stamp { len: number, modified: u64::MAX, changed: 0 };
        let paths = ["a.mid", "ä.mid", "c.mid"].map(Path::new);
        let entry =
            |number: usize| Entry { stamp: stamp(number as u64 + 1), digest: [9; 32], lesson: &lessons[number] };
        write(&file, paths.into_iter().zip((0..3).map(entry))).expect("written");
        let cache = Cache::open(&file);
        assert!(!cache.is_damaged && cache.len() == 3);
        for (number, lesson) in lessons.iter().enumerate() {
            let found = cache.by_stamp(paths[number], stamp(number as u64 + 1)).expect("there");
            assert_eq!(&found.1, lesson);
            assert!(cache.by_stamp(paths[number], stamp(77)).is_none(), "it has changed");
        }
        assert!(cache.by_stamp(Path::new("d.mid"), stamp(1)).is_none());
        assert_eq!(cache.by_digest(&[9; 32]), Some(lessons[2].clone()));
        assert_eq!(cache.by_digest(&[8; 32]), None);
    }

    #[test]
    fn damage_anywhere_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("some.songs");
        let lesson = Err("is no music".to_owned());
        let entry = Entry { stamp: Stamp::default(), digest: [1; 32], lesson: &lesson };
        write(&file, [(Path::new("a.mid"), entry)].into_iter()).expect("written");
        let whole = std::fs::read(&file).expect("there");
        for place in 0..whole.len() {
            let mut spoilt = whole.clone();
            spoilt[place] ^= 0x10;
            std::fs::write(&file, &spoilt).expect("written");
            assert!(Cache::open(&file).is_damaged, "byte {place}");
            std::fs::write(&file, &whole[..place]).expect("written");
            assert!(Cache::open(&file).is_damaged, "cut at {place}");
        }
        assert!(!Cache::open(&folder.path().join("none.songs")).is_damaged);
    }
}
