use std::fs;

use super::*;
use crate::midi::TimedMessage;
use crate::midi_file::read_notes_from_bytes;
use crate::sysex::Cut;
use crate::time::SessionDuration;

/// A recorder that is fed by this.
fn start(path: &Path, happenings: Vec<Receiver<Happening>>) -> Result<Recorder, RecordError> {
    let sources = Sources { happenings, pieces: crossbeam_channel::never(), session: None };
    let watchers = crossbeam_channel::bounded(1).0;
    Recorder::start(path, Take::in_bars_of(4), Splits::default(), sources, watchers, Clock::new(), Arc::default())
}

#[test]
fn a_folder_that_cannot_be_written_is_known_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("no such folder").join("AI_generated.mid");
    let error = start(&path, Vec::new()).err().expect("refused");
    assert!(error.to_string().contains("no such folder"), "{error}");
}

#[test]
fn a_take_whose_folder_goes_is_kept_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in").join("kept-elsewhere.mid");
    fs::create_dir(folder.path().join("in")).expect("made");
    let (sender, receiver) = crossbeam_channel::unbounded();
    let recorder = start(&path, vec![receiver]).expect("started");
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
    let recorder = start(&path, vec![receiver]).expect("started");
    let second = start(&path, Vec::new()).err().expect("refused");
    assert!(second.to_string().contains("another antiphon"), "{second}");
    for index in 0..500u64 {
        sender.send(Happening::Ai(TimedMessage::on(index * 10, 60))).expect("listening");
        sender.send(Happening::Ai(TimedMessage::off(index * 10 + 5, 60))).expect("listening");
    }
    recorder.finish().expect("written");
    let notes = read_notes_from_bytes(&fs::read(&path).expect("there")).expect("whole");
    assert_eq!(notes.len(), 500);
}

/// A recorder whose sources and sights are at hand, under a policy.
struct Bench {
    folder: tempfile::TempDir,
    happen: Sender<Happening>,
    pieces: Sender<Piece>,
    sights: Receiver<Sight>,
    clock: Clock,
    recorder: Recorder,
}

fn bench(splits: Splits) -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let (happen, happenings) = crossbeam_channel::unbounded();
    let (pieces, received) = crossbeam_channel::unbounded();
    let (watchers, sights) = crossbeam_channel::unbounded();
    let sources = Sources { happenings: vec![happenings], pieces: received, session: None };
    let (path, clock) = (folder.path().join("take.mid"), Clock::new());
    let take = Take::in_bars_of(4);
    let recorder = Recorder::start(&path, take, splits, sources, watchers, clock, Arc::default());
    Bench { folder, happen, pieces, sights, clock, recorder: recorder.expect("started") }
}

impl Bench {
    /// A short note at a time.
    fn note(&self, ms: u64, key: u8) {
        self.happen.send(Happening::Human(TimedMessage::on(ms, key))).expect("listening");
        self.happen.send(Happening::Human(TimedMessage::off(ms + 5, key))).expect("listening");
    }

    fn wait_for_part(&self) -> PathBuf {
        loop {
            let sight = self.sights.recv_timeout(Duration::from_secs(60)).expect("a part in a minute");
            if let Sight::Part { kept, .. } = sight {
                return kept;
            }
        }
    }

    /// The keys in the files of all parts, in the order of their names; the last is the one that is played.
    fn end(self) -> Vec<Vec<u8>> {
        let path = self.folder.path().join("take.mid");
        self.recorder.finish().expect("written");
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .expect("there")
            .map(|entry| entry.expect("readable").path())
            .filter(|found| *found != path)
            .collect();
        names.sort();
        names.push(path);
        let keys = |path: &PathBuf| {
            let notes = read_notes_from_bytes(&fs::read(path).expect("there")).expect("whole");
            notes.iter().map(|note| note.key).collect()
        };
        names.iter().map(keys).collect()
    }
}

#[test]
fn a_take_is_split_when_it_is_asked_for_and_something_is_played() {
    let bench = bench(Splits::default());
    bench.note(10, 60);
    bench.happen.send(Happening::Split { at: SessionTime::from_micros(100_000) }).expect("listening");
    bench.note(150, 62);
    let kept = bench.wait_for_part();
    assert!(kept.file_name().is_some_and(|name| name.to_string_lossy().starts_with("take-2")), "{kept:?}");
    bench.happen.send(Happening::Split { at: SessionTime::from_micros(200_000) }).expect("listening");
    assert_eq!(bench.end(), [[60], [62]], "nothing has been played since the second");
}

#[test]
fn a_take_is_split_after_a_silence() {
    let bench = bench(Splits { silence: Some(SessionDuration::from_millis(2000)), every: None });
    for (ms, key) in [(10, 60), (1900, 61), (3906, 62), (3950, 63)] {
        bench.note(ms, key);
    }
    bench.wait_for_part();
    assert_eq!(bench.end(), [vec![60, 61], vec![62, 63]]);
}

#[test]
fn a_take_is_split_every_so_often_at_a_rest() {
    let bench = bench(Splits { silence: None, every: Some(SessionDuration::from_millis(1)) });
    bench.note(0, 60);
    // It is due as soon as the recorder looks; then the next note begins another part.
    while bench.clock.now() < SessionTime::from_micros(200_000) {
        thread::sleep(LOOK_EVERY);
    }
    bench.note(bench.clock.now().as_micros() / 1000, 62);
    bench.wait_for_part();
    assert_eq!(bench.end(), [[60], [62]]);
}

#[test]
fn a_long_take_is_split_and_all_of_it_is_kept() {
    let bench = bench(Splits::default());
    let count = PART_BYTES / 10 + 1;
    for number in 0..count {
        // Long ago, so that all of it comes before the split.
        bench.note(number as u64 % 2, u8::try_from(number % 100).expect("small"));
    }
    let mut slicer = crate::sysex::Slicer::new(0);
    let mut looked = bench.clock.now();
    let mut parts = 0;
    while parts == 0 {
        bench.note(bench.clock.now().as_micros() / 1000, 101);
        let mut sysex = &[0xf0, 9, 0xf7][..];
        while let Some(Cut::Piece(piece)) = slicer.cut(bench.clock.now(), &mut sysex) {
            bench.pieces.send(piece).expect("listening");
        }
        parts += usize::from(bench.sights.try_iter().any(|sight| matches!(sight, Sight::Part { .. })));
        assert!(bench.clock.now() < looked + SessionDuration::from_millis(60_000), "never split");
        thread::sleep(LOOK_EVERY);
    }
    looked = bench.clock.now();
    let parts = bench.end();
    let notes: usize = parts.iter().map(|keys| keys.iter().filter(|key| **key != 101).count()).sum();
    assert_eq!((parts.len(), notes), (2, count), "{looked}");
}
