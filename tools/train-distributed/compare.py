"""Trains variants of the note model on equally many notes, all at once on one GPU, and prints a table of what they gave.

python compare.py --data=notes.safetensors --out=variants --steps=1500
python compare.py --only=3x512,skip --steps=100

Settings are those of train.py, for all variants; `--only` names some of them. A variant is a row of VARIANTS. Each has a
thread and a CUDA stream of its own, since one alone leaves most of a large GPU idle. The loss is bits a note on the first
held-out pieces (as a look of train.py) after a quarter, a half and three quarters of the steps, and on all at the end.
"""

import csv
import math
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import nn

from data import Dataset, Draw, ReadAhead, Streams
from model import NoteModel, Sizes, to_file
from outcome import describe, save_weights
from settings import parse
from train import Config, evaluate, first_pieces, follow, learn, optimizer_of, rate_at, set_precision, start_processes
from variants import AttributeModel, NormModel, SkipModel


class CompareConfig(Config):
    """train.py's settings, with the sizes of the bundled model."""

    out: str = "variants"
    only: str = ""  # names of variants, with commas; all without
    hidden: int = 384
    head: int = 192
    dropout: float = 0.1
    rate: float = 0.002
    average: float = 0.998


# What differs from the settings given.
VARIANTS: dict[str, dict] = {
    "2x384": {},
    "1x256": {"layers": 1, "hidden": 256},
    "2x512": {"hidden": 512},
    "3x512": {"layers": 3, "hidden": 512},
    "attribute": {"kind": AttributeModel},
    "norm": {"kind": NormModel},
    "skip": {"kind": SkipModel},
    "norm-3x512": {"kind": NormModel, "layers": 3, "hidden": 512},
    "skip-3x512": {"kind": SkipModel, "layers": 3, "hidden": 512},
    "no-style": {"tell_style": False},
    "no-variation": {"vary": False},
    "no-average": {"average": 0.0},
    "no-decay": {"weight_decay": 0.0},
    "decay-0.1": {"weight_decay": 0.1},
    "no-dropout": {"dropout": 0.0},
    "dropout-0.3": {"dropout": 0.3},
}


class Run(threading.Thread):
    """One variant, from its first weights to its row of the table."""

    def __init__(self, name: str, config: CompareConfig, kind: type[nn.Module], data: Dataset) -> None:
        super().__init__(name=name)
        self.config, self.kind, self.data = config, kind, data
        # Loaders are forked here, before there are threads and a CUDA context.
        draw = Draw(config.seed, config.shares(), config.vary, config.tell_style)
        streams = Streams(data, draw, 0, [(0, 0)] * config.batch, config.sequence)
        self.batches = ReadAhead(streams, config.loaders)
        self.looks: list[float] = []
        self.row: dict[str, str | float] = {}
        self.fault: Exception | None = None

    def run(self) -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        on_own_stream = torch.cuda.stream(torch.cuda.Stream()) if device.type == "cuda" else nullcontext()
        try:
            with on_own_stream:
                self.train(device)
        except Exception as fault:  # told by the main thread, after the others' rows
            self.fault = fault

    def train(self, device: torch.device) -> None:
        config, data = self.config, self.data
        sizes = Sizes(config.layers, config.hidden, config.head, len(data.styles), data.classes)
        with FIRST_WEIGHTS:
            torch.manual_seed(config.seed)
            model, shown = (self.kind(sizes, config.dropout) for _ in range(2))
        model, shown = model.to(device), shown.to(device)
        shown.load_state_dict(model.state_dict())
        parameters = [part for part in model.parameters() if part.requires_grad]
        shown_parameters = [part for part in shown.parameters() if part.requires_grad]
        optimizer = optimizer_of(parameters, config, device)
        state = model.start(config.batch, device)
        looks = {config.steps * quarter // 4 for quarter in (1, 2, 3)}
        begin = time.monotonic()
        for step in range(config.steps):
            batch = next(self.batches)[0].to(device)
            try:
                _, _, state = learn(model, parameters, optimizer, rate_at(config, step, 0.0), batch, state, config)
            except FloatingPointError as fault:
                raise FloatingPointError(f"{fault} at step {step + 1}") from None
            follow(shown_parameters, parameters, config)
            if step + 1 in looks:
                pieces = first_pieces(data, config)
                bits = evaluate(shown, data, pieces, config.look_piece, 0, 1, device)["bits"]
                self.looks.append(sum(bits))
                print(f"{self.name:16} step {step + 1:6}  {sum(bits):7.4f} bits", flush=True)
        seconds = time.monotonic() - begin
        held_out = evaluate(shown, data, list(data.held_out), sys.maxsize, 0, 1, device)
        if not all(math.isfinite(part) for part in held_out["bits"]):
            raise ValueError("the loss is no number")
        self.row = (
            {"variant": self.name, "parameters": sum(part.numel() for part in parameters)}
            | {f"look_{n + 1}": bits for n, bits in enumerate(self.looks)}
            | {"all": sum(held_out["bits"])}
            | dict(zip(("shift", "key", "duration", "velocity"), held_out["bits"]))
            | {f"of {style}": sum(bits) for style, bits in held_out["by_style"].items()}
            | {"seconds": seconds}
        )
        if self.kind is NoteModel:
            about = describe(data, config, config.steps, seconds / 60, 1, held_out)
            save_weights(Path(config.out) / f"{self.name}.safetensors", to_file(shown.named_for_file()), about)


FIRST_WEIGHTS = threading.Lock()  # the generator that draws them is one for all threads


def main() -> None:
    given = parse(CompareConfig, sys.argv[1:])
    names = given.only.split(",") if given.only else list(VARIANTS)
    if unknown := [name for name in names if name not in VARIANTS]:
        raise SystemExit(f"--only: no variant {', '.join(unknown)}; there are {', '.join(VARIANTS)}")
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    data = Dataset(given.data)
    runs = []
    for name in names:
        differs = dict(VARIANTS[name])
        kind = differs.pop("kind", NoteModel)
        runs.append(Run(name, CompareConfig(**vars(given) | differs), kind, data))
    set_precision(given.precision)
    start_processes(given.device)
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    rows = sorted((run.row for run in runs if run.row), key=lambda row: row["all"])
    if rows:
        with (out / "variants.csv").open("w") as file:
            table = csv.DictWriter(file, rows[0])
            table.writeheader()
            table.writerows({name: f"{x:.4f}" if isinstance(x, float) else x for name, x in row.items()} for row in rows)
        print((out / "variants.csv").read_text())
    for run in runs:
        if run.fault:
            print(f"{run.name}: {type(run.fault).__name__}: {run.fault}", file=sys.stderr)
    if any(run.fault for run in runs):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
