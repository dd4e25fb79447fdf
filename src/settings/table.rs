//! The table of all settings.

use super::{BargeIn, Feedback, Mode, Players, Setting, Values};
use crate::beat::Entry;
use crate::limits::{Scale, ScaleMode};
use crate::time::SessionDuration;

/// The scales, after `off`, in the order of [`ScaleMode::ALL`].
const SCALES: &[&str] = &[
    "off",
    "major",
    "minor",
    "harmonic-minor",
    "melodic-minor",
    "dorian",
    "phrygian",
    "lydian",
    "mixolydian",
    "locrian",
    "major-pentatonic",
    "minor-pentatonic",
    "blues",
    "whole-tone",
    "diminished",
    "chromatic",
];

/// All settings.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "mode",
        about: "when it plays: respond (answers when you rest), accompany (plays along), solo (plays alone), listen (only records)",
        values: Values::Choice(&["respond", "accompany", "solo", "listen"]),
        default: 0.0,
        get: |s| place(s.mode as u8),
        put: |s, v| s.mode = chosen(v, [Mode::Respond, Mode::Accompany, Mode::Solo, Mode::Listen]),
    },
    Setting {
        name: "barge-in",
        about: "what your note does to an answer: on (ends it), off (it plays on), duck (it plays on softly)",
        values: Values::Choice(&["on", "off", "duck"]),
        default: 0.0,
        get: |s| place(s.barge_in as u8),
        put: |s, v| s.barge_in = chosen(v, [BargeIn::On, BargeIn::Off, BargeIn::Duck]),
    },
    Setting {
        name: "players",
        about: "merged (all channels are one player) or apart (each channel is a player, answered on its own)",
        values: Values::Choice(&["merged", "apart"]),
        default: 0.0,
        get: |s| place(s.players as u8),
        put: |s, v| s.players = chosen(v, [Players::Merged, Players::Apart]),
    },
    Setting {
        name: "patience",
        about: "how long you may be silent before it answers, times the wait in which your next note is expected",
        values: Values::Number { low: 0.0, high: 10.0, unit: "x" },
        default: 1.5,
        get: |s| s.patience,
        put: |s, v| s.patience = v,
    },
    Setting {
        name: "patience-floor",
        about: "patience is at least this",
        values: Values::Number { low: 0.0, high: 10_000.0, unit: "ms" },
        default: 350.0,
        get: |s| millis(s.patience_floor),
        put: |s, v| s.patience_floor = from_millis(v),
    },
    Setting {
        name: "patience-ceiling",
        about: "patience is at most this",
        values: Values::Number { low: 50.0, high: 20_000.0, unit: "ms" },
        default: 1500.0,
        get: |s| millis(s.patience_ceiling),
        put: |s, v| s.patience_ceiling = from_millis(v),
    },
    Setting {
        name: "answer-seconds",
        about: "longest answer; 0: until you play",
        values: Values::Number { low: 0.0, high: 86_400.0, unit: "s" },
        default: 0.0,
        get: |s| s.longest_answer.map_or(0.0, |longest| millis(longest) / 1000.0),
        put: |s, v| s.longest_answer = (v > 0.0).then(|| from_millis(v * 1000.0)),
    },
    Setting {
        name: "begin-on",
        about: "where an answer begins while a MIDI clock runs",
        values: Values::Choice(&["free", "beat", "bar"]),
        default: 1.0,
        get: |s| place(s.begin_on as u8),
        put: |s, v| s.begin_on = chosen(v, [Entry::Free, Entry::Beat, Entry::Bar]),
    },
    Setting {
        name: "snap",
        about: "how far notes are drawn onto the grid of a MIDI clock; 0: not at all, 1: onto it",
        values: Values::Number { low: 0.0, high: 1.0, unit: "" },
        default: 0.0,
        get: |s| s.snap,
        put: |s, v| s.snap = v,
    },
    Setting {
        name: "snap-per-beat",
        about: "grid points a beat: 4 for sixteenths, 3 for triplets",
        values: Values::Whole { low: 1, high: 24, unit: "" },
        default: 4.0,
        get: |s| place(s.snap_per_beat),
        put: |s, v| s.snap_per_beat = whole(v),
    },
    Setting {
        name: "beats-per-bar",
        about: "quarter notes a bar of the MIDI clock",
        values: Values::Whole { low: 1, high: 16, unit: "" },
        default: 4.0,
        get: |s| place(s.beats_per_bar),
        put: |s, v| s.beats_per_bar = whole(v),
    },
    Setting {
        name: "style",
        about: "style to play in: its name, or its number (0: any); `antiphon model` lists them",
        values: Values::Whole { low: 0, high: 255, unit: "" },
        default: 0.0,
        get: |s| place(s.style),
        put: |s, v| s.style = whole(v),
    },
    Setting {
        name: "feedback",
        about: "its own output when a cable or a DAW leads it back: suppress (not heard), hear (like a human)",
        values: Values::Choice(&["suppress", "hear"]),
        default: 0.0,
        get: |s| place(s.feedback as u8),
        put: |s, v| s.feedback = chosen(v, [Feedback::Suppress, Feedback::Hear]),
    },
    Setting {
        name: "thru",
        about: "whether all that you play is passed on to the output: off, on",
        values: Values::Choice(&["off", "on"]),
        default: 0.0,
        get: |s| place(u8::from(s.thru)),
        put: |s, v| s.thru = chosen(v, [false, true]),
    },
    Setting {
        name: "human-gain",
        about: "how loud you are in the sound of --synth; 0: not heard",
        values: Values::Number { low: 0.0, high: 4.0, unit: "x" },
        default: 1.0,
        get: |s| s.gains.human,
        put: |s, v| s.gains.human = v,
    },
    Setting {
        name: "ai-gain",
        about: "how loud Antiphon is in the sound of --synth; 0: not heard",
        values: Values::Number { low: 0.0, high: 4.0, unit: "x" },
        default: 1.0,
        get: |s| s.gains.ai,
        put: |s, v| s.gains.ai = v,
    },
    Setting {
        name: "temperature",
        about: "how bold the answer is in all things; below 1 safer, above 1 wilder",
        values: Values::Number { low: 0.01, high: 4.0, unit: "" },
        default: 1.0,
        get: |s| s.sampling.temperature[0],
        put: |s, v| s.sampling.temperature = [v; 4],
    },
    Setting {
        name: "shift-temperature",
        about: "how bold the answer is in when notes come",
        values: Values::Number { low: 0.01, high: 4.0, unit: "" },
        default: 1.0,
        get: |s| s.sampling.temperature[0],
        put: |s, v| s.sampling.temperature[0] = v,
    },
    Setting {
        name: "key-temperature",
        about: "how bold the answer is in which keys",
        values: Values::Number { low: 0.01, high: 4.0, unit: "" },
        default: 1.0,
        get: |s| s.sampling.temperature[1],
        put: |s, v| s.sampling.temperature[1] = v,
    },
    Setting {
        name: "duration-temperature",
        about: "how bold the answer is in how long notes are",
        values: Values::Number { low: 0.01, high: 4.0, unit: "" },
        default: 1.0,
        get: |s| s.sampling.temperature[2],
        put: |s, v| s.sampling.temperature[2] = v,
    },
    Setting {
        name: "velocity-temperature",
        about: "how bold the answer is in how loud notes are",
        values: Values::Number { low: 0.01, high: 4.0, unit: "" },
        default: 1.0,
        get: |s| s.sampling.temperature[3],
        put: |s, v| s.sampling.temperature[3] = v,
    },
    Setting {
        name: "top-p",
        about: "draw only from the likeliest choices that together have this probability",
        values: Values::Number { low: 0.0, high: 1.0, unit: "" },
        default: 0.97,
        get: |s| s.sampling.top_p,
        put: |s, v| s.sampling.top_p = v,
    },
    Setting {
        name: "min-p",
        about: "draw only choices at least this times as likely as the likeliest",
        values: Values::Number { low: 0.0, high: 1.0, unit: "" },
        default: 0.0,
        get: |s| s.sampling.min_p,
        put: |s, v| s.sampling.min_p = v,
    },
    Setting {
        name: "memory",
        about: "how much what was played tonight has to say in what comes next; 0: nothing",
        values: Values::Number { low: 0.0, high: 1.0, unit: "" },
        default: 1.0,
        get: |s| s.memory,
        put: |s, v| s.memory = v,
    },
    Setting {
        name: "repetition-guard",
        about: "how hard the answer is led away from endless loops; 0: not at all",
        values: Values::Number { low: 0.0, high: 1.0, unit: "" },
        default: 0.5,
        get: |s| s.repetition_guard,
        put: |s, v| s.repetition_guard = v,
    },
    Setting {
        name: "lowest-key",
        about: "lowest key of the answer; 60 is middle C",
        values: Values::Whole { low: 0, high: 127, unit: "" },
        default: 0.0,
        get: |s| place(s.limits.lowest_key),
        put: |s, v| s.limits.lowest_key = whole(v),
    },
    Setting {
        name: "highest-key",
        about: "highest key of the answer",
        values: Values::Whole { low: 0, high: 127, unit: "" },
        default: 127.0,
        get: |s| place(s.limits.highest_key),
        put: |s, v| s.limits.highest_key = whole(v),
    },
    Setting {
        name: "scale",
        about: "only the keys of this scale; off: all",
        values: Values::Choice(SCALES),
        default: 0.0,
        get: |s| s.limits.scale.map_or(0.0, |scale| place(scale.mode() as u8 + 1)),
        put: |s, v| {
            let root = s.scale_root;
            let mode = whole::<u8>(v).checked_sub(1);
            s.limits.scale = mode.map(|mode| Scale::new(root, chosen(place(mode), ScaleMode::ALL)));
        },
    },
    Setting {
        name: "scale-root",
        about: "key note of the scale",
        values: Values::Choice(&["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]),
        default: 0.0,
        get: |s| place(s.scale_root),
        put: |s, v| {
            s.scale_root = whole(v);
            s.limits.scale = s.limits.scale.map(|scale| Scale::new(s.scale_root, scale.mode()));
        },
    },
    Setting {
        name: "polyphony",
        about: "most notes of the answer that sound at once",
        values: Values::Whole { low: 1, high: 64, unit: "" },
        default: 64.0,
        get: |s| place(s.limits.polyphony),
        put: |s, v| s.limits.polyphony = whole(v),
    },
    Setting {
        name: "density",
        about: "most notes of the answer in any second",
        values: Values::Number { low: 0.1, high: 100.0, unit: "notes/s" },
        default: 50.0,
        get: |s| s.limits.notes_per_second,
        put: |s, v| s.limits.notes_per_second = v,
    },
    Setting {
        name: "softest",
        about: "softest velocity of the answer",
        values: Values::Whole { low: 1, high: 127, unit: "" },
        default: 1.0,
        get: |s| place(s.limits.softest),
        put: |s, v| s.limits.softest = whole(v),
    },
    Setting {
        name: "loudest",
        about: "loudest velocity of the answer",
        values: Values::Whole { low: 1, high: 127, unit: "" },
        default: 127.0,
        get: |s| place(s.limits.loudest),
        put: |s, v| s.limits.loudest = whole(v),
    },
    Setting {
        name: "velocity-curve",
        about: "bends velocities between softest and loudest; above 1 softer, below 1 louder",
        values: Values::Number { low: 0.25, high: 4.0, unit: "" },
        default: 1.0,
        get: |s| s.limits.velocity_curve,
        put: |s, v| s.limits.velocity_curve = v,
    },
    Setting {
        name: "longest-note",
        about: "longest note of the answer",
        values: Values::Number { low: 50.0, high: 20_000.0, unit: "ms" },
        default: 20_000.0,
        get: |s| millis(s.limits.longest_note),
        put: |s, v| s.limits.longest_note = from_millis(v),
    },
    Setting {
        name: "gate-rate",
        about: "notes a second that may leave in the long run, whatever was planned",
        values: Values::Whole { low: 1, high: 1000, unit: "notes/s" },
        default: 100.0,
        get: |s| f32::from(s.gate.notes_per_second),
        put: |s, v| s.gate.notes_per_second = wide(v),
    },
    Setting {
        name: "gate-polyphony",
        about: "keys that may sound at once, whatever was planned",
        values: Values::Whole { low: 1, high: 128, unit: "" },
        default: 64.0,
        get: |s| place(s.gate.polyphony),
        put: |s, v| s.gate.polyphony = whole(v),
    },
    Setting {
        name: "gate-lowest-key",
        about: "lowest key that may leave, whatever was planned",
        values: Values::Whole { low: 0, high: 127, unit: "" },
        default: 0.0,
        get: |s| place(s.gate.lowest_key),
        put: |s, v| s.gate.lowest_key = whole(v),
    },
    Setting {
        name: "gate-highest-key",
        about: "highest key that may leave, whatever was planned",
        values: Values::Whole { low: 0, high: 127, unit: "" },
        default: 127.0,
        get: |s| place(s.gate.highest_key),
        put: |s, v| s.gate.highest_key = whole(v),
    },
];

fn place(number: u8) -> f32 {
    f32::from(number)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates; ranges are checked before"
)]
fn whole<N: From<u8>>(value: f32) -> N {
    N::from(value.round() as u8)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates; ranges are checked before"
)]
fn wide(value: f32) -> u16 {
    value.round() as u16
}

/// The choice at the place `value`.
fn chosen<T: Copy, const N: usize>(value: f32, choices: [T; N]) -> T {
    choices[usize::from(whole::<u8>(value)).min(N - 1)]
}

#[expect(clippy::cast_possible_truncation, reason = "exact below 2^24 ms, four hours")]
fn millis(span: SessionDuration) -> f32 {
    (span.as_seconds() * 1000.0) as f32
}

fn from_millis(ms: f32) -> SessionDuration {
    SessionDuration::from_seconds(f64::from(ms) / 1000.0)
}
