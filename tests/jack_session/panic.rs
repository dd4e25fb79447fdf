//! Silence at once, asked for by a signal.

use super::*;

/// All notes off and all sound off, of each channel.
fn silencing(pianist: &Pianist) -> usize {
    let answer = pianist.log.iter().filter(|message| message.voice == Voice::Answer);
    answer.filter(|message| message.bytes[0] & 0xf0 == 0xb0 && [120, 123].contains(&message.bytes[1])).count()
}

#[test]
fn the_signal_usr2_silences_everything_and_it_waits_for_the_human() {
    with_jack_server("panic::the_signal_usr2_silences_everything_and_it_waits_for_the_human", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        drop(server::open_client("knock"));
        let mut daemon = Daemon::start(folder.path(), &["--backend", "jack", "--seed", "7", "--mode", "solo"]);
        daemon.wait_until_ready(PATIENCE);
        let mut pianist = Pianist::sit_down();
        listen_until(&mut pianist, "an answer that sounds", |p| {
            note_ons(p, Voice::Answer).len() >= 4 && !p.sounding_at(p.now()).is_empty()
        });
        daemon.signal("USR2");
        listen_until(&mut pianist, "all notes off and all sound off on 16 channels", |p| silencing(p) >= 32);
        let silent = pianist.log.iter().rfind(|message| message.bytes[0] & 0xf0 == 0xb0).expect("heard").frame;
        assert!(pianist.sounding_at(silent).is_empty(), "released by name as well");
        // The conductor forgets its plan, too, and does not begin another.
        pianist.listen_to(silent + 1_500 * MILLISECOND);
        let after = note_ons(&pianist, Voice::Answer).iter().filter(|note| note.frame > silent).count();
        assert_eq!(after, 0, "notes after the panic");
        daemon.expect_alive();
        let end = play(&mut pianist, &PHRASE[..4]);
        listen_until(&mut pianist, "an answer to what came then", |p| {
            note_ons(p, Voice::Answer).iter().any(|note| note.frame > end)
        });
        stop(daemon, "TERM", &mut pianist);
    });
}
