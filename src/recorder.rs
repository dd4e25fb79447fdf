//! The recorder: human and answer on two tracks of a MIDI file.
//!
//! The file is whole at any moment: it is written anew beside itself once a second and then takes its own place, so
//! that a crash loses a second at most and an earlier take is never overwritten. The session file beside it grows by
//! whole lines, as often.

mod session_log;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use jiff::{Timestamp, tz::TimeZone};
use session_log::SessionLog;
use thiserror::Error;

use crate::midi_file::MidiFileError;
use crate::session_file::{Header, beside};
use crate::sight::Sight;
use crate::status::Status;
use crate::take::{Happening, Take};
use crate::transcript::Entry;

/// How often the file is written while something new happens.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// How often the recorder looks for news. It looks instead of being woken, so that handing something to it never
/// makes a system call.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why a take could not be written.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The folder or file cannot be written.
    #[error("cannot write {path}: {cause}; name another file with --out", path = .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The take could not be written where it belongs, but elsewhere.
    #[error("cannot write {path}: {cause}; the take is in {kept}", path = .path.display(), kept = .kept.display())]
    KeptElsewhere {
        /// Where it belongs.
        path: PathBuf,
        /// Where it is.
        kept: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Somebody else is recording there.
    #[error("another antiphon is recording to {path}; name another file with --out", path = .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The take does not fit a MIDI file.
    #[error("{path}: the take {cause}", path = .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// What is too long.
        cause: MidiFileError,
    },
}

/// Writes a finished take to `path`, and its session file beside it if there is one. An earlier take is moved aside with
/// its session file, and its new name given back.
///
/// # Errors
/// [`RecordError::Unwritable`]; the earlier take is then unharmed.
pub fn write_take(path: &Path, bytes: &[u8], session: Option<&str>) -> Result<Option<PathBuf>, RecordError> {
    let _lock = Lock::take(path)?;
    let aside = move_aside(path)?;
    replace_file(path, bytes)?;
    session.map_or(Ok(()), |session| replace_file(&beside(path), session.as_bytes()))?;
    Ok(aside)
}

/// The right to write a take: held by one program at a time, and given back when it ends, however it ends.
#[derive(Debug)]
struct Lock {
    file: fs::File,
    path: PathBuf,
}

impl Lock {
    fn take(take: &Path) -> Result<Self, RecordError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(take.file_name().unwrap_or_default());
        name.push(".lock");
        let path = take.with_file_name(name);
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

/// Writes `bytes` to `path` so that the file is whole at any moment.
fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let write = || {
        let mut file = fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&beside, path)
    };
    write().map_err(|cause| {
        // Best effort: the cause of the failure is what the user must hear.
        let _ = fs::remove_file(&beside);
        RecordError::Unwritable { path: path.to_owned(), cause }
    })
}

/// Moves an earlier take out of the way, with its session file: `AI_generated.mid` to `AI_generated-<its time>.mid`.
/// Returns the new name.
fn move_aside(path: &Path) -> Result<Option<PathBuf>, RecordError> {
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
    let time =
        modified.unwrap_or_else(Timestamp::now).to_zoned(TimeZone::system()).strftime("%Y%m%d-%H%M%S").to_string();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    let names = std::iter::once(String::new()).chain((2..).map(|number| format!("-{number}")));
    for suffix in names {
        let aside = path.with_file_name(format!("{stem}-{time}{suffix}{extension}"));
        if fs::symlink_metadata(&aside).is_err() && fs::symlink_metadata(beside(&aside)).is_err() {
            fs::rename(path, &aside).map_err(unwritable)?;
            return Ok(Some(aside));
        }
    }
    Ok(None)
}

/// The recorder's thread. Dropping it closes the take.
pub struct Recorder {
    /// The earlier take of the same name, which was moved here.
    pub moved_aside: Option<PathBuf>,
    stop: Sender<()>,
    /// Nothing comes here; it closes when the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<Result<Take, RecordError>>>,
}

/// Closes the take from any thread.
#[derive(Clone)]
pub struct Closer {
    stop: Sender<()>,
    ended: Receiver<()>,
}

impl Closer {
    /// Has the recorder take in what was sent to it before and close the take. Waits no longer than that; false when it
    /// has not been done by then.
    pub fn close(&self, within: Duration) -> bool {
        let _ = self.stop.try_send(());
        matches!(self.ended.recv_timeout(within), Err(RecvTimeoutError::Disconnected))
    }
}

impl Recorder {
    /// Goes on with `take` at `path`, which is created at once so that a folder that cannot be written is known at once. An
    /// earlier take is moved aside.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn start(
        path: &Path,
        take: Take,
        sources: Vec<Receiver<Happening>>,
        session: Option<(Header, Receiver<Entry>)>,
        watchers: Sender<Sight>,
        status: Arc<Status>,
    ) -> Result<Self, RecordError> {
        let lock = Lock::take(path)?;
        let moved_aside = move_aside(path)?;
        save(path, &take)?;
        let session =
            session.map(|(header, entries)| SessionLog::create(beside(path), &header, entries)).transpose()?;
        let (stop, stopped) = crossbeam_channel::bounded(1);
        let (at_the_end, ended) = crossbeam_channel::bounded(0);
        let path = path.to_owned();
        let thread = thread::Builder::new()
            .name("recorder".into())
            .spawn({
                let path = path.clone();
                move || {
                    let _at_the_end: Sender<()> = at_the_end;
                    let _lock = lock;
                    record(&path, take, &sources, session, &stopped, &watchers, &status)
                }
            })
            .map_err(|cause| RecordError::Unwritable { path, cause })?;
        Ok(Self { moved_aside, stop, ended, thread: Some(thread) })
    }

    /// A way to close the take from any thread.
    pub fn closer(&self) -> Closer {
        Closer { stop: self.stop.clone(), ended: self.ended.clone() }
    }

    /// Takes in what was sent to it before and closes the take, which it gives back.
    ///
    /// # Errors
    /// When the file could not be written at the end.
    pub fn finish(mut self) -> Result<Take, RecordError> {
        let _ = self.stop.try_send(());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(Take::default()),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.stop.try_send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn record(
    path: &Path,
    mut take: Take,
    sources: &[Receiver<Happening>],
    mut session: Option<SessionLog>,
    stopped: &Receiver<()>,
    watchers: &Sender<Sight>,
    status: &Status,
) -> Result<Take, RecordError> {
    let mut unsaved = false;
    let mut looks_until_write = 0;
    loop {
        // Asked before the sources are emptied, so that nothing sent before the stop is missed.
        let stopping = !matches!(stopped.try_recv(), Err(TryRecvError::Empty));
        sources.iter().for_each(|source| status.figures.record_queue.saw(source.len()));
        for happening in sources.iter().flat_map(Receiver::try_iter) {
            if let Happening::Ai(timed) = happening {
                // Nobody may be looking: what has no place is not shown.
                let _ = watchers.try_send(Sight::Ai(timed));
            }
            take.add(happening);
            unsaved = true;
        }
        if let Some(session) = &mut session {
            session.take_in();
            if stopping {
                session.close(status);
            }
        }
        if stopping {
            return match save(path, &take) {
                Err(RecordError::Unwritable { path, cause }) => Err(keep_elsewhere(path, &take, cause)),
                saved => saved.map(|()| take),
            };
        }
        if looks_until_write == 0
            && let Some(session) = &mut session
        {
            session.save(status);
        }
        if unsaved && looks_until_write == 0 {
            // A full disk may be emptied while the session goes on: tried again at the next second and at the end.
            unsaved = save(path, &take).is_err();
            status.write_failed.fetch_add(u64::from(unsaved), Relaxed);
        }
        if looks_until_write == 0 {
            looks_until_write = WRITE_EVERY.as_millis() / LOOK_EVERY.as_millis();
        }
        looks_until_write -= 1;
        thread::sleep(LOOK_EVERY);
    }
}

fn save(path: &Path, take: &Take) -> Result<(), RecordError> {
    let bytes = take.to_midi().map_err(|cause| RecordError::TooLong { path: path.to_owned(), cause })?;
    replace_file(path, &bytes)
}

/// The last resort: the folder for temporary files.
fn keep_elsewhere(path: PathBuf, take: &Take, cause: io::Error) -> RecordError {
    let name = path.file_name().unwrap_or_default().to_os_string();
    let kept = std::env::temp_dir().join(name);
    let bytes = take.to_midi().unwrap_or_default();
    match write_take(&kept, &bytes, None) {
        Ok(_) => RecordError::KeptElsewhere { path, kept, cause },
        Err(_) => RecordError::Unwritable { path, cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::midi::TimedMessage;
    use crate::midi_file::read_notes_from_bytes;

    fn unwatched() -> Sender<Sight> {
        crossbeam_channel::bounded(1).0
    }

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
    fn a_folder_that_cannot_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("no such folder").join("AI_generated.mid");
        let error = Recorder::start(&path, Take::default(), Vec::new(), None, unwatched(), Arc::default())
            .err()
            .expect("refused");
        assert!(error.to_string().contains("no such folder"), "{error}");
    }

    #[test]
    fn a_take_whose_folder_goes_is_kept_elsewhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("in").join("kept-elsewhere.mid");
        fs::create_dir(folder.path().join("in")).expect("made");
        let (sender, receiver) = crossbeam_channel::unbounded();
        let recorder = Recorder::start(&path, Take::default(), vec![receiver], None, unwatched(), Arc::default())
            .expect("started");
        fs::remove_dir_all(folder.path().join("in")).expect("gone");
        sender.send(Happening::Ai(TimedMessage::on(0, 60))).expect("listening");
        let Err(RecordError::KeptElsewhere { kept, .. }) = recorder.finish() else { panic!("it was not kept") };
        assert_eq!(read_notes_from_bytes(&fs::read(&kept).expect("there")).expect("whole").len(), 1);
        fs::remove_file(kept).expect("removed");
    }

    #[test]
    fn what_was_sent_before_the_end_is_in_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("take.mid");
        let (sender, receiver) = crossbeam_channel::unbounded();
        let recorder = Recorder::start(&path, Take::default(), vec![receiver], None, unwatched(), Arc::default())
            .expect("started");
        let second = Recorder::start(&path, Take::default(), Vec::new(), None, unwatched(), Arc::default())
            .err()
            .expect("refused");
        assert!(second.to_string().contains("another antiphon"), "{second}");
        for index in 0..500u64 {
            sender.send(Happening::Ai(TimedMessage::on(index * 10, 60))).expect("listening");
            sender.send(Happening::Ai(TimedMessage::off(index * 10 + 5, 60))).expect("listening");
        }
        recorder.finish().expect("written");
        let notes = read_notes_from_bytes(&fs::read(&path).expect("there")).expect("whole");
        assert_eq!(notes.len(), 500);
    }
}
