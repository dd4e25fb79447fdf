use proptest::prelude::*;

use super::super::seconds;
use super::super::test_clock::{Master, micros};
use super::*;
use crate::beat::Entry;
use crate::midi::SyncMessage::{Continue, SongPosition, Start, Stop};

/// A follower that has heard all of it, and what it says at the end.
fn followed(master: &Master) -> (Follower, Option<Grid>) {
    let mut follower = Follower::new(4);
    for &(time, message) in &master.sent {
        follower.hear(time, message);
    }
    let grid = follower.grid(micros(master.now * 1e6));
    (follower, grid)
}

/// Root of the mean square of the grid's error in milliseconds at each message from `from` seconds on; `truth` tells
/// the beat at a time in seconds. A missing grid counts as infinitely wrong.
fn error_ms(master: &Master, from: f64, seconds_per_beat: f64, truth: impl Fn(f64) -> f64) -> f64 {
    let mut follower = Follower::new(4);
    let (mut sum, mut count) = (0.0, 0.0);
    for &(time, message) in &master.sent {
        follower.hear(time, message);
        if seconds(time) >= from {
            let said = follower.grid(time).map_or(f64::INFINITY, |grid| grid.beat_at(time));
            sum += ((said - truth(seconds(time))) * seconds_per_beat * 1000.0).powi(2);
            count += 1.0;
        }
    }
    (sum / count).sqrt()
}

#[test]
fn an_ideal_clock_is_followed_exactly_at_any_tempo() {
    for bpm in [20.0, 30.0, 60.0, 120.0, 200.0, 300.0, 400.0] {
        let mut master = Master::at(1.0);
        master.send(Start);
        master.beats(12.0, bpm);
        let error = error_ms(&master, 1.0 + 60.0 / bpm, 60.0 / bpm, |time| (time - 1.0) * bpm / 60.0);
        assert!(error < 0.01, "{bpm} bpm: {error} ms");
        let grid = followed(&master).1.expect("runs");
        assert!((grid.bpm() - bpm).abs() < 0.01 * bpm / 20.0, "{bpm}: {}", grid.bpm());
        let next_bar = seconds(grid.next(micros(master.now * 1e6 + 1000.0), Entry::Bar));
        assert!((next_bar - 1.0 - 16.0 * 60.0 / bpm).abs() < 0.001, "{bpm}: {next_bar}");
    }
}

#[test]
fn jitter_is_averaged_out_after_two_beats() {
    for (bpm, most_ms) in [(30.0, 1.5), (60.0, 1.2), (120.0, 1.0), (200.0, 0.8), (300.0, 0.8)] {
        let mut master = Master::at(1.0).jitter(0.005);
        master.send(Start);
        master.beats(300.0, bpm);
        let error = error_ms(&master, 1.0 + 120.0 / bpm, 60.0 / bpm, |time| (time - 1.0) * bpm / 60.0);
        println!("{bpm} bpm, 5 ms of jitter: {error:.3} ms rms");
        assert!(error < most_ms, "{bpm} bpm: {error} ms");
    }
}

#[test]
fn drift_is_followed() {
    // The tempo rises by 1 % a second from 120 bpm: beats = 2 (t + t² / 200).
    let mut master = Master::at(0.0);
    let time_of = |beat: f64| -100.0 + (10_000.0 + 100.0 * beat).sqrt();
    for jitter in [0.0, 0.003] {
        master = Master::at(0.0).jitter(jitter);
        master.clocks(60.0, |beat| 60.0 / ((time_of(beat + 1.0 / 24.0) - time_of(beat)) * 24.0));
        let error = error_ms(&master, 1.0, 0.5, |time| 2.0 * (time + time * time / 200.0));
        println!("1 % a second, {jitter} s of jitter: {error:.3} ms rms");
        assert!(error < 2.0, "{error} ms");
    }
    let bpm = followed(&master).1.expect("runs").bpm();
    assert!((bpm - 120.0 * (1.0 + master.now / 100.0)).abs() < 1.5, "{bpm}");
}

#[test]
fn twenty_lost_clocks_are_glided_over() {
    for jitter in [0.0, 0.004] {
        let mut master = Master::at(1.0).jitter(jitter);
        master.send(Start);
        master.beats(9.0, 120.0);
        master.lose(20);
        master.beats(8.0, 120.0);
        let error = error_ms(&master, 3.0, 0.5, |time| (time - 1.0) * 2.0);
        println!("20 clocks lost, {jitter} s of jitter: {error:.3} ms rms");
        assert!(error < 1.5, "{error} ms");
        let mut once = Follower::new(4);
        for &(time, message) in &master.sent {
            once.hear(time, message);
        }
        assert_eq!(once.run, 1, "never interrupted");
    }
}

#[test]
fn a_bunch_of_clocks_moves_nothing() {
    let truth = |time: f64| (time - 1.0) * 2.0;
    let mut held = Master::at(1.0).jitter(0.001);
    held.send(Start);
    held.beats(9.0, 120.0);
    held.hold_back(24);
    held.beats(8.0, 120.0);
    let mut babbled = Master::at(1.0).jitter(0.001);
    babbled.send(Start);
    babbled.beats(9.0, 120.0);
    babbled.babble(24);
    babbled.beats(8.0, 120.0);
    for (what, master) in [("held back", held), ("too many", babbled)] {
        let error = error_ms(&master, 3.0, 0.5, truth);
        println!("24 clocks at once, {what}: {error:.3} ms rms");
        assert!(error < 1.0, "{what}: {error} ms");
    }
}

#[test]
fn a_new_tempo_is_followed_within_two_beats_on_the_masters_beats() {
    for (from, to, jitter) in [
        (90.0, 140.0, 0.0),
        (140.0, 90.0, 0.0),
        (90.0, 140.0, 0.003),
        (60.0, 240.0, 0.0),
        (120.0, 126.0, 0.003),
        (120.0, 132.0, 0.003),
    ] {
        let mut master = Master::at(1.0).jitter(jitter);
        master.send(Start);
        master.beats(8.0, from);
        let turned = master.now;
        master.beats(10.0, to);
        let error = error_ms(&master, turned + 2.0 * 60.0 / to, 60.0 / to, |time| 8.0 + (time - turned) * to / 60.0);
        println!("{from} to {to}, {jitter} s of jitter: {error:.3} ms rms after two beats");
        assert!(error < 2.0, "{from} to {to}: {error} ms");
        assert_eq!(followed(&master).0.run, 1);
    }
}

#[test]
fn after_stop_time_is_free_and_continue_goes_on_where_it_stopped() {
    let mut master = Master::at(1.0);
    master.send(Start);
    master.beats(5.5, 120.0);
    master.send(Stop);
    let (mut follower, grid) = followed(&master);
    assert_eq!(grid, None);
    master.rest(2.0);
    assert_eq!(follower.grid(micros(master.now * 1e6)), None);
    master.send(Continue);
    let continued = master.now;
    master.beats(4.0, 120.0);
    let error = error_ms(&master, continued, 0.5, |time| 5.5 + (time - continued) * 2.0);
    assert!(error < 0.01, "at once, as the tempo is known: {error} ms");
    assert_eq!(followed(&master).0.run, 2);
}

#[test]
fn clocks_while_it_is_stopped_count_no_beats_but_tell_the_tempo() {
    let mut master = Master::at(0.1);
    master.send(Stop);
    master.beats(3.3, 100.0);
    assert_eq!(followed(&master).1, None);
    master.send(Start);
    let started = master.now;
    master.beats(0.5, 100.0);
    let error = error_ms(&master, started, 0.6, |time| (time - started) * 100.0 / 60.0);
    assert!(error < 0.01, "{error} ms");
}

#[test]
fn the_song_position_says_where_it_goes_on() {
    let mut master = Master::at(1.0);
    master.send(Start);
    master.beats(3.0, 120.0);
    master.send(Stop);
    master.rest(1.0);
    master.send(SongPosition { sixteenths: 70 });
    master.send(Continue);
    let continued = master.now;
    master.beats(2.0, 120.0);
    let place = |time: f64| 17.5 + (time - continued) * 2.0;
    assert!(error_ms(&master, continued, 0.5, place) < 0.01);
    let (_, grid) = followed(&master);
    assert!((grid.expect("runs").run_began() - 17.5).abs() < 1e-9);

    // A loop: moved while it runs.
    master.send(SongPosition { sixteenths: 16 });
    let looped = master.now;
    master.beats(2.0, 120.0);
    assert!(error_ms(&master, looped + 0.001, 0.5, |time| 4.0 + (time - looped) * 2.0) < 0.01);
    assert_eq!(followed(&master).0.run, 3);
}

#[test]
fn time_is_free_when_the_clock_stays_away() {
    let mut master = Master::at(1.0);
    master.beats(8.0, 120.0);
    let (mut follower, _) = followed(&master);
    let last = master.now - 0.5 / 24.0;
    assert!(follower.grid(micros((last + 0.49) * 1e6)).is_some());
    assert_eq!(follower.grid(micros((last + 0.51) * 1e6)), None);
    assert_eq!(Follower::new(4).grid(micros(1e6)), None);

    // A cable that was out for 6 beats: the song has gone on.
    master.rest(3.0);
    let back = master.now;
    master.beats(4.0, 120.0);
    let error = error_ms(&master, back + 0.5, 0.5, |time| (time - 1.0) * 2.0);
    assert!(error < 0.1, "{error} ms");
    assert_eq!(followed(&master).0.run, 2);
}

#[test]
fn what_is_no_clock_of_music_is_no_grid() {
    let mut fast = Master::at(0.0);
    fast.beats(50.0, 1000.0);
    let mut slow = Master::at(0.0);
    slow.beats(3.0, 10.0);
    let mut random = Master::at(0.5).jitter(0.3);
    random.beats(20.0, 120.0);
    for master in [fast, slow, random] {
        assert_eq!(followed(&master).1, None);
    }
}

proptest! {
    /// Whatever the clock does, within a run beats go forward, also for one who asks between the clocks.
    #[test]
    fn beats_go_forward_only(
        steps in proptest::collection::vec((0..9_u8, 20.0..400.0_f64, 1..60_u32), 1..25),
        jitter in 0.0..0.02_f64,
        late_us in 0..3000_u64,
    ) {
        let mut master = Master::at(0.3).jitter(jitter);
        for (what, bpm, count) in steps {
            match what {
                0 => master.send(Start),
                1 => master.send(Stop),
                2 => master.send(Continue),
                3 => master.send(SongPosition { sixteenths: 8 }),
                4 => master.rest(f64::from(count) / 40.0),
                5 => master.babble(usize::try_from(count).expect("few")),
                _ => {}
            }
            master.beats(f64::from(count) / 10.0, bpm);
        }
        let mut follower = Follower::new(4);
        let mut newest: Option<(u32, f64)> = None;
        let mut asked = SessionTime::ZERO;
        for &(time, message) in &master.sent {
            follower.hear(time, message);
            // The message reaches the follower a little late, and someone asks twice.
            for late_us in [late_us, 2 * late_us] {
                asked = asked.max(time + SessionDuration::from_micros(late_us));
                if let Some(grid) = follower.grid(asked) {
                    let beat = grid.beat_at(asked);
                    prop_assert!(beat.is_finite());
                    if let Some((_, earlier)) = newest.filter(|(run, _)| *run == grid.run()) {
                        prop_assert!(beat >= earlier - 1e-9, "{earlier} then {beat}");
                    }
                    newest = Some((grid.run(), beat));
                }
            }
        }
    }
}
