#!/usr/bin/env bash
# compare.sh ANTIPHON [FONT.sf2]: the same MIDI file on the same SoundFont, rendered by `antiphon render` and by
# FluidSynth, and held against each other: when notes begin, their pitch, their spectrum. Ends with one JSON line.
# Exit status: 0 they agree, or left out with a sentence that says why; else they do not.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# = 1 ] || [ $# = 2 ] || { echo "usage: $0 ANTIPHON [FONT.sf2]" >&2; exit 2; }
font=${2:-/usr/share/sounds/sf2/TimGM6mb.sf2}
left_out() { echo "compare-synth: left out: $*"; exit 0; }
command -v fluidsynth >/dev/null || left_out "fluidsynth is not installed (Debian: fluidsynth)"
[ -e "$font" ] || left_out "there is no SoundFont $font (Debian: timgm6mb-soundfont)"
python=$("$here/../venv.sh" compare-fluidsynth "$here/requirements.txt") || left_out "numpy could not be fetched"

work=$(mktemp -d "${TMPDIR:-/tmp}/antiphon-compare.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$python" "$here/compare.py" write "$work/notes.mid"
"$1" render "$work/notes.mid" "$work/antiphon.wav" --soundfont "$font" --rate 48000 >"$work/log" ||
    { cat "$work/log"; exit 1; }
# Without its room, which is another one: the file asks for none.
fluidsynth -ni -q -R 0 -C 0 -g 0.6 -r 48000 -O s16 -T wav -F "$work/fluidsynth.wav" "$font" "$work/notes.mid" \
    >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
echo "compare-synth: $(basename "$font"), $(fluidsynth --version | sed -n '1s/.*version/FluidSynth/p')"
"$python" "$here/compare.py" compare "$work/antiphon.wav" "$work/fluidsynth.wav"
