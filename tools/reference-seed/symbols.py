"""Pieces as the seed's kind of program sees them, and what it costs to tell the keys that its symbols hide.

A note alone is a symbol of its key. Notes of one onset are a symbol of their pitch classes: music21's normal order, as
those programs write it ("4.7.11"), is a name of that set. Octaves and doublings are lost, so a chord's keys are told
apart by a second code, and what is not in the vocabulary by a third. All three are counted on the training part: with
them every key of the held-out part can be told exactly, and the bits can be compared with a model's that names keys.
"""

import math
from collections import Counter, defaultdict

import numpy as np
from data import Dataset

UNKNOWN = 0  # the symbol of everything that is not in the vocabulary
SAME_ONSET_US = 5000  # closer onsets are one, as for the note model's class 0 of `shift`

Keys = tuple[int, ...]  # of the notes of one onset, ascending


def groups_of(data: Dataset, piece: int) -> list[Keys]:
    """The keys of each onset."""
    notes = data.piece(piece)
    begins = np.flatnonzero(np.diff(notes.onset_us) >= SAME_ONSET_US) + 1
    return [tuple(sorted(part.tolist())) for part in np.split(notes.key.astype(int), begins)]


def name_of(keys: Keys) -> Keys:
    """The symbol by name: a key, or pitch classes behind a -1."""
    return keys if len(keys) == 1 else (-1, *sorted({key % 12 for key in keys}))


def transposed(keys: Keys, by: int) -> Keys:
    return tuple(min(127, max(0, key + by)) for key in keys)


class Vocabulary:
    """The symbols that are met at least twice in training, in any transposition that training uses."""

    def __init__(self, pieces: list[list[Keys]], transpositions: range) -> None:
        counts = Counter(name_of(keys) for groups in pieces for keys in groups)
        names = set()
        for name in (name for name, count in counts.items() if count > 1):
            keys = name if name[0] >= 0 else name[1:]
            for by in transpositions:
                moved = transposed(keys, by) if name[0] >= 0 else (-1, *sorted((key + by) % 12 for key in keys))
                names.add(moved)
        self.number = {name: index + 1 for index, name in enumerate(sorted(names))}

    def __len__(self) -> int:
        return len(self.number) + 1

    def encode(self, groups: list[Keys], by: int = 0) -> np.ndarray:
        return np.array([self.number.get(name_of(transposed(keys, by)), UNKNOWN) for keys in groups])


class Voicings:
    """Bits for the keys behind a symbol: the chord's own voicings as counted in training, with an escape to key by key."""

    def __init__(self, pieces: list[list[Keys]]) -> None:
        self.by_name: dict[Keys, Counter] = defaultdict(Counter)
        self.sizes, self.keys = Counter(), Counter(range(128))  # every key once, so that none is impossible
        for keys in (keys for groups in pieces for keys in groups):
            self.sizes[len(keys)] += 1
            self.keys.update(keys)
            if len(keys) > 1:
                self.by_name[name_of(keys)][keys] += 1

    def of_known(self, keys: Keys) -> float:
        """The symbol is in the vocabulary: a key says all, pitch classes leave their octaves open."""
        if len(keys) == 1:
            return 0.0
        voicings = self.by_name.get(name_of(keys), Counter())
        seen, kinds = voicings.total(), len(voicings)
        if keys in voicings:  # Witten and Bell's escape: as likely as there are kinds
            return -math.log2(voicings[keys] / (seen + kinds))
        escape = -math.log2(kinds / (seen + kinds)) if kinds else 0.0
        classes = set(name_of(keys)[1:])
        allowed = sum(count for key, count in self.keys.items() if key % 12 in classes)
        return escape + self.one_by_one(keys, allowed)

    def of_unknown(self, keys: Keys) -> float:
        """The symbol says nothing."""
        return self.one_by_one(keys, self.keys.total())

    def one_by_one(self, keys: Keys, all_counts: int) -> float:
        """How many notes, then each key by its frequency; in which order does not matter and is not paid for."""
        size = -math.log2((self.sizes[len(keys)] + 1) / (self.sizes.total() + 128))
        each = sum(-math.log2(self.keys[key] / all_counts) for key in keys)
        return size + each - math.log2(math.factorial(len(keys)))
