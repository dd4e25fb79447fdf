//! `--synth` through JACK: what an ear at the sound's ports hears, also when the server goes and comes back.

use std::thread::sleep;
use std::time::Instant;

use antiphon::figures::Report;
use crossbeam_channel::{Receiver, Sender, unbounded};
use jack::{AsyncClient, AudioIn, Client, Control, Port, PortFlags, ProcessHandler, ProcessScope};

use super::cables::wait_until_said;
use super::hearing::{SILENT, is_key, loudest, pitch};
use super::on_server::with_jack_servers_name;
use super::server::Server;
use super::*;

/// A below middle C: 220 Hz.
const KEY: u8 = 57;

/// Hears the left side of the sound.
struct Ear {
    client: AsyncClient<(), Eardrum>,
    heard: Receiver<Vec<f32>>,
}

struct Eardrum {
    port: Port<AudioIn>,
    heard: Sender<Vec<f32>>,
}

impl ProcessHandler for Eardrum {
    fn process(&mut self, _: &Client, scope: &ProcessScope) -> Control {
        let _ = self.heard.send(self.port.as_slice(scope).to_vec());
        Control::Continue
    }
}

impl Ear {
    /// Waits for the ports of the sound, and listens to them.
    fn open() -> Self {
        let client = server::open_client("ear");
        let port = client.register_port("in", AudioIn::default()).expect("a port");
        let (tell, heard) = unbounded();
        let client = client.activate_async((), Eardrum { port, heard: tell }).expect("it can be activated");
        let begun = Instant::now();
        loop {
            let sound = client.as_client().ports(Some("cpal_client_.*out_0"), None, PortFlags::IS_OUTPUT);
            if let Some(sound) = sound.first() {
                client.as_client().connect_ports_by_name(sound, "ear:in").expect("they fit");
                return Self { client, heard };
            }
            assert!(begun.elapsed() < PATIENCE, "the sound has no port");
            sleep(Duration::from_millis(20));
        }
    }

    fn rate(&self) -> u32 {
        self.client.as_client().sample_rate()
    }

    /// What sounds from now on, for so long.
    fn listen(&self, ms: u64) -> Vec<f32> {
        self.heard.try_iter().for_each(drop);
        let frames = usize::try_from(ms * u64::from(self.rate()) / 1000).expect("short");
        let mut sound = Vec::new();
        while sound.len() < frames {
            sound.extend(self.heard.recv_timeout(PATIENCE).expect("the server goes on"));
        }
        sound
    }

    /// Listens until that has been heard in a fifth of a second.
    fn listen_for(&self, what: &str, is_heard: impl Fn(&[f32]) -> bool) {
        let begun = Instant::now();
        loop {
            let sound = self.listen(200);
            if is_heard(&sound) {
                return;
            }
            let heard = (loudest(&sound), pitch(&sound, self.rate()));
            assert!(begun.elapsed() < PATIENCE, "never heard: {what}; last loudness and pitch: {heard:?}");
        }
    }
}

/// Plays one message, and waits until it is past.
fn send(pianist: &mut Pianist, message: [u8; 3]) {
    let [_, end] = pianist.play(vec![(0, message)]);
    pianist.listen_to(end);
}

/// Antiphon only listens, so that what sounds is what the human plays.
const LISTENING: [&str; 10] = [
    "--backend",
    "jack",
    "--synth",
    "--mode",
    "listen",
    "--connect-from",
    "hands",
    "--json",
    "--soundfont",
    "built-in",
];

#[test]
fn you_and_the_answer_are_heard_in_tune() {
    with_jack_server("sounding::you_and_the_answer_are_heard_in_tune", || {
        drop(server::open_client("knock"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let font = folder.path().join("sine.sf2");
        std::fs::write(&font, soundfont::sine()).expect("written");
        let sounding = ["--backend", "jack", "--seed", "7", "--synth", "--require-sound", "--json", "--soundfont"];
        let font = font.display().to_string();
        let mut daemon = Daemon::start(folder.path(), &[&sounding[..], &[&font, "--set", "human-gain=0.5"]].concat());
        daemon.wait_until_ready(PATIENCE);
        let ear = Ear::open();
        let mut pianist = Pianist::sit_down();
        assert!(loudest(&ear.listen(300)) < SILENT, "nobody plays");
        send(&mut pianist, [0x90, KEY, 90]);
        ear.listen_for("the human's key", |sound| is_key(sound, 48_000, KEY));
        send(&mut pianist, [0x80, KEY, 64]);
        // The answer is heard as well, while the human plays nothing.
        let so_far = note_ons(&pianist, Voice::Answer).len();
        listen_until(&mut pianist, "an answer", |p| note_ons(p, Voice::Answer).len() >= so_far + 2);
        ear.listen_for("the answer", |sound| loudest(sound) > 0.02);
        let (status, said) = daemon.stop("TERM", Duration::from_secs(10));
        assert!(status.success(), "{said}");
        let report = said.lines().rev().find(|line| line.contains(r#""event":"figures""#)).expect("figures");
        let sound = serde_json::from_str::<Report>(report).expect("a report").sound.expect("of the sound");
        assert_eq!((sound.rate, sound.frames), (48_000, 64));
        println!("figure: {} us from key to loudspeaker, {} dropouts", sound.latency_us, sound.dropouts);
    });
}

#[test]
fn the_sound_comes_back_in_tune_and_as_it_was_set() {
    with_jack_servers_name("sounding::the_sound_comes_back_in_tune_and_as_it_was_set", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start_here(folder.path(), [48_000, 64]);
        drop(server::open_client("knock"));
        let mut daemon = Daemon::start(folder.path(), &LISTENING);
        daemon.wait_until_ready(PATIENCE);
        let mut pianist = Pianist::sit_down_unplugged();
        wait_until_said(&mut daemon, "hands:out is", 1);
        let ear = Ear::open();
        // The second channel is turned off, the first bent up a whole tone, and a key of it held.
        for message in [[0xb1, 7, 0], [0xe0, 127, 127], [0x90, KEY, 60]] {
            send(&mut pianist, message);
        }
        ear.listen_for("a tone above the key", |sound| is_key(sound, 48_000, KEY + 2));
        server.stop("KILL");
        wait_until_said(&mut daemon, "has gone (", 1);
        drop((pianist, ear));

        let server = Server::start_here(folder.path(), [44_100, 256]);
        drop(server::open_client("knock"));
        wait_until_said(&mut daemon, "sound: again on", 1);
        let mut pianist = Pianist::sit_down_unplugged();
        wait_until_said(&mut daemon, "hands:out is back", 1);
        let ear = Ear::open();
        assert_eq!(ear.rate(), 44_100);
        assert!(loudest(&ear.listen(500)) < SILENT, "the key that was held is over");
        send(&mut pianist, [0x91, 69, 90]);
        assert!(loudest(&ear.listen(300)) < SILENT, "the second channel is still turned off");
        send(&mut pianist, [0x90, KEY, 60]);
        ear.listen_for("a tone above the key, at another rate", |sound| is_key(sound, 44_100, KEY + 2));
        let (said, gone) = (daemon.said(), "no sound: JACK Output");
        let lines = said.lines().filter(|line| line.starts_with(gone)).count();
        assert_eq!(lines, 1, "said once: {said}");
        let (status, said) = daemon.stop("TERM", Duration::from_secs(10));
        assert!(status.success(), "{said}");
        assert!(said.contains("1 times the sound device has gone"), "{said}");
        drop(server);
    });
}

#[test]
fn sound_comes_when_a_server_does() {
    with_jack_servers_name("sounding::sound_comes_when_a_server_does", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut daemon = Daemon::start(folder.path(), &LISTENING);
        daemon.wait_until_ready(PATIENCE);
        let waits = "sound: none (no JACK server runs); the music goes on without it, and a device is waited for";
        assert!(daemon.said().contains(waits), "{}", daemon.said());
        let server = Server::start_here(folder.path(), [48_000, 128]);
        wait_until_said(&mut daemon, "sound: again on", 1);
        let mut pianist = Pianist::sit_down_unplugged();
        wait_until_said(&mut daemon, "hands:out is", 1);
        let ear = Ear::open();
        send(&mut pianist, [0x90, KEY, 60]);
        ear.listen_for("the key", |sound| is_key(sound, 48_000, KEY));
        let (status, said) = daemon.stop("TERM", Duration::from_secs(10));
        assert!(status.success(), "{said}");
        drop(server);
    });
}
