#!/bin/sh
# Proves that the PyTorch trainer does what antiphon-train does. Not part of `make test`: it downloads PyTorch.
#
# tools/train-distributed/test.sh
#
# PyTorch goes to a folder in the user's cache: one to ten minutes and 5.4 GB, once, since PyPI's build brings its CUDA
# libraries.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/antiphon/target}"
export PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
python=$("$here/../venv.sh" train-distributed "$here/requirements.txt")

echo 'building antiphon and its example: a moment if it is built already, else minutes; then tests of one or two minutes'
features=
if pkg-config --exists jack 2>/dev/null; then features='--features jack'; fi
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT INT TERM
cd "$here/../.."
# shellcheck disable=SC2086 # no features are no argument
cargo build --release --workspace --locked $features --bins --examples
cp "$CARGO_TARGET_DIR/release/antiphon" "$CARGO_TARGET_DIR/release/antiphon-train" \
    "$CARGO_TARGET_DIR/release/examples/parity" "$WORK"

export WORK ANTIPHON="$WORK/antiphon" ANTIPHON_TRAIN="$WORK/antiphon-train"
export NOTES="$WORK/notes.safetensors" PARITY="$WORK/parity.safetensors"
"$ANTIPHON_TRAIN" encode mid_songs --out "$NOTES"
"$WORK/parity" "$PARITY"

began=$(date +%s)
cd "$here"
"$python" -u -m unittest --verbose test_parity test_training
echo "all as it should be, after $(($(date +%s) - began)) s of tests"
