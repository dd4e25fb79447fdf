"""Two renderings of the same notes, held against each other.

    compare.py write FILE.mid                 writes the notes
    compare.py compare ANTIPHON.wav OTHER.wav holds the renderings of it against each other
"""

import json
import sys
import wave

import numpy as np

RATE = 48_000
TICKS_A_SECOND = 960  # 480 a quarter, at 120 quarters a minute

# Programs whose notes begin at once: grand piano, electric piano, xylophone, organ, nylon guitar, marimba.
PROGRAMS = [0, 4, 13, 19, 24, 12]
KEYS = [36, 43, 48, 55, 60, 64, 67, 72, 79, 84]
# Seconds from a note to the next, and how long a key is down.
STEP, DOWN = 1.0, 0.6

# What counts as agreement.
ONSET_MS = 3.0
CENTS = 5.0
LIKENESS = 0.9


def notes():
    """Program, key, and the second at which it is struck."""
    return [(program, key, 0.5 + STEP * place) for place, (program, key) in enumerate((p, k) for p in PROGRAMS for k in KEYS)]


def write(path):
    def length(number):
        bytes_ = [number & 127]
        while number := number >> 7:
            bytes_.insert(0, 128 | number & 127)
        return bytes(bytes_)

    # No room and no chorus, which each synthesiser has in its own way.
    events = [(0.0, bytes([0xB0, 91, 0])), (0.0, bytes([0xB0, 93, 0]))]
    for program, key, second in notes():
        events.append((second - 0.1, bytes([0xC0, program])))
        events.append((second, bytes([0x90, key, 80])))
        events.append((second + DOWN, bytes([0x80, key, 64])))
    track, now = b"", 0
    for second, message in sorted(events, key=lambda event: event[0]):
        tick = round(second * TICKS_A_SECOND)
        track += length(tick - now) + message
        now = tick
    track += length(TICKS_A_SECOND) + b"\xff\x2f\x00"
    with open(path, "wb") as file:
        file.write(b"MThd" + (6).to_bytes(4, "big") + bytes([0, 0, 0, 1]) + (480).to_bytes(2, "big"))
        file.write(b"MTrk" + len(track).to_bytes(4, "big") + track)


def read(path):
    with wave.open(path) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (RATE, 2, 2), path
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    return samples.reshape(-1, 2).mean(axis=1) / 32768


def cut(sound, begin, seconds):
    piece = sound[round(begin * RATE) : round((begin + seconds) * RATE)]
    return np.pad(piece, (0, round(seconds * RATE) - len(piece)))


def onset_ms(sound, second):
    """How long after `second` it is first louder than a hundredth of its loudest, in milliseconds; where the note before
    still rings, no number."""
    before = 0.05
    piece = np.abs(cut(sound, second - before, 0.25))
    loud = piece > 0.01 * piece.max()
    if loud[: round(0.9 * before * RATE)].any():
        return np.nan
    return 1000 * (int(np.argmax(loud)) / RATE - before)


def shift_ms(one, other, second):
    """How much later the beginning of the note is in `other`, where both fit best, in milliseconds."""
    a, b = (cut(sound, second - 0.02, 0.12) for sound in (one, other))
    fit = np.correlate(b - b.mean(), a - a.mean(), "full")
    most = round(0.01 * RATE)
    middle = len(a) - 1
    # The waves may be mirrored: each synthesiser has its own way.
    lags = np.abs(fit[middle - most : middle + most + 1])
    return 1000 * (int(np.argmax(lags)) - most) / RATE


def spectrum(sound, second):
    piece = cut(sound, second + 0.05, 0.4)
    return np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 8 * len(piece)))


def strongest(spectrum_, hertz):
    """The strongest partial within a semitone of one of the key's first four, and which it is."""
    per_bin = RATE / (2 * (len(spectrum_) - 1))
    best = (0.0, 0.0)
    for partial in range(1, 5):
        low, high = (round(partial * hertz * 2 ** (semitones / 12) / per_bin) for semitones in (-0.7, 0.7))
        place = low + int(np.argmax(spectrum_[low:high]))
        if spectrum_[place] > best[0]:
            left, middle, right = np.log(spectrum_[place - 1 : place + 2] + 1e-12)
            peak = place + 0.5 * (left - right) / (left - 2 * middle + right)
            best = (spectrum_[place], peak * per_bin / partial)
    return best[1]


def likeness(one, other):
    """How alike two spectra are, in bands of a third of a semitone: the cosine between their levels' roots."""
    edges = 27.5 * 2 ** (np.arange(0, 9 * 12 * 3) / 36)
    per_bin = RATE / (2 * (len(one) - 1))
    places = np.unique(np.clip((edges / per_bin).astype(int), 1, len(one) - 2))
    a, b = (np.sqrt(np.add.reduceat(s**2, places) ** 0.5) for s in (one, other))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def compare(ours, other):
    ours, other = read(ours), read(other)
    rows = []
    for program, key, second in notes():
        hertz = 440 * 2 ** ((key - 69) / 12)
        one, two = spectrum(ours, second), spectrum(other, second)
        cents = 1200 * np.log2(strongest(one, hertz) / strongest(two, hertz))
        off = 1200 * np.log2(strongest(one, hertz) / hertz)
        row = (onset_ms(ours, second), onset_ms(other, second), shift_ms(ours, other, second), cents, off, likeness(one, two))
        rows.append(row)
    rows = np.array(rows)
    print("program  onset ms: ours  FluidSynth  shift ms  cents apart  cents off the key  likeness")
    for place, program in enumerate(PROGRAMS):
        part = rows[place * len(KEYS) : (place + 1) * len(KEYS)]
        onset, theirs, shift, cents, off, like = np.nanmedian(part, axis=0)
        print(f"{program:7}{onset:16.2f}{theirs:12.2f}{shift:10.2f}{cents:13.2f}{off:19.2f}{like:10.3f}")
    apart = np.abs(rows[:, 0] - rows[:, 1])
    figures = {
        "notes": len(rows),
        "onset_apart_ms_median": round(float(np.nanmedian(apart)), 2),
        "onset_apart_ms_most": round(float(np.nanmax(apart)), 2),
        "shift_ms_median": round(float(np.median(rows[:, 2])), 2),
        "shift_ms_most": round(float(np.abs(rows[:, 2]).max()), 2),
        "cents_apart_median": round(float(np.median(np.abs(rows[:, 3]))), 2),
        "cents_apart_most": round(float(np.abs(rows[:, 3]).max()), 2),
        "likeness_median": round(float(np.median(rows[:, 5])), 3),
        "likeness_least": round(float(rows[:, 5].min()), 3),
    }
    print(json.dumps(figures))
    agree = (
        figures["onset_apart_ms_most"] <= ONSET_MS
        and figures["shift_ms_most"] <= ONSET_MS
        and figures["cents_apart_most"] <= CENTS
        and figures["likeness_least"] >= LIKENESS
    )
    return 0 if agree else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", path]:
            write(path)
        case ["compare", ours, other]:
            sys.exit(compare(ours, other))
        case _:
            sys.exit(__doc__)
