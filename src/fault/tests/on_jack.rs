//! Panics in the threads that a JACK server brings along, heard by another program.

#[path = "../../../tests/jack/on_server.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod on_server;
#[path = "../../../tests/jack/pianist.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod pianist;
#[path = "../../../tests/jack/server.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod server;

use jack::Frames;
use on_server::with_jack_server;
use pianist::{Pianist, Voice};

use super::break_at;

/// On the server of this process, attached to whoever listens.
const ATTACHED: &str = "--backend jack --no-http --connect-to ears:in";

#[test]
fn a_panic_in_jacks_threads_ends_in_order() {
    let name = "fault::tests::on_jack::a_panic_in_jacks_threads_ends_in_order";
    with_jack_server(name, || {
        drop(server::open_client("knock"));
        // Some seconds after the beginning: a period takes 1.3 ms, and the pump looks every millisecond.
        for fault in ["jack process:3000", "jack pump:3000"] {
            let mut pianist = Pianist::sit_down_unplugged();
            let notes = break_at(fault, ATTACHED);
            let end = pianist.now() + pianist.rate() / 10;
            pianist.listen_to(end);
            let struck = |message: &&pianist::Message| message.voice == Voice::Answer && message.is_note_on();
            let heard = pianist.log.iter().filter(struck).count();
            assert!(heard > 0, "{fault}: nothing was heard");
            let owed = pianist.sounding_at(Frames::MAX);
            assert!(owed.is_empty(), "{fault}: never released: {owed:?}");
            let keys = |key: u8| notes.iter().filter(|note| note.key == key).count();
            for key in 0..128 {
                let struck = pianist.log.iter().filter(struck).filter(|message| message.key() == key).count();
                assert!(keys(key) >= struck, "{fault}: key {key} was heard {struck} times, recorded {}", keys(key));
            }
        }
    });
}
