//! The recorder: human and answer on two tracks of a MIDI file.
//!
//! The file is whole at any moment: it is written anew beside itself several times a second and then takes its own place, so
//! that a crash or a power cut loses a second at most and an earlier take is never overwritten. The session file beside
//! it grows by whole lines, as often. A long take is split into parts: the one that is played has the take's name, those
//! before it have the name that an earlier take gets, `AI_generated-<its time>.mid`.

mod files;
mod parts;
mod session_log;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
pub(crate) use files::ordinary;
use files::{Beside, Lock, Syncing, free_name, move_aside, replace_file};
use jiff::Timestamp;
use parts::Parts;
pub use parts::{PART_BYTES, Splits};
use session_log::SessionLog;
use thiserror::Error;

use crate::fault;
use crate::midi_file::MidiFileError;
use crate::ports;
use crate::session_file::{Header, beside};
use crate::sight::Sight;
use crate::status::Status;
use crate::sysex::{Assembly, Piece};
use crate::take::{Happening, Take};
use crate::time::{Clock, SessionTime};
use crate::transcript::Entry;

/// How often the file is written while something new happens: with the time that a disk and a machine take that are busy
/// with other things, no more than a second is missing whenever it ends.
const WRITE_EVERY: Duration = Duration::from_millis(350);

/// How long the disk may take for the last names.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);

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
    /// The recorder's thread has panicked and could not close the take.
    #[error("the recorder has panicked; the take is as it was a second before")]
    Panicked,
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
    replace_file(path, path, bytes)?;
    session.map_or(Ok(()), |session| replace_file(path, &beside(path), session.as_bytes()))?;
    Ok(aside)
}

/// How often the same trouble is told at most.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// What the recorder is fed from.
pub struct Sources {
    /// What happens, by any number of ways.
    pub happenings: Vec<Receiver<Happening>>,
    /// SysEx.
    pub pieces: Receiver<Piece>,
    /// What the session file begins with, and the calls that go into it.
    pub session: Option<(Header, Receiver<Entry>)>,
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
        splits: Splits,
        sources: Sources,
        watchers: Sender<Sight>,
        clock: Clock,
        status: Arc<Status>,
    ) -> Result<Self, RecordError> {
        let lock = Lock::take(path)?;
        let moved_aside = move_aside(path)?;
        replace_file(path, path, &bytes_of(path, &take)?)?;
        let Sources { happenings, pieces, session } = sources;
        let session =
            session.map(|(header, entries)| SessionLog::create(beside(path), &header, entries)).transpose()?;
        let (stop, stopped) = crossbeam_channel::bounded(1);
        let (at_the_end, ended) = crossbeam_channel::bounded(0);
        let writing = Writing {
            path: path.to_owned(),
            take,
            parts: Parts::new(splits),
            happenings,
            pieces,
            assembly: Assembly::default(),
            syncing: Syncing::start(),
            session,
            unsaved: false,
            trouble: None,
            watchers,
            clock,
            status,
        };
        let thread = thread::Builder::new().name("recorder".into()).spawn(move || {
            let _at_the_end: Sender<()> = at_the_end;
            let _lock = lock;
            ports::raise_recorder();
            writing.run(&stopped)
        });
        let thread = thread.map_err(|cause| RecordError::Unwritable { path: path.to_owned(), cause })?;
        Ok(Self { moved_aside, stop, ended, thread: Some(thread) })
    }

    /// A way to close the take from any thread.
    pub fn closer(&self) -> Closer {
        Closer { stop: self.stop.clone(), ended: self.ended.clone() }
    }

    /// Takes in what was sent to it before and closes the take; gives back the last part.
    ///
    /// # Errors
    /// When the file could not be written at the end.
    pub fn finish(mut self) -> Result<Take, RecordError> {
        let _ = self.stop.try_send(());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(RecordError::Panicked),
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

/// Everything that the recorder's thread may touch.
struct Writing {
    path: PathBuf,
    take: Take,
    parts: Parts,
    happenings: Vec<Receiver<Happening>>,
    pieces: Receiver<Piece>,
    assembly: Assembly,
    syncing: Syncing,
    session: Option<SessionLog>,
    /// Whether something has been played that is not on the disk.
    unsaved: bool,
    /// When it was last told that the disk takes nothing, and whether that is still so.
    trouble: Option<(Instant, bool)>,
    watchers: Sender<Sight>,
    clock: Clock,
    status: Arc<Status>,
}

impl Writing {
    fn run(mut self, stopped: &Receiver<()>) -> Result<Take, RecordError> {
        let mut write_at = Instant::now();
        let mut broken = false;
        loop {
            self.status.life.recorder.beat();
            // Asked before the sources are emptied, so that nothing sent before the stop is missed.
            let stopping = !matches!(stopped.try_recv(), Err(TryRecvError::Empty));
            if stopping {
                return self.close();
            }
            let begun = Instant::now();
            let writes = begun >= write_at;
            let looked = broken || catch_unwind(AssertUnwindSafe(|| self.look(writes))).is_ok();
            if !looked {
                // The session is over. What comes until it has ended waits in the queues.
                broken = true;
                self.status.failed.store(true, Relaxed);
            }
            if writes {
                write_at = begun + WRITE_EVERY;
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Takes in what has come, and writes it when it is time.
    fn look(&mut self, writes: bool) {
        fault::point("recorder");
        self.take_in();
        let mut done = Ok(());
        // What could not be written waits for the next time.
        if (writes || self.trouble.is_none_or(|(_, lasts)| !lasts))
            && let Some(at) = self.parts.look(self.clock.now(), &self.take, false)
        {
            done = self.split(at);
        }
        if writes {
            let saved = self.session.as_mut().map_or(Ok(()), SessionLog::save);
            done = done.and(saved);
            if self.unsaved {
                done = done.and(self.save());
            }
        }
        match done {
            Ok(()) if writes => self.tell_mended(),
            Ok(()) => {}
            Err(error) => self.complain(&error),
        }
    }

    fn take_in(&mut self) {
        self.happenings.iter().for_each(|source| self.status.figures.record_queue.saw(source.len()));
        for happening in self.happenings.iter().flat_map(Receiver::try_iter) {
            match happening {
                // Nobody may be looking: what has no place is not shown.
                Happening::Ai(timed) => drop(self.watchers.try_send(Sight::Ai(timed))),
                Happening::Human(timed) => {
                    let Status { recorded, clock_recorded, .. } = &*self.status;
                    let count = if timed.message.channel().is_some() { recorded } else { clock_recorded };
                    count.fetch_add(1, Relaxed);
                }
                Happening::Turn { .. } | Happening::Split { .. } => {}
            }
            self.unsaved |= happening.is_message();
            self.take.add(happening);
            self.parts.hear(happening, &self.take);
        }
        for sysex in self.pieces.try_iter().filter_map(|piece| self.assembly.add(&piece)) {
            self.parts.hear_message(sysex.time);
            self.take.add_sysex(sysex);
            self.status.sysex_recorded.fetch_add(1, Relaxed);
            self.unsaved = true;
        }
        self.status.sysex_lost.store(self.assembly.lost, Relaxed);
        if let Some(session) = &mut self.session {
            session.take_in();
        }
    }

    /// Ends the part that was played before `at` and begins another. Both files are written before either takes its
    /// place. The part gets its own file first, so that a crash between the two doubles it and loses nothing.
    fn split(&mut self, at: SessionTime) -> Result<(), RecordError> {
        let mut ended = self.take.clone();
        let Some(next) = ended.split(at) else {
            self.parts.done();
            return Ok(());
        };
        let kept = free_name(&self.path, Timestamp::now());
        let of_ended = self.write_beside(&kept, &ended)?;
        let of_next = self.write_beside(&self.path, &next)?;
        of_ended.take_its_place()?;
        self.take = next;
        self.parts.done();
        self.unsaved = true;
        let _ = self.watchers.try_send(Sight::Part { at, kept });
        of_next.take_its_place()?;
        self.unsaved = false;
        Ok(())
    }

    fn write_beside(&self, path: &Path, take: &Take) -> Result<Beside, RecordError> {
        Beside::write(&self.path, path, &bytes_of(path, take)?, |file| self.syncing.sync(file))
    }

    fn save(&mut self) -> Result<(), RecordError> {
        // A full disk may be emptied while the session goes on: tried again at the next time and at the end.
        self.unsaved = true;
        self.write_beside(&self.path, &self.take)?.take_its_place()?;
        self.unsaved = false;
        Ok(())
    }

    /// Tells once that the disk takes nothing; not again before it has, and not too often.
    fn complain(&mut self, error: &RecordError) {
        self.status.write_failed.fetch_add(1, Relaxed);
        let told = self.trouble.is_some_and(|(told, lasts)| lasts || told.elapsed() < COMPLAIN_EVERY);
        if !told {
            let why = match error {
                RecordError::Unwritable { path, cause } => format!("cannot write {}: {cause}", path.display()),
                other => other.to_string(),
            };
            let _ = self.watchers.try_send(Sight::Trouble(format!(
                "{why}; what is played is kept in memory, and it is tried again and again"
            )));
        }
        let since = self.trouble.filter(|_| told).map_or_else(Instant::now, |(since, _)| since);
        self.trouble = Some((since, true));
    }

    fn tell_mended(&mut self) {
        if let Some((told, true)) = self.trouble {
            self.trouble = Some((told, false));
            let _ = self.watchers.try_send(Sight::Trouble(format!("{} is written again", self.path.display())));
        }
    }

    /// Takes in and writes what is left.
    fn close(mut self) -> Result<Take, RecordError> {
        let left = catch_unwind(AssertUnwindSafe(|| {
            self.take_in();
            for sysex in self.assembly.close() {
                self.take.add_sysex(sysex);
                self.status.sysex_recorded.fetch_add(1, Relaxed);
            }
            if let Some(at) = self.parts.look(self.clock.now(), &self.take, true)
                && let Err(error) = self.split(at)
            {
                self.complain(&error);
            }
            if let Some(session) = &mut self.session
                && session.close(&self.status).is_err()
            {
                self.status.write_failed.fetch_add(1, Relaxed);
            }
        }));
        self.status.failed.fetch_or(left.is_err(), Relaxed);
        catch_unwind(AssertUnwindSafe(|| match self.save() {
            Err(RecordError::Unwritable { cause, .. }) => Err(keep_elsewhere(self.path, &self.take, cause)),
            saved => {
                // Whether the disk says so in time or not, it has been told.
                let _ = self.syncing.sync_names(&self.path, SETTLES_WITHIN);
                saved.map(|()| self.take)
            }
        }))
        .unwrap_or(Err(RecordError::Panicked))
    }
}

/// The take as a file, which is to lie at `path`.
fn bytes_of(path: &Path, take: &Take) -> Result<Vec<u8>, RecordError> {
    take.to_midi().map_err(|cause| RecordError::TooLong { path: path.to_owned(), cause })
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
mod tests;
