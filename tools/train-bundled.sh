#!/bin/sh
# Trains the bundled model as it was shipped: the one place that holds its settings; models/README.md names them too.
#
# tools/train-bundled.sh ANTIPHON_TRAIN DATA [--key=value ...]
#
# ANTIPHON_TRAIN is the built program. DATA is a folder with the sets of models/README.md, each split into train/, valid/
# and test/, of which test/ is never opened. Further arguments are settings of tools/train-distributed/train.py. It was
# nine minutes of a GPU that two more runs shared; without a GPU it is most of a day. Called by `make train-shared`.
set -eu

train=$1
data=$2
shift 2
if [ ! -d "$data" ]; then
    echo "train-bundled: there is no folder $data; name the one with the data sets: make train-shared DATA=FOLDER" >&2
    exit 2
fi

shares=$(tr -d ' \n' <<'SHARES'
pianolatron_expressive=0.46, giantmidi_piano=0.06, openscore_lieder_piano=0.16, mutopia_keyboard=0.11,
js_fakes_chorales=0.055, mutopia_satb=0.015, pianolatron_dance88=0.04, folk_tunes_pd=0.06,
chorale=0.005, dance=0.005, folk=0.005, study=0.005
SHARES
)

here=$(dirname "$0")
python=$("$here/venv.sh" train-distributed "$here/train-distributed/requirements.txt")
# Kept when the run is broken off, so that --resume can go on.
run=${XDG_CACHE_HOME:-$HOME/.cache}/antiphon/train-bundled
mkdir -p "$run"
"$train" encode mid_songs "$data" --out "$run/notes.safetensors"
"$python" -u "$here/train-distributed/train.py" --data="$run/notes.safetensors" --out="$run" --weights="$shares" \
    --layers=2 --hidden=512 --head=256 --dropout=0.15 --sequence=128 --batch=256 --steps=8674 --rate=0.0025 \
    --weight_decay=0.05 --average=0.999 --look_every=500 --patience=1000 --loaders=4 --precision=tf32 --seed=1 "$@"
"$train" export "$run/weights.safetensors" --half --model models/antiphon.onnx
