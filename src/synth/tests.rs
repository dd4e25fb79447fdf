//! What is heard: pitch, force, pedals, bounds, clicks.

#[path = "../../tests/soundfont/mod.rs"]
mod font;

use super::*;
use crate::time::SessionDuration;

const RATE: u32 = 48_000;

fn on(key: u8, velocity: u8) -> ShortMessage {
    ShortMessage::note_on(0, key, velocity)
}

fn off(key: u8) -> ShortMessage {
    ShortMessage::note_off(0, key)
}

fn pedal(value: u8) -> ShortMessage {
    ShortMessage::control_change(0, 64, value)
}

/// The next `seconds` of an instrument, left and right.
fn listen(instrument: &mut dyn Instrument, seconds: f32) -> [Vec<f32>; 2] {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds")]
    let frames = (seconds * 48_000.0) as usize;
    let (mut left, mut right) = (vec![7.0; frames], vec![7.0; frames]);
    // In uneven pieces, as devices ask for them.
    for (left, right) in left.chunks_mut(413).zip(right.chunks_mut(413)) {
        instrument.render(left, right);
    }
    [left, right]
}

/// The root of the mean square.
#[expect(clippy::cast_precision_loss, reason = "some thousand frames")]
fn loudness(sound: &[f32]) -> f32 {
    (sound.iter().map(|sample| sample * sample).sum::<f32>() / sound.len() as f32).sqrt()
}

fn peak(sound: &[f32]) -> f32 {
    sound.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// The greatest step from a sample to the next.
fn steepest(sound: &[f32]) -> f32 {
    sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

/// How much of the pitch `hertz` is in it.
#[expect(clippy::cast_precision_loss, reason = "some thousand frames")]
fn share_of(sound: &[f32], hertz: f32) -> f32 {
    let turn = std::f32::consts::TAU * hertz / RATE as f32;
    let parts = sound.iter().zip(0u16..).map(|(sample, frame)| {
        let (sine, cosine) = (turn * f32::from(frame)).sin_cos();
        (sample * sine, sample * cosine)
    });
    let (sine, cosine) = parts.fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    (sine * sine + cosine * cosine).sqrt() / sound.len() as f32
}

#[test]
fn a_key_has_its_pitch_and_a_bend_moves_it() {
    for (key, hertz) in [(45, 110.0), (57, 220.0), (69, 440.0), (81, 880.0)] {
        let mut piano = BuiltIn::new(RATE);
        piano.play(on(key, 60));
        let [left, _] = listen(&mut piano, 0.4);
        let sound = &left[4_800..19_200];
        assert!(share_of(sound, hertz) > 8.0 * share_of(sound, hertz * 1.06), "key {key}");
    }
    let mut piano = BuiltIn::new(RATE);
    // Registered parameter 0: twelve semitones, then bent all the way up.
    for (controller, value) in [(101, 0), (100, 0), (6, 12)] {
        piano.play(ShortMessage::control_change(0, controller, value));
    }
    piano.play(ShortMessage::from_bytes(&[0xe0, 127, 127]).expect("whole"));
    piano.play(on(57, 60));
    let [left, _] = listen(&mut piano, 0.4);
    let sound = &left[4_800..19_200];
    assert!(share_of(sound, 439.9) > 8.0 * share_of(sound, 220.0));
}

#[test]
fn a_harder_blow_is_louder_and_brighter() {
    let blow = |velocity| {
        let mut piano = BuiltIn::new(RATE);
        piano.play(on(60, velocity));
        listen(&mut piano, 0.25)[0].clone()
    };
    let blows = [10, 40, 80, 127].map(blow);
    let loud: Vec<f32> = blows.iter().map(|blow| loudness(blow)).collect();
    assert!(loud.windows(2).all(|pair| pair[1] > 1.5 * pair[0]), "{loud:?}");
    let bright: Vec<f32> = blows.iter().map(|blow| steepest(blow) / peak(blow)).collect();
    assert!(bright.windows(2).all(|pair| pair[1] > pair[0]), "{bright:?}");
}

#[test]
fn a_note_sings_while_its_key_is_down_and_ends_when_it_goes_up() {
    let mut piano = BuiltIn::new(RATE);
    piano.play(on(60, 90));
    listen(&mut piano, 1.0);
    let sings = loudness(&listen(&mut piano, 0.2)[0]);
    assert!(sings > 0.01, "{sings}");
    piano.play(off(60));
    listen(&mut piano, 1.0);
    assert_eq!(piano.sounding(), 0);
    listen(&mut piano, 2.0);
    assert!(peak(&listen(&mut piano, 0.2)[0]) < 1e-6, "the room is silent as well");
}

#[test]
fn the_pedal_holds_what_is_let_go_and_sostenuto_only_what_was_down() {
    let mut piano = BuiltIn::new(RATE);
    piano.play(on(60, 90));
    piano.play(pedal(127));
    piano.play(off(60));
    listen(&mut piano, 1.0);
    assert_eq!(piano.sounding(), 1);
    piano.play(pedal(0));
    listen(&mut piano, 1.0);
    assert_eq!(piano.sounding(), 0);

    piano.play(on(60, 90));
    piano.play(ShortMessage::control_change(0, 66, 127));
    piano.play(on(64, 90));
    piano.play(off(60));
    piano.play(off(64));
    listen(&mut piano, 1.0);
    assert_eq!(piano.sounding(), 1, "64 came after the pedal");
    piano.play(ShortMessage::control_change(0, 66, 0));
    listen(&mut piano, 1.0);
    assert_eq!(piano.sounding(), 0);
}

#[test]
fn one_note_too_many_takes_the_place_of_the_softest_without_a_click() {
    let mut piano = BuiltIn::new(RATE);
    for key in 20..84 {
        piano.play(on(key, if key == 50 { 5 } else { 60 }));
    }
    listen(&mut piano, 0.2);
    assert_eq!(piano.sounding(), POLYPHONY);
    let before = steepest(&listen(&mut piano, 0.05)[0]);
    piano.play(on(100, 5));
    let after = steepest(&listen(&mut piano, 0.05)[0]);
    assert_eq!(piano.sounding(), POLYPHONY);
    assert!(after < 1.3 * before, "{after} after {before}");
    // More at once than there are places for those on their way out.
    for key in 0..128 {
        piano.play(on(key, 100));
    }
    assert!(listen(&mut piano, 0.1).iter().flatten().all(|sample| sample.is_finite()));
    assert!(piano.sounding() <= POLYPHONY);
    (0..128).for_each(|key| piano.play(off(key)));
    listen(&mut piano, 4.0);
    assert_eq!(piano.sounding(), 0);
}

/// Sines have no corners: nothing may step further than the highest partial can at that loudness.
#[test]
fn nothing_clicks_where_a_note_begins_ends_or_is_struck_anew() {
    let mut piano = BuiltIn::new(RATE);
    piano.play(on(40, 70));
    let mut sound = listen(&mut piano, 0.3)[0].clone();
    for message in [off(40), on(40, 70), pedal(127), off(40), on(40, 50), pedal(0), ShortMessage::all_sound_off(0)] {
        piano.play(message);
        sound.extend_from_slice(&listen(&mut piano, 0.05)[0]);
    }
    assert!(sound[0] < 1e-4);
    assert!(steepest(&sound) < 0.02, "{}", steepest(&sound));
    assert!(peak(&sound[sound.len() - 100..]) < 0.01);
}

#[test]
fn drums_sound_on_their_channel_and_end_by_themselves() {
    for key in 27..=87 {
        let mut piano = BuiltIn::new(RATE);
        piano.play(ShortMessage::note_on(9, key, 100));
        piano.play(ShortMessage::note_off(9, key));
        let blow = listen(&mut piano, 0.1)[0].clone();
        assert!((0.01..0.6).contains(&peak(&blow)), "{key}: {}", peak(&blow));
        listen(&mut piano, 12.0);
        assert_eq!(piano.sounding(), 0, "{key}");
    }
}

/// A mixer with the built-in instrument.
#[test]
fn a_soundfont_has_its_pitch_at_every_rate() {
    let font = read_soundfont(&font::sine()).expect("ours");
    for rate in [16_000, 44_100, 48_000, 192_000] {
        let mut player = Timbre::Font(Arc::clone(&font)).instrument(rate).expect("a usual rate");
        player.play(on(69, 100));
        let [left, _] = listen(&mut *player, 1.0);
        let turns = left[4_800..].windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        let expected = 43_200 * 440 / usize::try_from(rate).expect("small");
        assert!(turns.abs_diff(expected) <= 1, "{turns} turns instead of {expected} at {rate} Hz");
    }
    assert!(Timbre::Font(font).instrument(8_000).is_err());
}

#[test]
fn a_soundfont_whose_player_breaks_down_gives_way_to_the_built_in_instrument() {
    let font = read_soundfont(&font::breaking()).expect("it looks well");
    let gains = Gains::default();
    let mut mixer = Mixer::new(&Timbre::Font(font), RATE, gains).expect("a usual rate");
    mixer.play(Part::Human, on(127, 100));
    (0..500).for_each(|_| drop(mixed(&mut mixer, gains, 480)));
    assert!(mixer.is_broken());
    mixer.play(Part::Ai, on(69, 100));
    let sound = mixed(&mut mixer, gains, 9_600);
    let [there, beside] = [440.0, 466.2].map(|hertz| share_of(&sound, hertz));
    assert!(there > 0.005 && there > 10.0 * beside, "{there}, a semitone above {beside}");
}

#[test]
fn a_damaged_soundfont_is_refused_whatever_is_damaged() {
    let whole = font::sine();
    let mut random = 7u64;
    let mut refused = 0;
    for round in 0..1_500usize {
        let mut bytes = whole.clone();
        for _ in 0..1 + round % 3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = usize::try_from(random >> 33).expect("31 bits") % bytes.len();
            bytes[place] = [0, 1, 0x7f, 0xff][round % 4];
        }
        if round % 5 == 0 {
            bytes.truncate(round % whole.len());
        }
        match read_soundfont(&bytes) {
            Ok(font) => {
                let mut mixer = Mixer::new(&Timbre::Font(font), RATE, Gains::default()).expect("a usual rate");
                (0..128).step_by(9).for_each(|key| mixer.play(Part::Ai, on(key, 100)));
                mixed(&mut mixer, Gains::default(), 2_000);
            }
            Err(why) => {
                refused += 1;
                assert!(!why.is_empty() && !why.contains('\n'), "{why:?}");
            }
        }
    }
    assert!(refused > 300, "{refused}");
}

fn mixer(gains: Gains) -> Mixer {
    Mixer::new(&Timbre::BuiltIn, RATE, gains).expect("it takes any rate")
}

fn mixed(mixer: &mut Mixer, gains: Gains, frames: usize) -> Vec<f32> {
    let mut mixed = vec![[0.0; 2]; frames];
    mixer.render(gains, &mut mixed);
    mixed.concat()
}

#[test]
fn each_part_has_its_gain_and_its_own_keys_and_pedals() {
    let gains = Gains { human: 1.0, ai: 0.0 };
    let mut mixer = mixer(gains);
    mixer.play(Part::Ai, on(60, 100));
    assert!(peak(&mixed(&mut mixer, gains, 4_800)) < 1e-12);
    mixer.play(Part::Human, on(60, 100));
    let human = loudness(&mixed(&mut mixer, gains, 4_800));
    assert!(human > 0.01);
    // Antiphon lets its key go: the human's sings on.
    mixer.play(Part::Ai, off(60));
    let sings = loudness(&mixed(&mut mixer, gains, 4_800));
    assert!(sings > 0.5 * human, "{sings} after {human}");
    let half = Gains { human: 0.5, ai: 0.0 };
    mixed(&mut mixer, half, 9_600);
    let softer = loudness(&mixed(&mut mixer, half, 4_800));
    assert!(softer < 0.55 * sings, "{softer} after {sings}");
}

#[test]
fn whatever_is_played_stays_in_the_range_of_the_converter() {
    let loudest = Gains { human: 4.0, ai: 4.0 };
    let mut mixer = mixer(loudest);
    for channel in 0..16 {
        for key in (0..128).step_by(3) {
            mixer.play(Part::Human, ShortMessage::note_on(channel, key, 127));
            mixer.play(Part::Ai, ShortMessage::note_on(channel, key, 127));
        }
        let sound = mixed(&mut mixer, loudest, 2_000);
        assert!(sound.iter().all(|sample| sample.abs() <= 0.99), "{}", peak(&sound));
    }
    mixer.silence();
    mixed(&mut mixer, loudest, 48_000 * 5);
    assert!(peak(&mixed(&mut mixer, loudest, 4_800)) < 1e-5);
}

#[test]
fn the_same_is_heard_however_it_is_cut_into_blocks() {
    let play = |sizes: &[usize]| {
        let mut mixer = mixer(Gains::default());
        mixer.play(Part::Human, on(60, 100));
        mixer.play(Part::Ai, on(67, 80));
        let mut sound = Vec::new();
        for size in sizes.iter().cycle() {
            sound.extend(mixed(&mut mixer, Gains::default(), *size));
            if sound.len() > 40_000 {
                sound.truncate(40_000);
                return sound;
            }
        }
        sound
    };
    let [one, other] = [play(&[64]), play(&[1, 100, 17])];
    let off = one.iter().zip(&other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(off < 1e-5, "{off}");
}

fn at(ms: u64) -> SessionTime {
    SessionTime::from_micros(ms * 1000)
}

/// The first frame that is no silence, of a device that asks for 10 ms a time from the moment `ms` on.
fn heard_at(playback: &mut Playback, ms: u64, blocks: u64) -> Option<usize> {
    let mut sound = Vec::new();
    for block in 0..blocks {
        let mut frames = vec![[0.0; 2]; 480];
        playback.fill(at(ms + 10 * block), Gains::default(), &mut frames);
        sound.extend(frames);
    }
    sound.iter().position(|frame| frame[0].abs() > 1e-9)
}

#[test]
fn a_note_is_heard_a_block_after_it_was_played_to_the_frame() {
    let (mut line, resting) = Line::new();
    let mut playback = resting.wake(mixer(Gains::default()));
    assert_eq!(heard_at(&mut playback, 1_000, 10), None);
    let played = at(1_100) + SessionDuration::from_micros(3_500);
    assert!(line.send(Sounding { at: played, part: Part::Human, message: on(60, 100) }));
    let heard = heard_at(&mut playback, 1_100, 10).expect("heard");
    // The block from 1100 on holds what was played from 1090 on; so 13.5 ms after its beginning.
    assert!(heard.abs_diff(648) <= 2, "{heard}");
}

#[test]
fn a_note_that_was_sent_ahead_waits_and_one_that_was_taken_back_is_not_heard() {
    let (mut line, resting) = Line::new();
    let mut playback = resting.wake(mixer(Gains::default()));
    heard_at(&mut playback, 1_000, 2);
    let ahead = |ms, message| Sounding { at: at(ms), part: Part::Ai, message };
    line.send(ahead(1_200, on(60, 100)));
    // Taken back, by a note-off that comes before its time.
    line.send(ahead(1_020, off(60)));
    // This one stays, and does not hold up what is due before it.
    line.send(ahead(1_200, on(64, 100)));
    line.send(Sounding { part: Part::Human, ..ahead(1_030, on(72, 100)) });
    assert!(heard_at(&mut playback, 1_020, 5).expect("the human").abs_diff(960) <= 2);
    let mut other = [[0.0; 2]; 480];
    playback.fill(at(1_070), Gains { human: 0.0, ai: 1.0 }, &mut other);
    assert!(playback.rest().is_caught_up(), "nothing waits in the line");
}

#[test]
fn what_a_full_line_has_lost_leaves_nothing_sounding() {
    let (mut line, resting) = Line::new();
    let mut playback = resting.wake(mixer(Gains::default()));
    line.send(Sounding { at: at(0), part: Part::Human, message: on(60, 100) });
    assert!(heard_at(&mut playback, 0, 10).is_some());
    let note_off = Sounding { at: at(100), part: Part::Human, message: off(61) };
    while line.send(note_off) {}
    assert!(!line.send(Sounding { message: off(60), ..note_off }), "the note-off is lost");
    heard_at(&mut playback, 110, 400);
    let mut frames = [[0.0; 2]; 480];
    playback.fill(at(5_000), Gains::default(), &mut frames);
    assert!(frames.iter().all(|frame| frame[0].abs() < 1e-6), "{frames:?}");
}

#[test]
fn another_device_is_set_as_the_one_before_was_and_notes_are_over() {
    let (mut line, resting) = Line::new();
    let mut playback = resting.wake(mixer(Gains::default()));
    let send = |line: &mut Line, ms, message| {
        assert!(line.send(Sounding { at: at(ms), part: Part::Human, message }));
    };
    send(&mut line, 0, ShortMessage::control_change(0, 7, 0));
    send(&mut line, 0, on(60, 100));
    heard_at(&mut playback, 0, 10);
    let mut resting = playback.rest();
    // While no device is there.
    send(&mut line, 100, on(62, 100));
    send(&mut line, 100, ShortMessage::control_change(1, 64, 127));
    resting.catch_up();
    let mut playback = resting.wake(mixer(Gains::default()));
    assert_eq!(heard_at(&mut playback, 200, 10), None, "nothing of what was");
    send(&mut line, 300, on(64, 100));
    assert_eq!(heard_at(&mut playback, 300, 10), None, "the volume is still 0");
    send(&mut line, 400, ShortMessage::note_on(1, 64, 100));
    send(&mut line, 400, ShortMessage::note_off(1, 64));
    heard_at(&mut playback, 400, 60);
    assert!(heard_at(&mut playback, 1_000, 1).is_some(), "the pedal of channel 2 is still down");
}
