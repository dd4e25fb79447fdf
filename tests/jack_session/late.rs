//! A listener that is too slow for the server, so that periods are lost to it, with whatever was written in them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::sleep;

use crossbeam_channel::{Sender, bounded};
use jack::{Client, Control, MidiIn, Port, ProcessHandler, ProcessScope};

use super::on_server::with_jack_servers_name;
use super::*;

/// A period takes 2.7 ms: the listener misses some each time that it dozes off.
const DOZES_FOR: Duration = Duration::from_millis(20);

/// Periods between two dozes.
const AWAKE_FOR: u32 = 20;

/// Notes. Of so many a dozen would go on sounding.
const ENOUGH: usize = 100;

struct Drowsy {
    input: Port<MidiIn>,
    heard: Sender<[u8; 3]>,
    periods: u32,
    /// Dozes off no more: JACK's library cancels its threads when a client is closed, and no cancellation gets through a
    /// callback that is written in Rust.
    awake: Arc<AtomicBool>,
}

impl ProcessHandler for Drowsy {
    fn process(&mut self, _: &Client, period: &ProcessScope) -> Control {
        for event in self.input.iter(period) {
            if let &[status, first, second] = event.bytes {
                let _ = self.heard.try_send([status, first, second]);
            }
        }
        self.periods += 1;
        if self.periods.is_multiple_of(AWAKE_FOR) && !self.awake.load(Relaxed) {
            sleep(DOZES_FOR);
        }
        Control::Continue
    }
}

#[test]
fn a_note_off_that_falls_into_a_lost_period_is_said_again() {
    with_jack_servers_name("late::a_note_off_that_falls_into_a_lost_period_is_said_again", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let _server = server::Server::start_here_without_patience(folder.path(), [48_000, 128]);
        drop(server::open_client("knock"));
        let (heard, hears) = bounded(1 << 16);
        let awake = Arc::new(AtomicBool::new(false));
        let drowsy = server::open_client("drowsy");
        let input = drowsy.register_port("in", MidiIn::default()).expect("an input port");
        let listener = Drowsy { input, heard, periods: 0, awake: Arc::clone(&awake) };
        let drowsy = drowsy.activate_async((), listener).expect("it can be activated");
        let flags = ["--backend", "jack", "--seed", "7", "--mode", "solo", "--connect-to", "drowsy:in"];
        let mut daemon = Daemon::start(folder.path(), &flags);
        daemon.wait_until_ready(PATIENCE);

        let mut all = Vec::new();
        let begun = std::time::Instant::now();
        while all.iter().filter(|message: &&[u8; 3]| message[0] & 0xf0 == 0x90).count() < ENOUGH {
            assert!(begun.elapsed() < PATIENCE, "hardly anything was heard: {}", all.len());
            all.extend(hears.try_iter());
            sleep(Duration::from_millis(20));
        }
        let (status, said) = daemon.stop("TERM", Duration::from_secs(10));
        assert!(status.success(), "antiphon ended with {status} and said:\n{said}");
        assert!(said.contains("xruns of JACK: "), "{said}");
        awake.store(true, Relaxed);
        sleep(5 * DOZES_FOR);
        all.extend(hears.try_iter());
        drop(drowsy);

        let mut last = BTreeMap::new();
        for [status, key, velocity] in all {
            if matches!(status & 0xf0, 0x80 | 0x90) {
                last.insert(key, status & 0xf0 == 0x90 && velocity > 0);
            }
        }
        last.retain(|_, sounds| *sounds);
        assert!(last.is_empty(), "never released: {:?}", last.keys());
    });
}
