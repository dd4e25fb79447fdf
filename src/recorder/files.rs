//! The files of takes: whole at any moment, never overwritten, one program at a time.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

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
    // Always the same name, so that what a crash leaves is written over by the next session.
    let beside = hidden(of, ".tmp");
    let write = || {
        match fs::remove_file(&beside) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        // New, so that nobody's link is followed.
        let mut file = fs::File::create_new(&beside)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&beside, path)?;
        sync_folder(path)
    };
    write().map_err(|cause| {
        // Best effort: the cause of the failure is what the user must hear.
        let _ = fs::remove_file(&beside);
        RecordError::Unwritable { path: path.to_owned(), cause }
    })
}

/// Has the new name on the disk as well.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::File::open(folder)?.sync_all() {
        // Some file systems cannot.
        Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
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
    let unwritable = |cause| RecordError::Unwritable { path: path.to_owned(), cause };
    let metadata = match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(unwritable)?,
    };
    if metadata.is_dir() {
        return Err(unwritable(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")));
    }
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    let aside = free_name(path, modified.unwrap_or_else(Timestamp::now));
    fs::rename(path, &aside).map_err(unwritable)?;
    Ok(Some(aside))
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
