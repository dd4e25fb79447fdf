#!/bin/sh
# Trains the bundled model as it was shipped: the one place that holds its settings; models/README.md names them too.
#
# tools/train-bundled.sh ANTIPHON_TRAIN DATA [flags of antiphon-train ...]
#
# ANTIPHON_TRAIN is the built program. DATA is a folder with the sets of models/README.md, each split into train/, valid/
# and test/, of which test/ is never opened. Called by `make train-shared`.
set -eu

train=$1
data=$2
shift 2
if [ ! -d "$data" ]; then
    echo "train-bundled: there is no folder $data; name the one with the data sets: make train-shared DATA=FOLDER" >&2
    exit 2
fi

shares=$(tr -d ' \n' <<'SHARES'
pianolatron_expressive=0.50, giantmidi_piano=0.08, openscore_lieder_piano=0.12, mutopia_keyboard=0.10,
js_fakes_chorales=0.05, mutopia_satb=0.02, pianolatron_dance88=0.04, folk_tunes_pd=0.04,
chorale=0.005, dance=0.005, folk=0.005, study=0.005
SHARES
)

# In three runs, as models/README.md tells: each begins with the weights of the one before.
first=$(mktemp -d)
trap 'rm -rf "$first"' EXIT
"$train" mid_songs --folder "$data" --model "$first/first.onnx" --retrain \
    --layers 2 --hidden 384 --head 192 --sequence 96 --batch 32 --dropout 0.05 --rate 0.002 --epochs 5 \
    --patience 1000 --seed 1 --weights "$shares"
"$train" mid_songs --folder "$data" --from "$first/first.onnx" --model "$first/second.onnx" --retrain \
    --sequence 96 --batch 32 --dropout 0 --rate 0.0005 --average 0.995 --steps 1450 \
    --patience 1000 --seed 1 --weights "$shares"
"$train" mid_songs --folder "$data" --from "$first/second.onnx" --model models/antiphon.onnx --retrain \
    --sequence 96 --batch 32 --dropout 0 --rate 0.0008 --average 0.998 --max-minutes 108 \
    --patience 1000 --seed 2 --weights "$shares" "$@"
