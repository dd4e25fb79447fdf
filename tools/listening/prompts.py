#!/usr/bin/env python3
"""Writes the ten prompts of docs/listening: short openings made up for this project, of kinds that players bring.

    tools/listening/prompts.py docs/listening/prompts      (needs mido)

Each is a list of notes (beat, key, length in beats, velocity); `touch` moves them as hands do, from a fixed seed.
"""

import random
import sys

import mido

TICKS = 480


def chord(beat, keys, length, velocity, roll=0.0):
    return [(beat + roll * n, key, length - roll * n, velocity) for n, key in enumerate(keys)]


def line(beat, steps, velocity, legato=0.95):
    """Notes one after another; a key of None is a rest."""
    notes = []
    for key, length in steps:
        if key is not None:
            notes.append((beat, key, length * legato, velocity))
        beat += length
    return notes


def four_parts():
    soprano = [(67, 1), (69, 1), (71, 1), (72, 1), (74, 1), (72, 1), (71, 2)]
    alto = [(62, 1), (64, 1), (67, 1), (67, 1), (66, 1), (69, 1), (67, 2)]
    tenor = [(59, 1), (60, 1), (62, 1), (64, 1), (62, 1), (62, 0.5), (60, 0.5), (62, 2)]
    bass = [(43, 1), (48, 1), (43, 1), (48, 1), (50, 1), (42, 1), (43, 2)]
    return [note for part in (soprano, alto, tenor, bass) for note in line(0, part, 72, 0.98)]


def tune():
    return line(0, [(62, 0.5), (67, 1), (69, 0.5), (71, 1), (67, 0.5), (74, 1), (72, 0.5), (71, 0.5), (69, 0.5),
                    (67, 0.5), (69, 1), (66, 0.5), (62, 1), (64, 0.5), (66, 0.5), (67, 0.5), (69, 0.5), (67, 1.5)], 80)


def pedalled():
    notes = []
    for bar, (root, third, fifth, top) in enumerate([(41, 57, 60, 65), (38, 57, 62, 65), (43, 58, 62, 67), (36, 55, 60, 64)]):
        for n, key in enumerate([root, fifth, third + 12, top + 12, third + 12, fifth]):
            at = bar * 3 + n * 0.5
            notes.append((at, key, bar * 3 + 2.95 - at, 48 + 6 * (n == 0) + bar * 3))
        notes.append((bar * 3, top + 12, 2.9, 70 + bar * 4))
    return notes


def two_hands():
    left = []
    for bar, (bass, keys) in enumerate([(36, (55, 60, 64)), (43, (53, 59, 62)), (36, (55, 60, 64)), (43, (53, 59, 65))]):
        for half in range(2):
            left += [(bar * 4 + half * 2, bass + 7 * half - 12 * half * (bass > 40), 0.9, 76)]
            left += chord(bar * 4 + half * 2 + 1, keys, 0.8, 62)
    right = line(0.5, [(76, 0.5), (79, 0.5), (76, 1), (72, 0.5), (74, 0.5), (76, 0.5), (74, 1), (71, 0.5), (67, 1.5),
                       (72, 0.5), (76, 0.5), (79, 0.5), (84, 1), (83, 0.5), (81, 0.5), (79, 0.5), (77, 0.5), (74, 1)], 88)
    return left + right


def slow_chords():
    notes = []
    for n, keys in enumerate([(45, 52, 60, 64, 71), (41, 53, 60, 64, 69), (38, 53, 57, 60, 65), (40, 56, 59, 62, 68)]):
        notes += chord(n * 4, keys, 3.9, 50 + 4 * n, roll=0.06)
    return notes


def blues():
    swing = [(60, 0.67), (63, 0.33), (65, 0.67), (66, 0.33), (67, 1), (None, 0.67), (70, 0.33), (72, 0.67), (70, 0.33),
             (67, 0.67), (65, 0.33), (63, 0.67), (60, 0.33), (None, 1)]
    left = [note for n, key in enumerate([36, 40, 43, 45, 46, 45, 43, 40]) for note in [(n, key, 0.9, 70)]]
    return left + line(0, swing, 92)


def run_down():
    return line(0, [(96 - n, 0.25) for n in range(13)] + [(key, 0.25) for key in (84, 79, 76, 72, 79, 76, 72, 67)], 84, 0.8)


def one_note():
    return line(0, [(57, 1), (57, 0.5), (57, 0.5), (57, 1), (60, 1), (57, 1), (57, 0.5), (57, 0.5), (55, 1)], 90, 0.5)


def two_voices():
    upper = [(69, 0.5), (72, 0.5), (76, 0.5), (72, 0.5), (74, 0.5), (71, 0.5), (68, 0.5), (71, 0.5), (72, 0.5), (69, 0.5)]
    lower = [(None, 2), (57, 0.5), (60, 0.5), (64, 0.5), (60, 0.5), (62, 0.5), (59, 0.5)]
    return line(0, upper, 78, 0.9) + line(0, lower, 74, 0.9)


def waltz():
    notes = []
    for bar, (bass, keys) in enumerate([(51, (58, 63, 67)), (46, (58, 62, 68)), (51, (58, 63, 67)), (50, (56, 62, 65))]):
        notes.append((bar * 3, bass - 12, 0.9, 74))
        notes += chord(bar * 3 + 1, keys, 0.6, 56) + chord(bar * 3 + 2, keys, 0.6, 54)
    return notes + line(0, [(75, 2), (74, 1), (72, 1), (70, 1), (68, 1), (67, 2), (70, 1), (77, 3)], 86)


# Name, beats a minute, how far hands stray in seconds, notes.
PROMPTS = [
    ("01-hymn-in-four-parts", 84, 0.0, four_parts),
    ("02-a-tune-alone", 150, 0.012, tune),
    ("03-broken-chords-under-a-pedal", 76, 0.018, pedalled),
    ("04-two-hands-striding", 168, 0.010, two_hands),
    ("05-slow-rolled-chords", 66, 0.020, slow_chords),
    ("06-blues-with-a-walking-bass", 132, 0.012, blues),
    ("07-a-run-down-the-keys", 112, 0.006, run_down),
    ("08-almost-one-note", 120, 0.010, one_note),
    ("09-two-voices-in-imitation", 96, 0.0, two_voices),
    ("10-waltz", 160, 0.014, waltz),
]


def touch(notes, beat, stray, seed):
    hands = random.Random(seed)
    for at, key, length, velocity in sorted(notes):
        onset = max(0.0, at * beat + hands.gauss(0, stray))
        loudness = round(velocity + (hands.gauss(0, 4) if stray else 0))
        yield onset, key, max(0.03, length * beat + hands.gauss(0, stray)), min(127, max(1, loudness))


def main(folder):
    for seed, (name, tempo, stray, notes) in enumerate(PROMPTS):
        events = []
        for onset, key, length, velocity in touch(notes(), 60 / tempo, stray, seed):
            events += [(onset, 1, key, velocity), (onset + length, 0, key, 0)]
        track, now = mido.MidiTrack(), 0
        track.append(mido.MetaMessage("set_tempo", tempo=500_000))
        for seconds, down, key, velocity in sorted(events):
            tick = round(seconds * 2 * TICKS)
            track.append(mido.Message("note_on" if down else "note_off", note=key, velocity=velocity, time=tick - now))
            now = tick
        file = mido.MidiFile(ticks_per_beat=TICKS)
        file.tracks.append(track)
        file.save(f"{folder}/{name}.mid")


if __name__ == "__main__":
    main(sys.argv[1])
