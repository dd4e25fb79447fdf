"""What a run leaves behind: weights for `antiphon-train export`, a checkpoint to go on from, the curve of the loss."""

import json
import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor

from data import Dataset, opened
from model import ATTRIBUTES, State
from settings import Settings

MODEL_VERSION = 1  # of the model file: what antiphon calls its format_version
CHECKPOINT_VERSION = 2


def load_weights(path: str | Path) -> dict[str, Tensor]:
    with opened(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def describe(
    data: Dataset, config: Settings, step: int, minutes: float, world: int, held_out: dict[str, Any]
) -> dict[str, Any]:
    """The model file's description of itself."""
    about_training = vars(config) | {
        "batch": config.batch * world,
        "weights": config.shares(),
        "steps": step,
        "minutes": round(minutes, 1),
        "training_pieces": len(data.training),
        "training_notes": int(data.length[data.training].sum()),
        "trainer": f"train-distributed, PyTorch {torch.__version__}",
    }
    for here_only in ("data", "out", "start_from", "resume", "device", "stop_after", "loaders", "only"):
        about_training.pop(here_only, None)
    return {
        "format_version": MODEL_VERSION,
        "note_model": data.note_model,
        "styles": data.styles,
        "sizes": {"layers": config.layers, "hidden": config.hidden, "head": config.head},
        "training": about_training,
        "data_sha256": data.sha256,
        "held_out": {
            "pieces": held_out["pieces"],
            "notes": held_out["notes"],
            "bits_per_note": dict(zip(ATTRIBUTES, held_out["bits"])),
        },
    }


def save_weights(path: Path, tensors: dict[str, Tensor], description: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    save_file(tensors, temporary, {"antiphon": json.dumps(description)})
    os.replace(temporary, path)


def save_checkpoint(
    path: Path, process: tuple[int, int], places: list[tuple[int, int]], state: State, **rest: Any
) -> None:
    """Gathers what each process has to itself, in the order of the streams; process 0 writes."""
    rank, world = process
    own = (places, [part.detach().cpu() for part in state])
    gathered = [own] * world
    if world > 1:
        dist.all_gather_object(gathered, own)
    if rank > 0:
        return
    all_places = [place for places, _ in gathered for place in places]
    all_states = [torch.cat([state[part] for _, state in gathered], dim=1) for part in (0, 1)]
    temporary = path.with_suffix(".new")
    torch.save({"version": CHECKPOINT_VERSION, "places": all_places, "state": all_states, **rest}, temporary)
    os.replace(temporary, path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SystemExit(f"cannot go on from {path}: {error.strerror}; start without --resume") from None
    if checkpoint.get("version") != CHECKPOINT_VERSION:
        raise SystemExit(f"cannot go on from {path}: it is of another version")
    return checkpoint


class LossCurve:
    """loss.csv: bits per note on the training notes, before the step."""

    def __init__(self, path: Path, done: int) -> None:
        head = ",".join(["step", "rate", "bits", *ATTRIBUTES, "norm"])
        lines = path.read_text().splitlines()[1:] if done and path.exists() else []
        kept = [line for line in lines if int(line.split(",")[0]) <= done]
        path.write_text("\n".join([head, *kept]) + "\n")
        self.path = path

    def add(self, step: int, rate: float, bits: list[float], norm: float) -> None:
        numbers = [f"{number:.9g}" for number in (rate, sum(bits), *bits, norm)]
        with self.path.open("a") as file:
            print(step, *numbers, sep=",", file=file)
