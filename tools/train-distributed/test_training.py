"""Whole runs of train.py on the bundled songs: two processes do what one does, a resumed run what an unbroken one does,
and what comes out is a model that antiphon plays.

The environment names antiphon's programs (ANTIPHON, ANTIPHON_TRAIN), the encoded songs (NOTES) and a folder to work in
(WORK).
"""

import csv
import os
import subprocess
import sys
import unittest
from pathlib import Path

import torch

from data import Dataset, Draw, ReadAhead, Stream, Streams, draw_weights

HERE = Path(__file__).parent
WORK = Path(os.environ["WORK"])
NOTES = Path(os.environ["NOTES"])
SMALL = ["--hidden=48", "--head=32", "--sequence=64", "--dropout=0", f"--data={NOTES}", "--log_every=1"]
ONE = [sys.executable]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
CURVE = 1e-4  # bits, between runs that share their work in another way


def train(launcher: list[str], out: str, *settings: str) -> list[float]:
    """Trains and returns the curve of the loss in bits."""
    command = [*launcher, str(HERE / "train.py"), *SMALL, f"--out={WORK / out}", "--device=cpu", *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    (WORK / out / "log.txt").write_text(done.stdout)
    with (WORK / out / "loss.csv").open() as file:
        return [float(row["bits"]) for row in csv.DictReader(file)]


def apart(a: list[float], b: list[float]) -> float:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


class Training(unittest.TestCase):
    def test_two_processes_do_what_one_does_with_twice_the_batch(self) -> None:
        one = train(ONE, "one", "--batch=16", "--steps=20", "--look_every=10")
        two = train(TWO, "two", "--batch=8", "--steps=20", "--look_every=10")
        print(
            f"two processes: {len(one)} losses from {one[0]:.3f} to {one[-1]:.3f} bits, apart by {apart(one, two):.1e}"
        )
        self.assertEqual(len(one), 20)
        self.assertIn("1 x 16 streams", (WORK / "one/log.txt").read_text())
        self.assertIn("2 x 8 streams", (WORK / "two/log.txt").read_text())
        self.assertLess(apart(one, two), CURVE)
        half = train(ONE, "half", "--batch=16", "--steps=20", "--look_every=10", "--stop_after=10")
        self.assertEqual(len(half), 10)
        rest = train(TWO, "half", "--resume", "--batch=8")
        print(f"begun by one and ended by two processes: apart by {apart(one, rest):.1e}")
        self.assertLess(apart(one, rest), CURVE)

    def test_a_resumed_run_goes_the_way_of_an_unbroken_one(self) -> None:
        settings = ["--batch=8", "--steps=16", "--look_every=8", "--dropout=0.2"]
        unbroken = train(ONE, "unbroken", *settings)
        resumed = train(ONE, "resumed", *settings, "--stop_after=8")
        self.assertEqual(len(resumed), 8)
        resumed = train(ONE, "resumed", "--resume", "--dropout=0.2")
        print(f"resumed: {len(resumed)} losses, apart by {apart(unbroken, resumed):.1e}")
        self.assertEqual(unbroken, resumed)

    def test_what_was_trained_is_a_model_that_antiphon_plays(self) -> None:
        settings = ["--batch=16", "--steps=60", "--look_every=30", "--dropout=0.1"]
        curve = train(ONE, "songs", *settings)
        self.assertLess(curve[-1], 0.9 * curve[0], "the loss falls")
        weights, model = WORK / "songs/weights.safetensors", WORK / "songs/model.onnx"
        export = [os.environ["ANTIPHON_TRAIN"], "export", str(weights), "--model", str(model)]
        print(subprocess.run(export, check=True, capture_output=True, text=True).stdout, end="")
        shown = subprocess.run(
            [os.environ["ANTIPHON"], "model", str(model)], check=True, capture_output=True, text=True
        ).stdout
        print(shown, end="")
        self.assertIn("styles: any, chorale, dance, folk, study", shown)
        self.assertIn("LSTM: 2 layers of 48 units, heads of 32", shown)

    def test_a_stream_is_a_piece_note_by_note(self) -> None:
        data = Dataset(NOTES)
        draw = Draw(3, {})
        length = len(Stream(data, draw, draw_weights(data, {}), 5, (0, 0)).classes)
        self.assertGreater(length, 40)
        piece, _ = next(iter(Streams(data, draw, 5, [(0, 0)], length)))
        short = iter(Streams(data, draw, 5, [(0, 0)], time := length // 2 + 1))
        (first, place), (second, _), (third, _) = next(short), next(short), next(short)
        rest = length - time
        self.assertEqual(place, [(0, time)])
        self.assertTrue((piece.next[:, :time] == first.next).all())
        self.assertTrue((piece.next[:, time:] == second.next[:, :rest]).all())
        self.assertTrue((piece.last[:, 1:] == piece.next[:, :-1]).all(), "the last note is the one before")
        self.assertEqual(piece.last[:, 0, 0].tolist(), list(data.classes), "no note yet")
        self.assertTrue((second.last[:, 0] == first.next[:, -1]).all())
        self.assertEqual(piece.reset.sum().item(), 1)
        self.assertFalse(second.reset.any())
        self.assertFalse(second.counted[:, rest:].any(), "what the piece leaves is padding")
        self.assertTrue(third.reset[0].all(), "the next piece begins at the top")

    def test_loaders_give_what_the_process_itself_gives(self) -> None:
        data = Dataset(NOTES)
        streams = Streams(data, Draw(3, {}), 5, [(0, 0), (2, 7), (0, 0), (1, 0), (4, 1)], 48)
        itself, loaders = ReadAhead(streams, 0), ReadAhead(streams, 3)
        for _ in range(6):
            (a, places), (b, same_places) = next(itself), next(loaders)
            self.assertEqual(places, same_places)
            for part in ("last", "next", "style", "reset", "counted"):
                self.assertTrue(torch.equal(getattr(a, part), getattr(b, part)), part)

    def test_the_average_of_the_weights_is_what_is_looked_at(self) -> None:
        train(ONE, "plain", "--batch=8", "--steps=40", "--look_every=40")
        train(ONE, "average", "--batch=8", "--steps=40", "--look_every=40", "--average=0.999")
        looks = [self.look(run) for run in ("plain", "average")]
        self.assertGreater(looks[1], looks[0] + 1, "the average is still near the first weights")

    def look(self, run: str) -> float:
        line = next(line for line in (WORK / run / "log.txt").read_text().splitlines() if "held out" in line)
        return float(line.split("held out")[1].split()[0])


if __name__ == "__main__":
    unittest.main()
