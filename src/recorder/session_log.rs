//! The session file that grows beside the take.

use std::fs;
use std::io::{self, Seek as _, Write as _};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_channel::Receiver;

use super::RecordError;
use crate::session_file::{Header, Lines};
use crate::status::Status;
use crate::transcript::Entry;

/// The session file that grows beside the take.
pub(super) struct SessionLog {
    path: PathBuf,
    file: fs::File,
    /// Bytes of it that are whole lines.
    whole: u64,
    entries: Receiver<Entry>,
    lines: Lines,
}

impl SessionLog {
    /// Creates the file, with the header in it.
    pub(super) fn create(path: PathBuf, header: &Header, entries: Receiver<Entry>) -> Result<Self, RecordError> {
        let file = fs::File::create(&path);
        let file = file.map_err(|cause| RecordError::Unwritable { path: path.clone(), cause })?;
        let mut log = Self { path, file, whole: 0, entries, lines: Lines::new(header) };
        log.write().map_err(|cause| RecordError::Unwritable { path: log.path.clone(), cause })?;
        Ok(log)
    }

    /// Takes in the calls that wait.
    pub(super) fn take_in(&mut self) {
        self.entries.try_iter().for_each(|entry| self.lines.add(entry));
    }

    /// Writes whole lines. What the disk had no place for is kept, and tried again a second later.
    ///
    /// # Errors
    /// When the disk has no place.
    pub(super) fn save(&mut self) -> Result<(), RecordError> {
        self.lines.checkpoint();
        self.write().map_err(|cause| RecordError::Unwritable { path: self.path.clone(), cause })
    }

    /// Writes the last lines; calls that were lost on the way are in the count of `status`.
    ///
    /// # Errors
    /// When the disk has no place.
    pub(super) fn close(&mut self, status: &Status) -> Result<(), RecordError> {
        self.lines.has_lost(status.session_dropped.load(Relaxed));
        self.save()?;
        self.file.sync_data().map_err(|cause| RecordError::Unwritable { path: self.path.clone(), cause })
    }

    fn write(&mut self) -> io::Result<()> {
        let text = self.lines.text().as_bytes();
        if text.is_empty() {
            return Ok(());
        }
        if let Err(cause) = self.file.write_all(text) {
            // Best effort: a line that was half written goes, so that it is not written twice.
            let _ = self.file.set_len(self.whole);
            let _ = self.file.seek(io::SeekFrom::Start(self.whole));
            return Err(cause);
        }
        self.whole += text.len() as u64;
        self.lines.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::{Ensemble, Opening};
    use crate::model::NoteModel as _;
    use crate::model::toy::ToyModel;
    use crate::settings::Settings;
    use crate::time::SessionTime;

    #[test]
    fn calls_grow_the_file_by_whole_lines_and_lost_ones_are_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.session");
        let opening = Opening { settings: Settings::default(), channel: 0, seed: 1 };
        let header = Header::new("toy", ToyModel::default().origin(), &opening);
        let (sender, receiver) = crossbeam_channel::bounded(2);
        let status = Status::default();
        let mut log = SessionLog::create(path.clone(), &header, receiver).expect("created");
        let read = || fs::read_to_string(&path).expect("there");
        let begun = read();
        assert!(begun.ends_with("begin\n"), "{begun}");

        let mut ensemble = Ensemble::new(ToyModel::default(), opening).expect("the toy always starts");
        let (queue, lost) = (sender.clone(), std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0)));
        let counted = std::sync::Arc::clone(&lost);
        ensemble = ensemble.transcribed(move |entry| {
            if queue.try_send(entry).is_err() {
                counted.fetch_add(1, Relaxed);
            }
        });
        for ms in 1..=5 {
            ensemble.wake(SessionTime::from_micros(ms * 1000), |_| {}).expect("the toy never fails");
        }
        log.take_in();
        log.save().expect("written");
        assert_eq!(read().strip_prefix(&begun).and_then(|new| new.split('=').next()), Some("w 1000"));
        status.session_dropped.store(lost.load(Relaxed), Relaxed);
        log.close(&status).expect("written");
        assert!(read().ends_with("\nlost 3\n"), "{}", read());
    }
}
