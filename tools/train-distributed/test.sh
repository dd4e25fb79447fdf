#!/bin/sh
# Proves that the PyTorch trainer does what antiphon-train does. Not part of `make test`: it downloads PyTorch.
#
# tools/train-distributed/test.sh
#
# Needs Python 3.11 or later with venv. PyTorch goes to a folder outside the checkout, which is kept for the next time:
# 5.4 GB, since PyPI's build brings its CUDA libraries. Delete that folder when done.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${ANTIPHON_TORCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/antiphon/train-distributed}
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/antiphon/target}"
export PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
mkdir -p "$cache"

if ! cmp -s "$here/requirements.txt" "$cache/requirements.txt"; then
    echo "fetching PyTorch into $cache: one to ten minutes, 5.4 GB, once"
    rm -rf "$cache/venv"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet --no-cache-dir -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$cache/requirements.txt"
fi

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
"$cache/venv/bin/python" -u -m unittest --verbose test_parity test_training
echo "all as it should be, after $(($(date +%s) - began)) s of tests"
