//! The timing paths take no memory and give none back: the player, the way in, JACK's `process()`, the sound.
//!
//! An allocator of this program's own counts the calls of each thread. What is proved: no call of Rust's allocator, in
//! the whole of the code that runs there, standard library and dependencies included. What is not: memory that C
//! libraries take, and locks; the code there has no lock of its own, and channels are used without waiting.
#![cfg(target_os = "linux")]

mod guard;
#[cfg(feature = "jack")]
#[path = "../jack/on_server.rs"]
mod on_server;
#[cfg(feature = "jack")]
#[path = "../jack/pianist.rs"]
mod pianist;
#[cfg(feature = "jack")]
#[path = "../jack/server.rs"]
mod server;
mod sound;
#[path = "../soundfont/mod.rs"]
mod soundfont;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::sleep;
use std::time::{Duration, Instant};

use antiphon::control::{Assignment, ControlMap};
use antiphon::ensemble::{Ensemble, Opening};
use antiphon::figures::Figures;
use antiphon::midi::{ShortMessage, TimedMessage};
use antiphon::model::{BUNDLED_MODEL, Engine, EngineChoice, LstmModel, ModelFile, NoteModel as _};
use antiphon::note::Note;
use antiphon::playback::Tape;
use antiphon::player::{Manners, PlannedNote, Player, PlayerCommand, Yielding};
use antiphon::ports::{Attachments, Backend, InputSink, PortName, SoundSettings};
use antiphon::recorder::Splits;
use antiphon::session::{LiveSession, LiveSettings};
use antiphon::session_file::Header;
use antiphon::settings::Settings;
use antiphon::status::Status;
use antiphon::time::{Clock, SessionDuration, SessionTime};
use guard::{Counting, calls_during, calls_of_threads, calls_since};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

#[test]
fn the_guard_notices_memory_that_is_taken_and_given_back() {
    assert_eq!(calls_during(|| drop(std::hint::black_box(Box::new(7)))), 2);
    assert_eq!(calls_during(|| ()), 0);
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("taker".into()).spawn(move || {
        std::mem::forget(std::hint::black_box(vec![1, 2, 3]));
        tell.send(()).expect("listening");
        let _ = wait.recv();
    });
    told.recv().expect("told");
    assert!(calls_since(&[], "taker") > 0);
    assert_eq!(calls_since(&[], "nobody"), 0);
    drop(go_on);
    thread.expect("started").join().expect("ended well");
}

/// Commands at random, more than the player has places for, in bursts and with gaps.
fn commands(seed: u64) -> Vec<(SessionTime, PlayerCommand)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut below = |limit: u64| random.next_u64() % limit;
    let (mut now, mut epoch) = (0, 1);
    let mut commands = Vec::new();
    for _ in 0..20_000 {
        if below(20) == 0 {
            now += below(200);
        }
        let key = u8::try_from(below(128)).expect("below 128");
        let velocity = u8::try_from(1 + below(127)).expect("below 128");
        let duration = SessionDuration::from_millis(1 + below(3_000));
        let note = Note { onset: at(now + below(16_000)), key, duration, velocity };
        let channel = u8::try_from(below(3)).expect("below 3");
        let yielding = [Yielding::All, Yielding::Waiting, Yielding::Softly, Yielding::Key];
        let yielding = yielding[usize::try_from(below(4)).expect("below 4")];
        let human = |message| TimedMessage { time: at(now), message };
        let command = match below(4_000) {
            0 => PlayerCommand::Panic,
            1 => PlayerCommand::Cancel { channel, epoch },
            2 => PlayerCommand::Revise { channel, after: note.onset },
            3 => PlayerCommand::Manners(Manners { yielding, apart: channel == 0, ..Manners::default() }),
            4..6 => PlayerCommand::Human(human(ShortMessage::note_on(channel, key, velocity))),
            6..10 => PlayerCommand::Human(human(ShortMessage::note_off(channel, key))),
            _ => PlayerCommand::Play(PlannedNote { epoch, channel, note }),
        };
        epoch += u32::from(!matches!(command, PlayerCommand::Play(_)));
        commands.push((at(now), command));
    }
    commands
}

#[test]
fn the_player_takes_no_memory_whatever_it_is_told() {
    for seed in 0..5 {
        let commands = commands(seed);
        let mut player = Player::default();
        let mut sent = 0;
        let calls = calls_during(|| {
            for &(now, command) in &commands {
                player.play(now, |_, _| sent += 1);
                player.command(command, now, |_, _| sent += 1);
                player.next_due();
            }
            player.release(at(1_000_000), |_, _| sent += 1);
        });
        assert!(sent > 1_000, "only {sent} messages");
        assert!(player.refused() > 0, "the player was never full");
        assert_eq!(calls, 0, "seed {seed}");
    }
}

#[test]
fn a_take_that_is_played_back_takes_no_memory_however_dense_it_is() {
    let mut tape = Tape::default();
    let mut sent = 0;
    let calls = calls_during(|| {
        for us in 0..20_000 {
            let key = u8::try_from(us % 120).expect("below 128");
            let message = if us % 3 == 0 { ShortMessage::note_off(0, key) } else { ShortMessage::note_on(0, key, 70) };
            let timed = TimedMessage { time: SessionTime::from_micros(us + 3_000), message };
            let reel = 1 + u32::try_from(us / 10_000).expect("small");
            tape.command(PlayerCommand::Replay { reel, timed }, |_| sent += 1);
            tape.play(SessionTime::from_micros(us), |_, _| sent += 1);
            if us % 10_000 == 9_999 {
                tape.command(PlayerCommand::EndReplay { reel }, |_| sent += 1);
            }
        }
    });
    assert!(sent > 1_000 && tape.refused() > 0, "{sent} messages, {} refused", tape.refused());
    assert_eq!(calls, 0);
}

#[test]
fn what_comes_in_takes_no_memory_even_when_nobody_takes_it() {
    let (sender, receiver) = crossbeam_channel::bounded(64);
    let status = Arc::new(Status::default());
    let sink = InputSink::new(sender, Arc::default(), Arc::clone(&status));
    let calls = calls_during(|| {
        for key in 0..100 {
            sink.push(at(u64::from(key)), ShortMessage::note_on(0, key, 80).as_bytes());
            // A clock of the beat, which is heard as well.
            sink.push(at(u64::from(key)), &[0xf8]);
            sink.push(at(u64::from(key)), &[]);
        }
    });
    assert_eq!(receiver.len(), 64);
    assert_eq!(status.input_dropped.load(Relaxed), 200 - 64);
    assert_eq!(calls, 0);
}

#[test]
fn sysex_takes_no_memory_on_its_way_in() {
    let (pieces, received) = crossbeam_channel::bounded(64);
    let status = Arc::new(Status::default());
    let sink = InputSink::new(crossbeam_channel::bounded(1).0, Arc::default(), Arc::clone(&status));
    let sink = sink.keeping_sysex(pieces);
    let long = [&[0xf0][..], &[5; 30_000], &[0xf7]].concat();
    let mut slicer = sink.slicer();
    let calls = calls_during(|| sink.hear(&mut slicer, at(5), &long, |_| {}));
    assert_eq!((received.len(), calls), (64, 0));
    assert!(status.sysex_dropped.load(Relaxed) > 0, "the queue was never full");
}

#[test]
fn a_message_that_names_a_style_takes_no_memory() {
    let (sender, receiver) = crossbeam_channel::bounded(64);
    let style = Assignment::parse("cc20=style waltz").expect("well formed");
    let sink = InputSink::new(sender, ControlMap::new(vec![vec![style]]).claims(), Arc::default());
    let calls = calls_during(|| (0..100).for_each(|us| sink.push(at(us), &[0xb0, 20, 127])));
    assert_eq!((receiver.len(), calls), (64, 0));
}

#[test]
fn measuring_takes_no_memory() {
    let figures = Figures::default();
    let calls = calls_during(|| {
        for us in 0..100_000 {
            figures.human_struck();
            figures.note_left(SessionTime::from_micros(1_000), SessionTime::from_micros(us * 997));
            figures.barge_in.add(SessionDuration::from_micros(us * us));
            figures.input_queue.saw(7);
        }
    });
    assert_eq!(calls, 0);
}

/// A session with the bundled model that plays the human's part from a phrase; ends when dropped.
fn session(backend: Backend, take: PathBuf) -> LiveSession {
    session_with_sound(backend, take, None)
}

fn session_with_sound(backend: Backend, take: PathBuf, sound: Option<SoundSettings>) -> LiveSession {
    let engine = Engine::start(&EngineChoice::Embedded).expect("the engine starts");
    let file = ModelFile::from_bytes(Path::new("bundled"), BUNDLED_MODEL.to_vec()).expect("ours");
    let model = LstmModel::load(&file, &engine).expect("the engine takes it");
    let opening = Opening { settings: Settings::default(), channel: 0, seed: 7 };
    let header = Header::new(engine.name(), model.origin(), &opening);
    let ensemble = Ensemble::new(model, opening).expect("the model starts");
    let settings = LiveSettings {
        backend,
        name: PortName::default(),
        attachments: Attachments::default(),
        controls: Vec::new(),
        take,
        splits: Splits::default(),
        takes: Arc::new(|_| Err("no take".into())),
        sound,
        session_file: Some(header),
    };
    LiveSession::start(settings, Clock::new(), ensemble, Arc::new(|_| Err("no other model".into()))).expect("it starts")
}

/// Waits until Antiphon has played so many notes.
fn wait_for_notes(session: &LiveSession, notes: u64) {
    let begun = Instant::now();
    while session.status.notes()[1] < notes {
        assert!(begun.elapsed() < Duration::from_secs(60), "no answer: {}", session.status);
        sleep(Duration::from_millis(10));
    }
}

/// A short phrase that begins at `at`.
fn phrase(at: SessionTime) -> Vec<TimedMessage> {
    let note = |index: u8| {
        let onset = at + SessionDuration::from_millis(200 * u64::from(index));
        let key = 60 + 2 * index;
        let off =
            TimedMessage { time: onset + SessionDuration::from_millis(180), message: ShortMessage::note_off(0, key) };
        [TimedMessage { time: onset, message: ShortMessage::note_on(0, key, 80) }, off]
    };
    (0..6).flat_map(note).collect()
}

#[test]
fn the_thread_of_the_player_takes_no_memory_once_it_plays() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut session = session(Backend::None, folder.path().join("take.mid"));
    session.play_as_human(phrase(session.now()), Vec::new()).expect("a thread");
    // Its channel takes memory when it waits for the first time.
    wait_for_notes(&session, 3);
    let before = calls_of_threads("player");
    for _ in 0..3 {
        // The phrase cuts the answer off.
        session.play_as_human(phrase(session.now()), Vec::new()).expect("a thread");
        let played = session.status.notes()[1];
        sleep(Duration::from_millis(1_200));
        wait_for_notes(&session, played + 4);
    }
    assert_eq!(calls_since(&before, "player"), 0);
}

#[cfg(feature = "jack")]
#[test]
fn the_process_callback_of_jack_takes_no_memory() {
    on_server::with_jack_server("the_process_callback_of_jack_takes_no_memory", || {
        drop(server::open_client("knock"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let take = folder.path().join("take.mid");
        // Threads that libjack starts have the name of the one that made it.
        let opener = std::thread::Builder::new().name("opener".into());
        let session = opener.spawn(|| session(Backend::Jack, take)).expect("a thread").join().expect("it starts");
        let before = calls_of_threads("opener");
        let mut pianist = pianist::Pianist::sit_down();
        for _ in 0..3 {
            let rate = u64::from(pianist.rate());
            let in_frames = |timed: &TimedMessage| {
                let frame = timed.time.as_micros() * rate / 1_000_000;
                let bytes = timed.message.as_bytes().try_into().expect("note-ons and note-offs have three bytes");
                (jack::Frames::try_from(frame).expect("seconds"), bytes)
            };
            // The phrase cuts the answer off.
            pianist.play(phrase(SessionTime::ZERO).iter().map(in_frames).collect());
            let played = session.status.notes()[1];
            pianist.listen_for(Duration::from_millis(1_200), |_| false);
            wait_for_notes(&session, played + 4);
        }
        assert_eq!(calls_since(&before, "opener"), 0);
        assert_eq!(session.status.notes()[0], 18);
        drop(session);
        pianist.listen_to(pianist.now() + pianist.rate() / 2);
        let owed = pianist.sounding_at(jack::Frames::MAX);
        assert!(owed.is_empty(), "never released: {owed:?}");
    });
}
