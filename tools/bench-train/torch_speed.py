"""PyTorch's part of bench.py: the note model of tools/train-distributed, trained a few steps each time when it is told to.

It is given every advantage: its data are ready-made batches without a piece's beginning (one call of `nn.LSTM` a layer),
and its optimiser is the fused one. A line with a number of steps asks to train them, the line `peak` to multiply large
matrices; the answers are as those of the example train_speed.
"""

import json
import resource
import sys
import time

import torch
from model import Batch, NoteModel, Sizes, losses

SIDE = 2048


def random_batch(class_counts: tuple[int, ...], time_steps: int, streams: int) -> Batch:
    shape = (time_steps, streams)
    classes = torch.stack([torch.randint(count, shape) for count in class_counts])
    return Batch(
        last=classes.roll(1, dims=1),
        next=classes,
        style=torch.ones(shape, dtype=torch.long),
        reset=torch.zeros(shape, dtype=torch.bool),
        counted=torch.ones((4, *shape), dtype=torch.bool),
    )


def main() -> None:
    class_counts = tuple(map(int, sys.argv[1].split(",")))
    layers, hidden, head, streams, sequence, threads = map(int, sys.argv[2:])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = NoteModel(Sizes(layers, hidden, head, 2, class_counts), dropout=0.15)
    parameters = list(model.named_for_file().values())
    optimizer = torch.optim.AdamW(parameters, 0.004, (0.9, 0.99), fused=True)
    batches = [random_batch(class_counts, sequence, streams) for _ in range(4)]
    state = model.start(streams, torch.device("cpu"))
    matrix = torch.full((SIDE, SIDE), 0.5)
    for line in sys.stdin:
        begin = time.perf_counter()
        if line.strip() == "peak":
            torch.mm(matrix, matrix)
            print(json.dumps({"gflops": 2 * SIDE**3 / (time.perf_counter() - begin) / 1e9}), flush=True)
            continue
        for number in range(int(line)):
            logits, state = model(batches[number % len(batches)], tuple(part.detach() for part in state))
            optimizer.zero_grad(set_to_none=True)
            (losses(logits, batches[number % len(batches)]).sum() / (streams * sequence)).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        seconds = time.perf_counter() - begin
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "rss_mb": memory}), flush=True)


if __name__ == "__main__":
    main()
