"""The encoded data set (`antiphon-train encode`): read, drawn by style, varied, cut into sequences.

Pieces are varied by the rules of antiphon-train (transposition, tempo, velocity, timing), with other random numbers.
Each stream has a number that is unique over all processes, and every draw follows from (seed, stream, piece drawn): so
the order of the data does not depend on how many processes share the streams.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from model import Batch

VERSION = 1
LONGEST_WALK = 2048  # notes; a longer piece is entered at a random place, so that streams do not dwell on a few
FROM_THE_BEGINNING = 0.25  # how often the entrance is the piece's beginning nevertheless
STYLE_DROPPED = 0.5  # how often the style is hidden: most players choose none
AS_IT_IS = 0.5  # how often a piece is not varied
ONSET_DEVIATION_US = 6000.0  # of a humanised onset from the score's
VELOCITIES_PER_BIN = 4


def opened(path: str | Path, framework: str) -> safe_open:
    """A safetensors file, or a sentence."""
    try:
        return safe_open(path, framework=framework)
    except (OSError, SafetensorError) as error:
        raise SystemExit(f"cannot read {path}: {error}") from None


@dataclass
class Notes:
    """Notes of a piece by onset, then key; arrays of equal length."""

    onset_us: np.ndarray  # int64
    duration_us: np.ndarray  # int64
    key: np.ndarray  # uint8
    velocity: np.ndarray  # uint8

    def part(self, begin: int, end: int) -> "Notes":
        return Notes(*(array[begin:end] for array in vars(self).values()))


class Dataset:
    """The whole file in memory: 18 bytes a note."""

    def __init__(self, path: str | Path) -> None:
        with opened(path, "numpy") as file:
            description = json.loads((file.metadata() or {}).get("antiphon", "{}"))
            if description.get("content") != "notes" or description.get("format_version") != VERSION:
                raise SystemExit(f"{path} is no data set of version {VERSION}: make one with `antiphon-train encode`")
            self.notes = Notes(*(file.get_tensor(name) for name in Notes.__dataclass_fields__))
            self.start = file.get_tensor("piece_start")  # (pieces + 1)
            self.style, held_out, dynamics, rigid = (
                file.get_tensor(f"piece_{name}") for name in ("style", "is_held_out", "has_dynamics", "is_rigid")
            )  # (pieces)
        self.has_dynamics, self.is_rigid = dynamics.astype(bool), rigid.astype(bool)
        self.note_model: dict = description["note_model"]
        self.styles: list[str] = description["styles"]
        self.sha256: str = description["data_sha256"]
        self.bins = {name: np.array(self.note_model[f"{name}_cells"]) for name in ("shift", "duration")}
        self.classes = (
            len(self.bins["shift"]) - 1,
            self.note_model["keys"],
            len(self.bins["duration"]) - 1,
            self.note_model["velocity_bins"],
        )
        self.length = np.diff(self.start)
        self.training, self.held_out = np.flatnonzero(held_out == 0), np.flatnonzero(held_out)

    def piece(self, index: int) -> Notes:
        return self.notes.part(self.start[index], self.start[index + 1])

    def encode(self, notes: Notes) -> np.ndarray:
        """Classes of shift, key, duration, velocity: (notes, 4)."""
        shift = np.diff(notes.onset_us, prepend=notes.onset_us[:1])
        classes = [
            class_of(shift, self.bins["shift"], self.note_model["cell_us"]),
            notes.key,
            class_of(notes.duration_us, self.bins["duration"], self.note_model["cell_us"]),
            notes.velocity // VELOCITIES_PER_BIN,
        ]
        return np.stack(classes, axis=1).astype(np.int64)

    def grid_bits(self) -> list[np.ndarray]:
        """For each attribute and class, the bits that naming the 10 ms cell inside the class costs."""
        shift, duration = (np.log2(np.diff(self.bins[name])) for name in ("shift", "duration"))
        return [shift, np.zeros(self.classes[1]), duration, np.zeros(self.classes[3])]


def class_of(time_us: np.ndarray, boundaries: np.ndarray, cell_us: int) -> np.ndarray:
    """The class that holds each time; times outside the range take the nearest class."""
    cell = (time_us + cell_us // 2) // cell_us
    return np.clip(np.searchsorted(boundaries, cell, side="right") - 1, 0, len(boundaries) - 2)


def draw_weights(data: Dataset, shares: dict[str, float]) -> np.ndarray:
    """Cumulative draw weights of the training pieces; styles without a share divide the rest by their notes."""
    if unknown := set(shares) - set(data.styles):
        raise SystemExit(f"--weights names {', '.join(unknown)}; there are: {', '.join(data.styles)}")
    style, length = data.style[data.training], data.length[data.training].astype(float)
    notes = np.bincount(style, weights=length, minlength=len(data.styles))  # (styles)
    share = np.array([shares.get(name, np.nan) for name in data.styles])
    unnamed = np.isnan(share)
    rest = max(0.0, 1.0 - sum(shares.values()))
    share[unnamed] = rest * notes[unnamed] / max(notes[unnamed].sum(), 1.0)
    # As often as a piece's notes need walks: every note of a style is met equally often.
    weights = share[style] / notes[style] * length / np.minimum(length, LONGEST_WALK)
    if weights.sum() <= 0:
        raise SystemExit("--weights leaves no notes to train on; give some style a share")
    return np.cumsum(weights)


def vary(notes: Notes, has_dynamics: bool, is_rigid: bool, draws: np.random.Generator) -> Notes:
    """One variant of the piece. The rules are those of `antiphon-train` (augment.rs says them in words)."""
    count = len(notes.key)
    down, up = min(5, int(notes.key.min())), min(6, 127 - int(notes.key.max()))
    key = notes.key.astype(np.int64) + draws.integers(-down, up + 1)
    tempo = np.exp(draws.uniform(np.log(0.8), np.log(1.25)))
    humanise = is_rigid and draws.random() < 2 / 3
    articulation = draws.uniform(0.8, 1.0) if humanise else 1.0
    onset = (notes.onset_us / tempo).astype(np.int64) + 1_000_000  # lead, so that the first note can move too
    if humanise:
        onset += (draws.standard_normal(count) * ONSET_DEVIATION_US).astype(np.int64)
    duration = (notes.duration_us * articulation / tempo).astype(np.int64)
    if has_dynamics:
        mean = notes.velocity.mean()
        velocity = mean + (notes.velocity - mean) * draws.uniform(0.85, 1.15) + draws.uniform(-10, 10)
    else:
        velocity = smooth_velocities(count, draws)
    velocity = np.clip(velocity, 1, 127).astype(np.int64)
    order = np.lexsort((velocity, duration, key, onset))
    return Notes(onset[order], duration[order], key[order], velocity[order])


def smooth_velocities(count: int, draws: np.random.Generator) -> np.ndarray:
    """A mean that wanders, as phrases swell and fall: for pieces that say nothing about dynamics."""
    centre = draws.uniform(45, 95)
    steps, jitter = 2.5 * draws.standard_normal(count), 5.0 * draws.standard_normal(count)
    # Each step is felt less and less: after 200 notes, by 3e-5 of it.
    return centre + np.convolve(steps, 0.95 ** np.arange(200))[:count] + jitter


@dataclass(frozen=True)
class Draw:
    """What decides which notes the streams give."""

    seed: int
    shares: dict[str, float]  # of the styles
    vary: bool = True  # half of the pieces
    tell_style: bool = True  # half of the time


Place = tuple[int, int]  # where a stream stands: pieces drawn, notes done


class Stream:
    """An endless walk through drawn pieces."""

    def __init__(self, data: Dataset, draw: Draw, cumulative: np.ndarray, number: int, place: Place) -> None:
        self.data, self.draw, self.cumulative, self.number = data, draw, cumulative, number
        self.drawn, self.done = place
        self.take()

    def take(self) -> None:
        draws = np.random.default_rng([self.draw.seed, self.number, self.drawn])
        lot = np.searchsorted(self.cumulative, draws.random() * self.cumulative[-1], side="right")
        index = self.data.training[min(lot, len(self.data.training) - 1)]
        notes, begin = self.data.piece(index), 0
        if len(notes.key) > LONGEST_WALK and draws.random() >= FROM_THE_BEGINNING:
            begin = int(draws.integers(len(notes.key) - LONGEST_WALK // 2))
        walk = notes.part(begin, begin + LONGEST_WALK)
        is_told = draws.random() >= STYLE_DROPPED and self.draw.tell_style
        self.style = int(self.data.style[index]) if is_told else 0
        self.counts_velocity = bool(self.data.has_dynamics[index])
        if draws.random() >= AS_IT_IS and self.draw.vary:
            walk = vary(walk, self.counts_velocity, bool(self.data.is_rigid[index]), draws)
        self.classes = self.data.encode(walk)  # (notes, 4)

    def read(self, time: int) -> tuple[np.ndarray, int]:
        """The next notes of the piece, (up to `time`, 4), and the number of notes before them."""
        if self.done >= len(self.classes):
            self.drawn, self.done = self.drawn + 1, 0
            self.take()
        before = self.done
        self.done = min(before + time, len(self.classes))
        return self.classes[before : self.done], before


def empty_batch(classes: tuple[int, ...], time: int, width: int) -> Batch:
    """All padding: no note before, nothing counts."""
    last = torch.tensor(classes).view(4, 1, 1).expand(4, time, width).clone()
    return Batch(
        last=last,
        next=torch.zeros(4, time, width, dtype=torch.long),
        style=torch.zeros(time, width, dtype=torch.long),
        reset=torch.zeros(time, width, dtype=torch.bool),
        counted=torch.zeros(4, time, width, dtype=torch.bool),
    )


def put(batch: Batch, column: int, piece: np.ndarray, begin: int, end: int, style: int, counts_velocity: bool) -> None:
    """Notes begin to end of a piece (notes, 4) into a column, from its top; what is left below stays padding."""
    count = end - begin
    notes = torch.from_numpy(piece[max(begin - 1, 0) : end].T.copy())  # (4, count + 1, or count at the beginning)
    batch.next[:, :count, column] = notes[:, -count:]
    first = 0 if begin else 1
    batch.last[:, first:count, column] = notes[:, : count - first]
    batch.style[:count, column] = style
    batch.reset[0, column] = begin == 0
    batch.counted[:, :count, column] = True
    batch.counted[3, :count, column] = counts_velocity


class Streams(IterableDataset):
    """The parallel streams of one process, numbered from `first`; endless."""

    def __init__(self, data: Dataset, draw: Draw, first: int, places: list[Place], time: int) -> None:
        self.data, self.draw, self.first, self.places, self.time = data, draw, first, places, time
        self.cumulative = draw_weights(data, draw.shares)

    def __iter__(self) -> Iterator[tuple[Batch, list[Place]]]:
        """The next `time` notes of each stream, and where they stand then; of a worker, of its share of the streams.

        A piece begins at the top: what the one before leaves is padding.
        """
        worker = get_worker_info()
        share = slice(None)
        if worker:
            ends = [len(self.places) * n // worker.num_workers for n in (worker.id, worker.id + 1)]
            share = slice(*ends)
        numbers = range(self.first, self.first + len(self.places))[share]
        streams = [
            Stream(self.data, self.draw, self.cumulative, number, place)
            for number, place in zip(numbers, self.places[share], strict=True)
        ]
        while True:
            batch = empty_batch(self.data.classes, self.time, len(streams))
            for column, stream in enumerate(streams):
                notes, before = stream.read(self.time)
                put(batch, column, stream.classes, before, before + len(notes), stream.style, stream.counts_velocity)
            yield batch, [(stream.drawn, stream.done) for stream in streams]


class ReadAhead:
    """The batches of some streams, made by other processes while this one trains; by this one, with no loaders.

    What comes out does not depend on the number of loaders.
    """

    def __init__(self, streams: Streams, loaders: int) -> None:
        self.loaders = min(loaders, len(streams.places))
        ahead = {"num_workers": self.loaders, "prefetch_factor": 4} if self.loaders else {}
        # The loaders give their parts in turn, each the whole of its share.
        self.parts = iter(DataLoader(streams, batch_size=None, collate_fn=as_it_is, **ahead))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Batch, list[Place]]:
        parts = [next(self.parts) for _ in range(max(1, self.loaders))]
        return Batch.beside(batch for batch, _ in parts), [place for _, places in parts for place in places]


def as_it_is(part: tuple[Batch, list[Place]]) -> tuple[Batch, list[Place]]:
    return part


def held_out_batches(
    data: Dataset, pieces: list[int], time: int, width: int, longest: int
) -> Iterator[tuple[Batch, list[int], bool]]:
    """Held-out pieces as they are, told the style `any`; with each batch, its pieces and whether they begin here."""
    by_length = sorted(pieces, key=lambda index: -data.length[index])
    for group in (by_length[i : i + width] for i in range(0, len(by_length), width)):
        notes = [data.encode(data.piece(index))[:longest] for index in group]
        for begin in range(0, len(notes[0]), time):
            batch = empty_batch(data.classes, time, len(group))
            for column, (piece, index) in enumerate(zip(notes, group)):
                if begin < len(piece):
                    end = min(begin + time, len(piece))
                    put(batch, column, piece, begin, end, 0, bool(data.has_dynamics[index]))
            yield batch, group, begin == 0
