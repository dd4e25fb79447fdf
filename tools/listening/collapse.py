#!/usr/bin/env python3
"""Whether long continuations collapse: one JSON line for each .mid file, with the longest silence in seconds, the most
strokes of one key without another between them, and the fewest and most notes of any minute.

    tools/listening/collapse.py FILE.mid...      (needs mido)
"""

import json
import sys

import mido


def figures(path):
    now, sounding, onsets, keys, silence, quiet_since = 0.0, set(), [], [], 0.0, 0.0
    for message in mido.MidiFile(path):
        now += message.time
        if message.type == "note_on" and message.velocity:
            if not sounding:
                silence = max(silence, now - quiet_since)
            sounding.add((message.channel, message.note))
            onsets.append(now)
            keys.append(message.note)
        elif message.type in ("note_on", "note_off"):
            sounding.discard((message.channel, message.note))
            if not sounding:
                quiet_since = now
    same = longest = 1
    for before, key in zip(keys, keys[1:]):
        same = same + 1 if key == before else 1
        longest = max(longest, same)
    minutes = [0] * (int(now // 60) + 1)
    for onset in onsets:
        minutes[int(onset // 60)] += 1
    whole = minutes[:-1] or minutes
    return {
        "file": path,
        "minutes": round(now / 60, 1),
        "notes": len(onsets),
        "longest_silence_s": round(silence, 2),
        "most_strokes_of_one_key": longest,
        "fewest_notes_in_a_minute": min(whole),
        "most_notes_in_a_minute": max(whole),
        "keys_in_the_last_minute": len({key for onset, key in zip(onsets, keys) if onset > now - 60}),
    }


for path in sys.argv[1:]:
    print(json.dumps(figures(path)))
