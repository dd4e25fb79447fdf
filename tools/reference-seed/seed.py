"""What Antiphon's note model gains over the seed's kind of model: an LSTM over note and chord symbols without time.

    antiphon-train encode DATA --out notes.safetensors
    python seed.py --data=notes.safetensors [--model=weights.safetensors]

`--model` names weights that `antiphon-train weights MODEL.onnx --out weights.safetensors` wrote; its bits on the same
held-out notes are printed beside. README.md says what is compared, and with what result.
"""

import math
import sys
import time
from typing import Self

import numpy as np
import torch
from data import Dataset, held_out_batches
from model import NoteModel, Sizes, losses, take
from outcome import load_weights
from settings import Settings, parse
from symbols import UNKNOWN, Keys, Vocabulary, Voicings, groups_of
from torch import Tensor, nn
from torch.nn import functional as F

PADDING = -1


class Config(Settings):
    data: str = "notes.safetensors"
    model: str = ""  # weights of a note model to print beside
    layers: int = 2
    hidden: int = 256
    embedding: int = 160
    scalar: bool = False  # feed the symbol's number as one float, as the seed does, instead of an embedding
    dropout: float = 0.3
    rate: float = 0.002
    passes: int = 3  # through the notes of the training part
    transpose: bool = True  # by -5 to +6 semitones, as the note model's training does; the seed does not
    batch: int = 32
    sequence: int = 100  # symbols, as long as the seed's window
    threads: int = 2
    seed: int = 1

    def check(self) -> Self:
        return self


class SymbolModel(nn.Module):
    """The next symbol from all before it. The seed sees a window of 100 and begins with nothing; this one remembers."""

    def __init__(self, symbols: int, config: Config) -> None:
        super().__init__()
        self.scale = 1.0 / symbols if config.scalar else None
        self.embedding = None if config.scalar else nn.Embedding(symbols + 1, config.embedding)
        inputs = 1 if config.scalar else config.embedding
        self.lstm = nn.LSTM(inputs, config.hidden, config.layers, dropout=config.dropout)
        self.out = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(config.hidden, symbols))

    def forward(self, last: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Logits (time, batch, symbols) from the last symbols (time, batch)."""
        x = self.embedding(last) if self.scale is None else last.unsqueeze(-1) * self.scale
        out, state = self.lstm(x, state)
        return self.out(out), state

    def start(self, config: Config, batch: int) -> tuple[Tensor, Tensor]:
        zeros = torch.zeros(config.layers, batch, config.hidden)
        return zeros, zeros.clone()


def train(model: SymbolModel, pieces: list[list[Keys]], vocabulary: Vocabulary, config: Config) -> None:
    """Parallel streams, each walking through one piece after the other."""
    draws = np.random.default_rng(config.seed)
    optimizer = torch.optim.AdamW(model.parameters(), config.rate, (0.9, 0.99))
    goal = config.passes * sum(len(keys) for groups in pieces for keys in groups)
    streams: list[np.ndarray] = [np.zeros(0, int)] * config.batch
    begins, met, step, begin, recent = [True] * config.batch, 0, 0, time.monotonic(), None
    state = model.start(config, config.batch)
    model.train()
    while met < goal:
        last = np.full((config.sequence, config.batch), len(vocabulary))
        next_ = np.full((config.sequence, config.batch), PADDING)
        for column in range(config.batch):
            if len(streams[column]) < 2:
                groups = pieces[draws.integers(len(pieces))]
                by = int(draws.integers(-5, 7)) if config.transpose else 0
                # The first symbol follows on "nothing yet".
                streams[column] = np.concatenate([[len(vocabulary)], vocabulary.encode(groups, by)])
                begins[column] = True
                met += sum(map(len, groups))
            part = streams[column][: config.sequence + 1]
            last[: len(part) - 1, column], next_[: len(part) - 1, column] = part[:-1], part[1:]
            streams[column] = streams[column][len(part) - 1 :]
        keep = torch.tensor([not begin for begin in begins]).view(1, -1, 1)
        begins = [False] * config.batch
        # Warm-up, then half a cosine, as the note model's training has it.
        rate = config.rate * min(1.0, (step + 1) / 100) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * met / goal)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        logits, state = model(torch.from_numpy(last), tuple(part.detach() * keep for part in state))
        loss = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(next_).flatten(), ignore_index=PADDING)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        bits = loss.item() / math.log(2)
        recent = bits if recent is None else 0.95 * recent + 0.05 * bits
        if step % 50 == 0:
            minutes = (time.monotonic() - begin) / 60
            print(f"  {met / goal:4.0%}  {recent:.3f} bits a symbol  {minutes:.1f} min", flush=True)


@torch.no_grad()
def score(model: SymbolModel, groups: list[Keys], vocabulary: Vocabulary, config: Config) -> np.ndarray:
    """Bits of each symbol of a piece."""
    model.eval()
    symbols = vocabulary.encode(groups)
    last = torch.from_numpy(np.concatenate([[len(vocabulary)], symbols[:-1]])).unsqueeze(1)
    state, bits = model.start(config, 1), []
    for part, next_ in zip(last.split(1000), torch.from_numpy(symbols).split(1000)):
        logits, state = model(part, state)
        bits.append(F.cross_entropy(logits[:, 0], next_, reduction="none") / math.log(2))
    return torch.cat(bits).numpy()


@torch.no_grad()
def score_note_model(data: Dataset, weights: str) -> tuple[float, float]:
    """Bits per held-out note of the note model: the key, and whether the note is of the same onset as the one before."""
    tensors = load_weights(weights)
    layers = sum(name.endswith(".r") for name in tensors)
    hidden, head = tensors["lstm.0.r"].shape[1], tensors["head.shift.w"].shape[0]
    styles = tensors["embedding.style"].shape[0]
    model = NoteModel(Sizes(layers, hidden, head, styles, data.classes))
    take(model, tensors)
    model.eval()
    key, onset, notes = 0.0, 0.0, 0
    for batch, _, begins in held_out_batches(data, list(data.held_out), 128, 64, sys.maxsize):
        if begins:
            state = model.start(batch.style.shape[1], torch.device("cpu"))
        logits, state = model(batch, state)
        counted = batch.counted[1]
        key += losses(logits, batch)[1].double().sum().item()
        together = torch.log_softmax(logits[0], -1)[..., 0].clamp(max=-1e-7)  # (time, batch)
        bits = torch.where(batch.next[0] == 0, together, torch.log(-torch.expm1(together)))
        # No note is before the first one: it has no onset to share.
        onset -= (bits * (counted & ~batch.reset)).double().sum().item()
        notes += int(counted.sum())
    return key / notes / math.log(2), onset / notes / math.log(2)


def main() -> None:
    config = parse(Config, sys.argv[1:])
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    data = Dataset(config.data)
    training = [groups_of(data, piece) for piece in data.training]
    held_out = [groups_of(data, piece) for piece in data.held_out]
    vocabulary = Vocabulary(training, range(-5, 7) if config.transpose else range(1))
    voicings = Voicings(training)
    model = SymbolModel(len(vocabulary), config)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{len(training)} pieces to train on, {len(vocabulary)} symbols, {count} parameters, {config.passes} passes")
    train(model, training, vocabulary, config)

    bits = {"symbols": 0.0, "voicings": 0.0, "unknown": 0.0}
    notes = symbols = unknown = 0
    for groups in held_out:
        numbers = vocabulary.encode(groups)
        bits["symbols"] += score(model, groups, vocabulary, config).sum()
        for keys, number in zip(groups, numbers):
            if number == UNKNOWN:
                bits["unknown"] += voicings.of_unknown(keys)
            else:
                bits["voicings"] += voicings.of_known(keys)
        notes, symbols = notes + sum(map(len, groups)), symbols + len(groups)
        unknown += int((numbers == UNKNOWN).sum())
    parts = " + ".join(f"{name} {value / notes:.3f}" for name, value in bits.items())
    print(f"{len(held_out)} held-out pieces, {notes} notes, {symbols} symbols, {unknown / symbols:.1%} of them unknown")
    print(f"symbols without time: {sum(bits.values()) / notes:.3f} bits a note = {parts}")
    if config.model:
        key, onset = score_note_model(data, config.model)
        print(f"note model:           {key + onset:.3f} bits a note = key {key:.3f} + same onset or not {onset:.3f}")


if __name__ == "__main__":
    main()
