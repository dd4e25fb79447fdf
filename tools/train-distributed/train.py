"""Trains the note model on an encoded data set, on one processor, one GPU, or many GPUs and hosts.

antiphon-train encode mid_songs --out notes.safetensors
python train.py --data=notes.safetensors --out=run                              one process; a GPU when there is one
torchrun --nproc_per_node=8 train.py --data=notes.safetensors --out=run         eight GPUs of one host
python train.py --out=run --resume                                              goes on from run/checkpoint.pt
antiphon-train export run/weights.safetensors --model models/antiphon.onnx
"""

import math
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from data import Dataset, Streams, held_out_batches
from model import NoteModel, Sizes, losses, take, to_file
from outcome import LossCurve, describe, load_checkpoint, load_weights, save_checkpoint, save_weights
from settings import Settings, parse


class Config(Settings):
    """Every setting; `--key=value` changes one."""

    # files
    data: str = "notes.safetensors"  # made by `antiphon-train encode`
    out: str = "run"  # folder for checkpoint.pt, weights.safetensors, loss.csv
    start_from: str = ""  # weights to start from, made by `antiphon-train weights` or by an earlier run
    resume: bool = False  # go on from the checkpoint, with its settings
    # model
    layers: int = 2
    hidden: int = 512
    head: int = 128
    dropout: float = 0.15  # after each layer
    # data
    sequence: int = 128  # notes through which errors are led back (truncated back-propagation)
    batch: int = 32  # parallel streams of each process
    weights: str = ""  # shares of the styles, such as chorale=0.6,folk=0.1; the others divide the rest by their notes
    # optimiser: AdamW, as in antiphon-train
    rate: float = 0.004  # highest
    beta1: float = 0.9
    beta2: float = 0.99
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    clip: float = 1.0  # longest gradient that is followed in full
    # schedule: warm-up, then half a cosine
    steps: int = 5000
    warm_up: int = 100  # or a twentieth of the steps, if that is less
    final_rate: float = 0.03  # share of the highest rate
    # looks at held-out pieces, each with a checkpoint
    look_every: int = 250
    look_notes: int = 60_000
    look_piece: int = 1500  # notes of a piece at most, so that a look sees many pieces
    patience: int = 20  # looks without progress before training stops
    log_every: int = 10
    stop_after: int = 0  # steps of the schedule after which this call ends, with a checkpoint; 0: all
    # system
    seed: int = 1
    device: str = "auto"  # cuda when there is one, else cpu


def main() -> None:
    config = parse(Config, sys.argv[1:])
    rank, world, device = start_processes(config.device)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = None
    if config.resume:
        checkpoint = load_checkpoint(out / "checkpoint.pt")
        config = parse(Config, sys.argv[1:], checkpoint["config"] | {"stop_after": 0})

    data = Dataset(config.data)
    if checkpoint and checkpoint["data_sha256"] != data.sha256:
        raise SystemExit("the data set is not the one that the checkpoint was trained on")
    sizes = Sizes(config.layers, config.hidden, config.head, len(data.styles), data.classes)
    torch.manual_seed(config.seed)
    model = NoteModel(sizes, config.dropout).to(device)
    if config.start_from and not checkpoint:
        take(model, load_weights(config.start_from))
    parameters = list(model.named_for_file().values())
    betas = (config.beta1, config.beta2)
    optimizer = torch.optim.AdamW(parameters, config.rate, betas, config.epsilon, config.weight_decay)

    places, state = [(0, 0)] * config.batch, model.start(config.batch, device)
    step, minutes, best, since_best = 0, 0.0, None, 0
    if checkpoint:
        if len(checkpoint["places"]) != config.batch * world:
            raise SystemExit(f"the checkpoint has {len(checkpoint['places'])} streams: batch x processes must be that")
        mine = slice(rank * config.batch, (rank + 1) * config.batch)
        places, state = checkpoint["places"][mine], tuple(part[:, mine].to(device) for part in checkpoint["state"])
        take(model, checkpoint["weights"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        step, minutes = checkpoint["step"], checkpoint["minutes"]
        best, since_best = checkpoint["best"], checkpoint["since_best"]
    streams = Streams(data, config.shares(), config.seed, rank * config.batch, places)
    network = DistributedDataParallel(model) if world > 1 else model
    curve = LossCurve(out / "loss.csv", step) if rank == 0 else None
    say(
        f"{sum(p.numel() for p in parameters)} parameters, {len(data.training)} pieces, "
        f"{world} x {config.batch} streams of {config.sequence} notes a step, on {device.type}, from step {step}"
    )

    per_step = world * config.batch * config.sequence
    begin, first_step, minutes_before = time.monotonic(), step, minutes
    last_step = min(config.steps, config.stop_after or config.steps)
    while step < last_step and since_best < config.patience:
        # the learning rate of this step, and dropout that does not depend on interruptions
        rate = rate_at(config, step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed((config.seed << 40) + step * world + rank)

        # forward and backward; the state is carried on, errors are not led back beyond the sequence
        batch = streams.batch(config.sequence).to(device)
        network.train()
        logits, state = network(batch, tuple(part.detach() for part in state))
        nll = losses(logits, batch)  # (4, time, batch)
        optimizer.zero_grad(set_to_none=True)
        # Divided by the same number in every process: the mean that DDP takes is then that of the whole batch.
        (nll.sum() / (config.batch * config.sequence)).backward()

        # clip and step
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip)
        if not math.isfinite(norm):
            raise SystemExit(f"the gradient became {norm.item()} at step {step + 1}: resume with a lower --rate")
        optimizer.step()
        step += 1
        minutes = minutes_before + (time.monotonic() - begin) / 60

        # log
        if step % config.log_every == 0:
            bits = bits_of(nll.detach().double().sum((1, 2)), batch.counted.double().sum((1, 2)))
            speed = (step - first_step) * per_step / (time.monotonic() - begin)
            if curve:
                curve.add(step, rate, bits, norm.item())
            say(f"step {step:6}  loss {sum(bits):7.4f} bits  norm {norm:6.3f}  {speed:8.0f} notes/s")

        # a look at the held-out pieces, the best weights, a checkpoint
        if step % config.look_every == 0 or step == last_step:
            pieces = first_pieces(data, config)
            held_out = evaluate(model, data, pieces, config.look_piece, rank, world, device)
            is_best = best is None or sum(held_out["bits"]) < sum(best["bits"])
            since_best = 0 if is_best else since_best + 1
            if is_best:
                best = held_out
                if rank == 0:
                    about = describe(data, config, step, minutes, world, held_out)
                    save_weights(out / "weights.safetensors", to_file(model.named_for_file()), about)
            say(f"step {step:6}  held out {sum(held_out['bits']):.4f} bits a note{'  best' if is_best else ''}")
            save_checkpoint(
                out / "checkpoint.pt",
                (rank, world),
                streams.places(),
                state,
                config=vars(config),
                data_sha256=data.sha256,
                step=step,
                minutes=minutes,
                best=best,
                since_best=since_best,
                weights=to_file(model.named_for_file()),
                optimizer=optimizer.state_dict(),
            )

    # the best weights on all held-out pieces, whole
    if best:
        take(model, load_weights(out / "weights.safetensors"))
        held_out = evaluate(model, data, list(data.held_out), sys.maxsize, rank, world, device)
        if rank == 0:
            about = describe(data, config, step, minutes, world, held_out)
            save_weights(out / "weights.safetensors", to_file(model.named_for_file()), about)
        say(f"wrote {out / 'weights.safetensors'}: {sum(held_out['bits']):.3f} bits a note on all held-out pieces")
    if world > 1:
        # None leaves while another still talks to it.
        dist.barrier()
        del network
        dist.destroy_process_group()


def start_processes(device: str) -> tuple[int, int, torch.device]:
    """This process's number, how many there are, and what it computes on."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
        torch.cuda.set_device(device)
    if world > 1:
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return rank, world, torch.device(device)


def rate_at(config: Config, step: int) -> float:
    """Warm-up, then half a cosine down to the final rate."""
    warm = min(1.0, (step + 1) / max(1, min(config.warm_up, config.steps // 20)))
    falling = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.rate * warm * (config.final_rate + (1 - config.final_rate) * falling)


def bits_of(nats: Tensor, counts: Tensor) -> list[float]:
    """Bits per note of the four attributes over all processes, from sums (4) and counts (4) of this one."""
    sums = torch.stack([nats, counts])  # (2, 4)
    if dist.is_initialized():
        dist.all_reduce(sums)
    return (sums[0] / sums[1].clamp(min=1) / math.log(2)).tolist()


def first_pieces(data: Dataset, config: Config) -> list[int]:
    """The held-out pieces of a look."""
    before = 0
    pieces = []
    for index in data.held_out:
        if before < config.look_notes:
            pieces.append(int(index))
        before += min(int(data.length[index]), config.look_piece)
    return pieces


@torch.no_grad()
def evaluate(
    model: NoteModel, data: Dataset, pieces: list[int], longest: int, rank: int, world: int, device: torch.device
) -> dict:
    """Bits per note on held-out pieces, times counted on the 10 ms grid; shared among the processes."""
    model.eval()
    grid = [torch.tensor(bits, device=device) * math.log(2) for bits in data.grid_bits()]
    nats, counts = torch.zeros(2, 4, dtype=torch.float64, device=device)
    for batch, begins in held_out_batches(data, pieces[rank::world], time=128, width=64, longest=longest):
        batch = batch.to(device)
        if begins:
            state = model.start(batch.style.shape[1], device)
        logits, state = model(batch, state)
        nll = losses(logits, batch).double()
        for a in range(4):
            nats[a] += (nll[a] + grid[a][batch.next[a]] * batch.counted[a]).sum()
            counts[a] += batch.counted[a].sum()
    notes = sum(min(int(data.length[index]), longest) for index in pieces)
    return {"bits": bits_of(nats, counts), "pieces": len(pieces), "notes": notes}


def say(text: str) -> None:
    """Prints a line, once for all processes."""
    if int(os.environ.get("RANK", 0)) == 0:
        print(text, flush=True)


if __name__ == "__main__":
    main()
