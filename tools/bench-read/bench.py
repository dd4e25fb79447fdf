"""Reads the same .mid files with Antiphon, symusic and music21 in turn: bench.py READ_SPEED FOLDER [ROUNDS]

The work: from a file on the disk to a list of notes with onset and duration in seconds, key and velocity. One thread
each. Ours does a little more: it merges the tracks in order, and the pedal prolongs notes.

The machine may be busy, so the files are cut into parts, each part is read by one and at once by the other, and of each
part the median of all rounds counts.
"""

import json
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

import symusic
from music21 import chord, midi, note

PART = 300  # files that one reads before the other has its turn
SYMUSIC_ROUNDS = 7
MUSIC21_FILES = 24  # at most: it takes a thousand times as long
MUSIC21_SECONDS = 40  # no further file is begun after that


class Ours:
    """The example read_speed, which waits until it is told to read."""

    def __init__(self, program: str, files: list[Path]) -> None:
        self.list = tempfile.NamedTemporaryFile("w", suffix=".txt")
        self.list.writelines(f"{path}\n" for path in files)
        self.list.flush()
        self.child = subprocess.Popen([program, self.list.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, part: int, parts: int, threads: int = 1) -> tuple[float, int]:
        """Seconds and notes of every `parts`-th file from number `part` on."""
        self.child.stdin.write(f"{threads} {part} {parts}\n".encode())
        self.child.stdin.flush()
        answer = json.loads(self.child.stdout.readline())
        return answer["seconds"], answer["notes"]


def read_symusic(path: Path) -> int:
    return sum(len(track.notes) for track in symusic.Score(path, ttype="second").tracks)


def read_music21(path: Path) -> int:
    file = midi.MidiFile()
    file.open(path)
    file.read()
    file.close()
    stream = midi.translate.midiFileToStream(file, quantizePost=False)
    timed = (entry["element"] for entry in stream.flatten().secondsMap)
    return sum(len(element.pitches) for element in timed if isinstance(element, (note.Note, chord.Chord)))


def timed(read, files: list[Path]) -> tuple[float, int]:
    begin = time.perf_counter()
    notes = sum(read(path) for path in files)
    return time.perf_counter() - begin, notes


def is_readable(path: Path) -> bool:
    try:
        read_symusic(path)
    except Exception:  # it raises whatever comes
        return False
    return True


def beside_symusic(program: str, files: list[Path], rounds: int) -> tuple[float, float, int, int]:
    """Seconds of ours and of symusic for all files, and their notes."""
    ours = Ours(program, files)
    parts = max(1, len(files) // PART)
    totals = [0.0, 0.0, 0, 0]
    for number in range(parts):
        ours.read(number, parts)  # from the disk into memory
        pairs = []
        for round_number in range(rounds):
            # Whoever comes second finds the files a little warmer: they take turns.
            if round_number % 2:
                other, own = timed(read_symusic, files[number::parts]), ours.read(number, parts)
            else:
                own, other = ours.read(number, parts), timed(read_symusic, files[number::parts])
            pairs.append((own, other))
        totals[0] += median(own[0] for own, _ in pairs)
        totals[1] += median(other[0] for _, other in pairs)
        totals[2] += pairs[0][0][1]
        totals[3] += pairs[0][1][1]
    return tuple(totals)


def beside_music21(program: str, files: list[Path]) -> tuple[list[Path], float, float, int, int]:
    """The files that were read, seconds of ours and of music21 for them, and their notes."""
    few = files[:: max(1, len(files) // MUSIC21_FILES)][:MUSIC21_FILES]
    ours = Ours(program, few)
    done, own, other, own_notes, other_notes = [], 0.0, 0.0, 0, 0
    for number, path in enumerate(few):
        if other > MUSIC21_SECONDS:
            break
        rounds = [ours.read(number, len(few)) for _ in range(3)]
        try:
            seconds, notes = timed(read_music21, [path])
        except Exception:  # it raises whatever comes
            continue
        done.append(path)
        own, own_notes = own + median(seconds for seconds, _ in rounds), own_notes + rounds[0][1]
        other, other_notes = other + seconds, other_notes + notes
    return done, own, other, own_notes, other_notes


def say(name: str, files: list[Path], seconds: float, notes: int) -> None:
    speed = sum(path.stat().st_size for path in files) / seconds / 1e6
    print(f"  {name:<22} {len(files) / seconds:8.1f} files/s {notes / seconds:11.0f} notes/s {speed:8.3f} MB/s")


def main() -> None:
    program, folder = sys.argv[1], Path(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else SYMUSIC_ROUNDS
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    found = [path for path in found if "adversarial" not in path.relative_to(folder).parts]
    files = [path for path in found if is_readable(path)]
    if not files:
        sys.exit(f"bench-read: there are no .mid files in {folder} that symusic can read; name a folder with DATA=")
    print(f"{len(files)} files in {folder} ({len(found) - len(files)} left out that symusic refuses), one thread each:")

    own, other, own_notes, other_notes = beside_symusic(program, files, rounds)
    say("antiphon", files, own, own_notes)
    say(f"symusic {symusic.__version__}", files, other, other_notes)
    to_symusic = other / own
    ours = Ours(program, files)
    whole = median(ours.read(0, 1, threads=2)[0] for _ in range(3))
    say("antiphon, two threads", files, whole, own_notes)

    few, own, other, own_notes, other_notes = beside_music21(program, files)
    if not few:
        sys.exit("bench-read: music21 refuses the files that were tried")
    print(f"{len(few)} of these files, one thread each:")
    say("antiphon", few, own, own_notes)
    say(f"music21 {version('music21')}", few, other, other_notes)
    print(json.dumps({"ratio_to_symusic": round(to_symusic, 2), "ratio_to_music21": round(other / own)}))


if __name__ == "__main__":
    main()
