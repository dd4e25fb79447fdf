#!/bin/sh
# How fast the trainer is, beside the same network in PyTorch, in turn in one run.
#
# tools/bench-train/bench.sh TRAIN_SPEED [--rounds=7] [--steps=1] [--hidden=512] ...
#
# TRAIN_SPEED is the built example of that name. The last line is JSON. Called by `make bench-train`.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/../venv.sh" train-distributed "$here/../train-distributed/requirements.txt")
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here/../train-distributed"
exec "$python" -u "$here/bench.py" "$@"
