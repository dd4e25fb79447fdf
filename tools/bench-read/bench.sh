#!/bin/sh
# How fast .mid files become lists of notes, beside symusic and music21, on the same files in one run.
#
# tools/bench-read/bench.sh READ_SPEED FOLDER
#
# READ_SPEED is the built example of that name. The last line is JSON. Called by `make bench-read`.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/../venv.sh" bench-read "$here/requirements.txt")
export PYTHONDONTWRITEBYTECODE=1
exec "$python" -u "$here/bench.py" "$@"
