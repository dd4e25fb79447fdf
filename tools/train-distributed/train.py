"""Trains the note model on an encoded data set, on one processor, one GPU, or many GPUs and hosts.

antiphon-train encode mid_songs --out notes.safetensors
python train.py --data=notes.safetensors --out=run                              one process; a GPU when there is one
torchrun --nproc_per_node=8 train.py --data=notes.safetensors --out=run         eight GPUs of one host
python train.py --out=run --resume                                              goes on from run/checkpoint.pt
antiphon-train export run/weights.safetensors --model models/antiphon.onnx
"""

import copy
import math
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from data import Dataset, Draw, ReadAhead, Streams, held_out_batches
from model import Batch, NoteModel, Sizes, State, losses, take, to_file
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
    vary: bool = True  # half of the pieces: in key, tempo, velocity and timing
    tell_style: bool = True  # half of the time
    # optimiser: AdamW, as in antiphon-train
    rate: float = 0.004  # highest
    beta1: float = 0.9
    beta2: float = 0.99
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    clip: float = 1.0  # longest gradient that is followed in full
    average: float = 0.0  # keep a running average of the weights, which keeps this share at each step, and export it
    # schedule: warm-up, then half a cosine
    steps: int = 5000
    minutes: float = 0.0  # end after this time, if that is sooner; the rate falls as fast as it needs to. 0: no limit
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
    precision: str = "f32"  # of products: f32; tf32, with 10 bits of mantissa, or bf16, with 7, on a GPU's tensor cores
    loaders: int = 0  # processes that make batches ahead; a GPU wants some


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
    set_precision(config.precision)
    torch.manual_seed(config.seed)
    model = NoteModel(sizes, config.dropout).to(device)
    if config.start_from and not checkpoint:
        take(model, load_weights(config.start_from))
    # what is looked at and exported: the running average, or the model itself
    shown = copy.deepcopy(model) if config.average else model
    parameters, shown_parameters = (list(which.named_for_file().values()) for which in (model, shown))
    optimizer = optimizer_of(parameters, config, device)

    places, state = [(0, 0)] * config.batch, model.start(config.batch, device)
    step, minutes, best, since_best = 0, 0.0, None, 0
    if checkpoint:
        if len(checkpoint["places"]) != config.batch * world:
            raise SystemExit(f"the checkpoint has {len(checkpoint['places'])} streams: batch x processes must be that")
        mine = slice(rank * config.batch, (rank + 1) * config.batch)
        places, state = checkpoint["places"][mine], tuple(part[:, mine].to(device) for part in checkpoint["state"])
        take(model, checkpoint["weights"])
        take(shown, checkpoint["shown"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        step, minutes = checkpoint["step"], checkpoint["minutes"]
        best, since_best = checkpoint["best"], checkpoint["since_best"]
    draw = Draw(config.seed, config.shares(), config.vary, config.tell_style)
    batches = ReadAhead(Streams(data, draw, rank * config.batch, places, config.sequence), config.loaders)
    network = DistributedDataParallel(model) if world > 1 else model
    curve = LossCurve(out / "loss.csv", step) if rank == 0 else None
    say(
        f"{sum(p.numel() for p in parameters)} parameters, {len(data.training)} pieces, "
        f"{world} x {config.batch} streams of {config.sequence} notes a step, on {device.type}, from step {step}"
    )

    per_step = world * config.batch * config.sequence
    begin, first_step, minutes_before = time.monotonic(), step, minutes
    last_step = min(config.steps, config.stop_after or config.steps)
    is_over = step >= last_step
    while not is_over and since_best < config.patience:
        # the learning rate of this step, and dropout that does not depend on interruptions
        rate = rate_at(config, step, minutes)
        torch.manual_seed((config.seed << 40) + step * world + rank)

        batch, places = next(batches)
        batch = batch.to(device)
        try:
            nll, norm, state = learn(network, parameters, optimizer, rate, batch, state, config)
        except FloatingPointError as fault:
            raise SystemExit(f"{fault} at step {step + 1}: resume with a lower --rate") from None
        if config.average:
            follow(shown_parameters, parameters, config)
        step += 1
        minutes = agreed(minutes_before + (time.monotonic() - begin) / 60, device)
        is_over = step >= last_step or bool(config.minutes) and minutes >= config.minutes

        # log
        if step % config.log_every == 0:
            bits = bits_of(nll.double().sum((1, 2)), batch.counted.double().sum((1, 2))).tolist()
            speed = (step - first_step) * per_step / (time.monotonic() - begin)
            if curve:
                curve.add(step, rate, bits, norm)
            say(f"step {step:6}  loss {sum(bits):7.4f} bits  norm {norm:6.3f}  {speed:8.0f} notes/s")

        # a look at the held-out pieces, the best weights, a checkpoint
        if step % config.look_every == 0 or is_over:
            pieces = first_pieces(data, config)
            held_out = evaluate(shown, data, pieces, config.look_piece, rank, world, device)
            is_best = best is None or sum(held_out["bits"]) < sum(best["bits"])
            since_best = 0 if is_best else since_best + 1
            if is_best:
                best = held_out
                if rank == 0:
                    about = describe(data, config, step, minutes, world, held_out)
                    save_weights(out / "weights.safetensors", to_file(shown.named_for_file()), about)
            say(f"step {step:6}  held out {sum(held_out['bits']):.4f} bits a note{'  best' if is_best else ''}")
            save_checkpoint(
                out / "checkpoint.pt",
                (rank, world),
                places,
                state,
                config=vars(config),
                data_sha256=data.sha256,
                step=step,
                minutes=minutes,
                best=best,
                since_best=since_best,
                weights=to_file(model.named_for_file()),
                shown=to_file(shown.named_for_file()),
                optimizer=optimizer.state_dict(),
            )

    # the best weights on all held-out pieces, whole
    if best:
        take(shown, load_weights(out / "weights.safetensors"))
        held_out = evaluate(shown, data, list(data.held_out), sys.maxsize, rank, world, device)
        if rank == 0:
            about = describe(data, config, step, minutes, world, held_out)
            save_weights(out / "weights.safetensors", to_file(shown.named_for_file()), about)
        for style, bits in held_out["by_style"].items():
            say(f"held out {style:24} {sum(bits):7.3f} bits a note = {' + '.join(f'{part:.3f}' for part in bits)}")
        say(f"wrote {out / 'weights.safetensors'}: {sum(held_out['bits']):.3f} bits a note on all held-out pieces")
    if world > 1:
        # None leaves while another still talks to it.
        dist.barrier()
        del network
        dist.destroy_process_group()


def optimizer_of(parameters: list[Tensor], config: Config, device: torch.device) -> torch.optim.Optimizer:
    """AdamW, as in antiphon-train."""
    betas = (config.beta1, config.beta2)
    is_fused = device.type == "cuda"
    return torch.optim.AdamW(parameters, config.rate, betas, config.epsilon, config.weight_decay, fused=is_fused)


def learn(
    network: nn.Module,
    parameters: list[Tensor],
    optimizer: torch.optim.Optimizer,
    rate: float,
    batch: Batch,
    state: State,
    config: Config,
) -> tuple[Tensor, float, State]:
    """One step at this learning rate: the losses in nats, (4, time, batch), the length of the gradient, the next state."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    # forward and backward; the state is carried on, errors are not led back beyond the sequence
    network.train()
    with torch.autocast(batch.style.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        logits, state = network(batch, tuple(part.detach().float() for part in state))
    nll = losses(logits, batch)
    optimizer.zero_grad(set_to_none=True)
    # Divided by the same number in every process: the mean that DDP takes is then that of the whole batch.
    (nll.sum() / (config.batch * config.sequence)).backward()

    # clip and step
    norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip).item()
    if not math.isfinite(norm):
        raise FloatingPointError(f"the gradient became {norm}")
    optimizer.step()
    return nll.detach(), norm, state


@torch.no_grad()
def follow(shown: list[Tensor], parameters: list[Tensor], config: Config) -> None:
    """Moves the running average towards the weights."""
    torch._foreach_lerp_(shown, parameters, 1 - config.average)


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


def set_precision(precision: str) -> None:
    """What products of 32-bit floats may be rounded to on a GPU."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "f32"


def rate_at(config: Config, step: int, minutes: float) -> float:
    """Warm-up, then half a cosine down to the final rate, over the steps or the minutes, whichever is sooner over."""
    warm = min(1.0, (step + 1) / max(1, min(config.warm_up, config.steps // 20)))
    done = max(step / config.steps, minutes / config.minutes if config.minutes else 0.0)
    falling = 0.5 * (1 + math.cos(math.pi * done))
    return config.rate * warm * (config.final_rate + (1 - config.final_rate) * falling)


def agreed(minutes: float, device: torch.device) -> float:
    """The minutes of process 0: all must end at the same step."""
    if not dist.is_initialized():
        return minutes
    told = torch.tensor(minutes, device=device)
    dist.broadcast(told, 0)
    return told.item()


def bits_of(nats: Tensor, counts: Tensor) -> Tensor:
    """Bits per note over all processes, from sums and counts of this one, (..., 4)."""
    sums = torch.stack([nats, counts])
    if dist.is_initialized():
        dist.all_reduce(sums)
    return (sums[0] / sums[1].clamp(min=1) / math.log(2)).cpu()


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
    nats, counts = torch.zeros(2, len(data.styles), 4, dtype=torch.float64, device=device)
    for batch, group, begins in held_out_batches(data, pieces[rank::world], time=128, width=64, longest=longest):
        batch = batch.to(device)
        if begins:
            state = model.start(len(group), device)
        logits, state = model(batch, state)
        nll = losses(logits, batch).double()
        style = torch.from_numpy(data.style[group].astype(int)).to(device)
        for a in range(4):
            each = nll[a] + grid[a][batch.next[a]] * batch.counted[a]  # (time, batch)
            nats[:, a].index_add_(0, style, each.sum(0))
            counts[:, a].index_add_(0, style, batch.counted[a].sum(0).double())
    notes = sum(min(int(data.length[index]), longest) for index in pieces)
    by_style = bits_of(nats, counts).tolist()
    return {
        "bits": bits_of(nats.sum(0), counts.sum(0)).tolist(),
        "by_style": {style: bits for style, bits in zip(data.styles, by_style) if sum(bits)},
        "pieces": len(pieces),
        "notes": notes,
    }


def say(text: str) -> None:
    """Prints a line, once for all processes."""
    if int(os.environ.get("RANK", 0)) == 0:
        print(text, flush=True)


if __name__ == "__main__":
    main()
