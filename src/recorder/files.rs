//! The files of takes: whole at any moment, never overwritten, one program at a time.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use jiff::{Timestamp, tz::TimeZone};

use super::RecordError;
use crate::session_file::beside;

/// The right to write a take: held by one program at a time, and given back when it ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: fs::File,
    path: PathBuf,
}

impl Lock {
    pub(super) fn take(take: &Path) -> Result<Self, RecordError> {
        let path = hidden(take, ".lock");
        let file = fs::File::create(&path).map_err(|cause| RecordError::Unwritable { path: take.to_owned(), cause })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path }),
            Err(fs::TryLockError::WouldBlock) => Err(RecordError::InUse { path: take.to_owned() }),
            Err(fs::TryLockError::Error(cause)) => Err(RecordError::Unwritable { path: take.to_owned(), cause }),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Best effort: an empty hidden file that stays behind does no harm.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// A hidden file beside `path`.
fn hidden(path: &Path, ending: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(ending);
    path.with_file_name(name)
}

/// Writes `bytes` to `path`, a file of the take `of`, so that it is whole at any moment, also when the power goes.
/// Whoever calls it holds the take's [`Lock`].
pub(super) fn replace_file(of: &Path, path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    Beside::write(of, path, bytes, fs::File::sync_all)?.take_its_place()?;
    folder(path).and_then(|folder| sync_whole(&folder)).map_err(|cause| unwritable(path, cause))
}

fn unwritable(path: &Path, cause: io::Error) -> RecordError {
    RecordError::Unwritable { path: path.to_owned(), cause }
}

/// A file that is written whole beside the one whose place it is to take.
pub(super) struct Beside {
    hidden: PathBuf,
    path: PathBuf,
}

impl Beside {
    /// Writes `bytes`, which are to be in `path`, a file of the take `of`, and has `sync` bring them to the disk.
    pub fn write(
        of: &Path,
        path: &Path,
        bytes: &[u8],
        sync: impl FnOnce(&fs::File) -> io::Result<()>,
    ) -> Result<Self, RecordError> {
        // Always the same names, so that what a crash leaves is written over by the next session.
        let hidden = hidden(of, if of == path { ".tmp" } else { ".part.tmp" });
        let write = || {
            match fs::remove_file(&hidden) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                _ => {}
            }
            // New, so that nobody's link is followed.
            let mut file = fs::File::create_new(&hidden)?;
            file.write_all(bytes)?;
            sync(&file)
        };
        let written = write();
        let beside = Self { hidden, path: path.to_owned() };
        written.map(|()| beside).map_err(|cause| unwritable(path, cause))
    }

    /// From now on it is the file.
    pub fn take_its_place(self) -> Result<(), RecordError> {
        fs::rename(&self.hidden, &self.path).map_err(|cause| unwritable(&self.path, cause))
    }
}

impl Drop for Beside {
    /// One that has not taken its place leaves no room taken.
    fn drop(&mut self) {
        // Best effort: the cause of the failure is what the user must hear.
        let _ = fs::remove_file(&self.hidden);
    }
}

/// How long is waited for the disk to have a file before it takes its place. The disk has it as a rule within a few
/// milliseconds, but some take seconds when others write a lot. The file is whole for every program as soon as it is
/// written: only a power cut at that moment could harm it, while waiting would have more missing at any other end.
const SYNC_WITHIN: Duration = Duration::from_millis(100);

/// Brings files to the disk, on a thread that may wait for it. One file at a time; who finds it busy does without.
pub(super) struct Syncing {
    jobs: Option<Sender<Job>>,
}

/// A file, and where to tell how it went.
type Job = (fs::File, Sender<io::Result<()>>);

impl Syncing {
    pub fn start() -> Self {
        let (jobs, taken) = crossbeam_channel::bounded::<Job>(0);
        let sync = move || {
            for (file, tell) in taken {
                // Who asked may have gone on.
                let _ = tell.try_send(sync_whole(&file));
            }
        };
        let thread = thread::Builder::new().name("disk".into()).spawn(sync);
        Self { jobs: thread.is_ok().then_some(jobs) }
    }

    /// Has the disk have this file; goes on when that takes long.
    pub fn sync(&self, file: &fs::File) -> io::Result<()> {
        self.sync_within(file.try_clone()?, SYNC_WITHIN)
    }

    /// Has the new name on the disk as well; the same.
    pub fn sync_names(&self, path: &Path, within: Duration) -> io::Result<()> {
        self.sync_within(folder(path)?, within)
    }

    fn sync_within(&self, file: fs::File, within: Duration) -> io::Result<()> {
        // Without the thread it waits itself.
        let Some(jobs) = &self.jobs else { return sync_whole(&file) };
        let (tell, told) = crossbeam_channel::bounded(1);
        let until = Instant::now() + within;
        match jobs.send_deadline((file, tell), until) {
            Ok(()) => told.recv_deadline(until).unwrap_or(Ok(())),
            Err(_) => Ok(()),
        }
    }
}

/// The folder of a file, opened.
fn folder(path: &Path) -> io::Result<fs::File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)
}

/// Has a file or folder on the disk.
fn sync_whole(folder: &fs::File) -> io::Result<()> {
    match folder.sync_all() {
        // Some file systems cannot do that to folders.
        Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

/// Moves an earlier take out of the way, with its session file: `AI_generated.mid` to `AI_generated-<its time>.mid`.
/// Returns the new name.
pub(super) fn move_aside(path: &Path) -> Result<Option<PathBuf>, RecordError> {
    let session = beside(path);
    let aside = move_one_aside(path)?;
    match &aside {
        Some(aside) if fs::symlink_metadata(&session).is_ok() => {
            let renamed = fs::rename(&session, beside(aside));
            renamed.map_err(|cause| RecordError::Unwritable { path: session, cause })?;
        }
        Some(_) => {}
        None => drop(move_one_aside(&session)?),
    }
    Ok(aside)
}

fn move_one_aside(path: &Path) -> Result<Option<PathBuf>, RecordError> {
    let unwritable = |cause| unwritable(path, cause);
    let metadata = match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(unwritable)?,
    };
    ordinary(path).map_err(unwritable)?;
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    let aside = free_name(path, modified.unwrap_or_else(Timestamp::now));
    fs::rename(path, &aside).map_err(unwritable)?;
    Ok(Some(aside))
}

/// Refuses what is there and no ordinary file, nor a link to one: a folder, a device, a pipe. To put a file in its place would
/// destroy it.
pub(crate) fn ordinary(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")),
        Ok(there) if !there.is_file() => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file")),
        _ => Ok(()),
    }
}

/// The name of a take of that time that nothing has: `AI_generated-20261125-101500.mid` for `AI_generated.mid`, with
/// `-2` and so on behind it where there is one.
pub(super) fn free_name(path: &Path, time: Timestamp) -> PathBuf {
    let time = time.to_zoned(TimeZone::system()).strftime("%Y%m%d-%H%M%S").to_string();
    let mut names = std::iter::once(String::new()).chain((2u64..).map(|number| format!("-{number}")));
    let mut named = || {
        // In the system's own letters: a name need not be Unicode.
        let mut name = path.file_stem().unwrap_or_default().to_os_string();
        name.push(format!("-{time}{}", names.next()?));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        Some(path.with_file_name(name))
    };
    let is_free = |path: &Path| fs::symlink_metadata(path).is_err() && fs::symlink_metadata(beside(path)).is_err();
    loop {
        match named() {
            Some(name) if !is_free(&name) => {}
            free => return free.unwrap_or_else(|| path.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_take_is_moved_aside_and_never_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("AI_generated.mid");
        assert_eq!(move_aside(&path).expect("nothing there"), None);
        let mut kept = Vec::new();
        for content in ["first", "second", "third"] {
            fs::write(&path, content).expect("written");
            kept.push((move_aside(&path).expect("moved").expect("there was one"), content));
            assert!(!path.exists());
        }
        for (aside, content) in kept {
            assert_eq!(fs::read_to_string(&aside).expect("kept"), content, "{}", aside.display());
        }
    }

    #[test]
    fn what_a_crash_left_is_no_hindrance_and_nobodys_link_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("AI_generated.mid");
        let other = folder.path().join("other");
        fs::write(&other, "mine").expect("written");
        let left = folder.path().join(".AI_generated.mid.tmp");
        #[cfg(unix)]
        std::os::unix::fs::symlink(&other, &left).expect("a link");
        #[cfg(not(unix))]
        fs::write(&left, "half").expect("written");
        replace_file(&path, &path, b"whole").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "whole");
        assert_eq!(fs::read_to_string(&other).expect("there"), "mine");
        assert!(!left.exists());
    }
}
