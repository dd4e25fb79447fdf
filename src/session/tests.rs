//! A session with real threads, whose model can be made to hang.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::ensemble::Opening;
use crate::midi_file::read_notes;
use crate::model::toy::ToyModel;
use crate::model::{ModelState, Origin};
use crate::note_model::{Attribute, NoteClasses};
use crate::settings::{Mode, Settings};

/// Generous, because the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the model hangs.
#[derive(Clone, Default)]
struct Stuck(Arc<(Mutex<bool>, Condvar)>);

impl Stuck {
    fn set(&self, stuck: bool) {
        *self.0.0.lock().expect("not poisoned") = stuck;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let stuck = self.0.0.lock().expect("not poisoned");
        drop(self.0.1.wait_while(stuck, |stuck| *stuck).expect("not poisoned"));
    }
}

/// The toy, but for the moments in which it hangs.
struct Hanging {
    toy: ToyModel,
    stuck: Stuck,
}

impl NoteModel for Hanging {
    fn origin(&self) -> &Origin {
        self.toy.origin()
    }

    fn styles(&self) -> &[String] {
        self.toy.styles()
    }

    fn start(&mut self, style: usize) -> Result<ModelState, ModelError> {
        self.toy.start(style)
    }

    fn advance(&mut self, state: &mut ModelState, note: NoteClasses, style: usize) -> Result<(), ModelError> {
        self.stuck.wait();
        self.toy.advance(state, note, style)
    }

    fn logits(
        &mut self,
        state: &ModelState,
        chosen: NoteClasses,
        attribute: Attribute,
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        self.toy.logits(state, chosen, attribute, out)
    }
}

/// A session that plays alone into no port.
fn solo(take: PathBuf, stuck: &Stuck) -> LiveSession {
    let settings = Settings { mode: Mode::Solo, ..Settings::default() };
    let model = Hanging { toy: ToyModel::default(), stuck: stuck.clone() };
    let ensemble = Ensemble::new(model, Opening { settings, channel: 0, seed: 1 }).expect("the toy always starts");
    let live = LiveSettings {
        backend: Backend::None,
        name: PortName::default(),
        attachments: Attachments::default(),
        controls: Vec::new(),
        take,
        splits: Splits::default(),
        takes: Arc::new(|_| Err("there is no take".into())),
        sound: None,
        session_file: None,
    };
    let library: Library<Hanging> = Arc::new(|_| Err("there is one model".into()));
    LiveSession::start(live, Clock::new(), ensemble, library).expect("it starts")
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_panic_silences_what_sounds_though_the_model_hangs_and_the_session_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("take.mid");
    let stuck = Stuck::default();
    let session = solo(path.clone(), &stuck);
    let notes = || session.status.notes()[1];
    wait_for("two notes", || notes() >= 2);
    stuck.set(true);
    assert!(session.way_out().panic(), "the conductor's queue has room");
    // What it has counted has left, and a second of notes was planned.
    let silent = session.now() + crate::time::SessionDuration::from_millis(1);
    let planned_until = silent + crate::time::SessionDuration::from_millis(1_500);
    let mut played = notes();
    wait_for("the end of the plan", || {
        if session.now() < silent {
            played = notes();
        }
        session.now() > planned_until
    });
    let after = notes();
    stuck.set(false);
    session.controller().ask(Control::HandOver);
    wait_for("another answer", || notes() > after);
    session.stop().expect("it ends in order");
    let late = read_notes(&path).expect("a whole file").into_iter().filter(|note| note.onset > silent);
    let in_the_plan = late.filter(|note| note.onset < planned_until).count();
    assert_eq!(in_the_plan, 0, "of what was planned nothing was heard; {played} before, {after} after");
}

#[test]
fn the_way_out_releases_what_sounds_and_closes_the_take_though_the_model_hangs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("take.mid");
    let stuck = Stuck::default();
    let session = solo(path.clone(), &stuck);
    wait_for("two notes", || session.status.notes()[1] >= 2);
    stuck.set(true);
    let begun = Instant::now();
    let taken = session.way_out().take();
    assert_eq!(taken, WayTaken { released: true, recorded: true }, "after {:?}", begun.elapsed());
    let played = session.status.notes()[1];
    let notes = read_notes(&path).expect("a whole file");
    assert_eq!(notes.len() as u64, played, "every note is in the take");
    let end = session.now();
    for note in &notes {
        // One that nobody released would last to the end of the file, and the file would say so.
        assert!(note.end() < end + crate::time::SessionDuration::from_millis(1), "{note:?} is still held at {end}");
    }
    assert_eq!(session.way_out().take(), taken, "a second time does no harm");
    stuck.set(false);
    session.stop().expect("it ends in order, too");
    assert_eq!(read_notes(&path).expect("a whole file").len() as u64, played, "nothing was played after the way out");
}
