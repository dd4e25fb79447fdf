"""Trains antiphon-train's network and the same one in PyTorch in turn: bench.py TRAIN_SPEED [--key=value ...]

Same sizes, batch, sequence and threads, both f32 on the processor, neither pinned to cores. The machine may be busy, so
each round times both one after the other, and the ratio is the median of the rounds' ratios. The peak is the best that
large matrix products reached in any round, with our own kernel or PyTorch's.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Self

from settings import Settings, parse


class Config(Settings):
    layers: int = 2
    hidden: int = 512
    head: int = 128
    batch: int = 32
    sequence: int = 256
    threads: int = os.cpu_count() or 1
    steps: int = 1  # of each in a round
    rounds: int = 7

    def check(self) -> Self:
        for name in self.__annotations__:
            if getattr(self, name) < 1:
                raise SystemExit(f"--{name} must be at least 1")
        return self


class Trainer:
    """A process that trains when it is told to, and sleeps else."""

    def __init__(self, command: list[str], config: Config) -> None:
        sizes = (config.layers, config.hidden, config.head, config.batch, config.sequence, config.threads)
        environment = os.environ | {"OMP_NUM_THREADS": str(config.threads)}
        command = [*command, *map(str, sizes)]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def line(self) -> dict:
        return json.loads(self.child.stdout.readline())

    def ask(self, question: object) -> dict:
        self.child.stdin.write(f"{question}\n".encode())
        self.child.stdin.flush()
        return self.line()


def main() -> None:
    config = parse(Config, sys.argv[2:])
    ours = Trainer([sys.argv[1]], config)
    about = ours.line()
    classes = ",".join(map(str, about["classes"]))
    torch = Trainer([sys.executable, str(Path(__file__).with_name("torch_speed.py")), classes], config)
    print(
        f"{config.layers} x {config.hidden} LSTM, heads of {config.head}, {about['parameters']} parameters, batch "
        f"{config.batch} x {config.sequence}, {config.threads} threads each, not pinned; load {os.getloadavg()[0]:.1f}"
    )
    ours.ask(1), torch.ask(1)  # the first step finds no memory yet
    rounds, peak = [], 0.0
    for number in range(config.rounds):
        # They take turns in who comes first.
        order = [ours, torch] if number % 2 else [torch, ours]
        answers = {trainer: trainer.ask(config.steps) for trainer in order}
        peak = max([peak, *(trainer.ask("peak")["gflops"] for trainer in order)])
        rounds.append((answers[ours], answers[torch]))
        own, other = (config.steps * config.batch * config.sequence / answer["seconds"] for answer in rounds[-1])
        print(f"round {number + 1}: antiphon-train {own:6.0f} notes/s, PyTorch {other:6.0f} notes/s: {own / other:.2f}")
    notes = config.steps * config.batch * config.sequence
    own, other = (notes / median(answers[who]["seconds"] for answers in rounds) for who in (0, 1))
    gflops = own * about["flop_per_note"] / 1e9
    memory = [rounds[-1][who]["rss_mb"] for who in (0, 1)]
    print(f"antiphon-train  {own:6.0f} notes/s  {gflops:6.1f} GFLOP/s, {gflops / peak:.0%} of the peak  {memory[0]:5.0f} MB")
    print(f"PyTorch         {other:6.0f} notes/s  {gflops * other / own:6.1f} GFLOP/s  {memory[1]:5.0f} MB")
    result = {
        "ratio_to_pytorch_f32": round(median(other["seconds"] / own["seconds"] for own, other in rounds), 2),
        "notes_per_s": round(own),
        "gflops": round(gflops, 1),
        "peak_gflops": round(peak, 1),
        "rss_mb": round(memory[0]),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
