#!/usr/bin/env bash
# run.sh ANTIPHON [RECIPE...]: goes through recipes of the guide with the real programs, on a JACK server of its own that
# needs no sound card: `fluidsynth` (heard), `ardour` (recorded there), `take` (read by midicsv and mido). All, unless
# some are named. Exit status: 0 passed, or left out with a sentence that says why; else failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { echo "usage: $0 ANTIPHON [fluidsynth|ardour|take]..." >&2; exit 2; }
antiphon=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
[ $# -gt 0 ] || set -- fluidsynth ardour take
unset JACK_DEFAULT_SERVER

work=$(mktemp -d "${TMPDIR:-/tmp}/antiphon-recipes.XXXXXX")
started=()
tidy() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap tidy EXIT
have() { command -v "$1" >/dev/null 2>&1; }
say() { echo "recipes: $*"; }
failed() { say "FAILED: $*"; tail -n 30 "$work"/*.log >&2; exit 1; }

# Waits for a port of that name, at most half a minute.
port() {
    for _ in $(seq 300); do
        jack_lsp 2>/dev/null | grep -q "$1" && return
        sleep 0.1
    done
    failed "there never was a port $1"
}

# A server for this run, without a sound card.
serve() {
    export JACK_DEFAULT_SERVER=antiphon-recipes-$$ JACK_NO_AUDIO_RESERVATION=1 JACK_NO_START_SERVER=1
    local scheduling=(-r)
    if chrt -f 70 true 2>/dev/null; then scheduling=(-R -P 70); fi
    jackd -n "$JACK_DEFAULT_SERVER" "${scheduling[@]}" -S -d dummy -r 48000 -p 1024 >"$work/jackd.log" 2>&1 &
    started+=($!)
    port system:playback_1
}

# Antiphon, playing alone for so many seconds; its take is $work/AI_generated.mid.
play() {
    (cd "$work" && exec "$antiphon" jam --config none --backend jack --headless --no-http --seconds "$@") \
        >"$work/antiphon.log" 2>&1 &
    playing=$!
    started+=("$playing")
}

fluidsynth_recipe() {
    local font
    font=$(find /usr/share/sounds/sf2 /usr/share/soundfonts -name '*.sf2' 2>/dev/null | sort | head -n 1 || true)
    for tool in fluidsynth jack_rec sox; do
        have $tool || { say "left out: fluidsynth: $tool is not installed"; return; }
    done
    [ -n "$font" ] || { say "left out: fluidsynth: there is no SoundFont"; return; }
    fluidsynth -is -a jack -m jack -r 48000 -o audio.jack.autoconnect=0 "$font" >"$work/fluidsynth.log" 2>&1 &
    local synth=$!
    started+=("$synth")
    port fluidsynth-midi:midi_00
    play 12 --connect-to fluidsynth
    port 'Antiphon:Antiphon Out'
    sleep 2
    jack_rec -f "$work/heard.wav" -d 6 -b 16 fluidsynth-midi:left fluidsynth-midi:right >"$work/rec.log" 2>&1
    wait "$playing"
    kill "$synth"
    local loudest
    loudest=$(sox "$work/heard.wav" -n stat 2>&1 | awk '/Maximum amplitude/ {print $3}')
    awk -v loudest="$loudest" 'BEGIN {exit !(loudest > 0.01)}' || failed "fluidsynth was not heard: $loudest"
    say "fluidsynth: heard, loudest sample $loudest ($(fluidsynth --version | grep -o 'runtime version [0-9.]*'))"
}

ardour_recipe() {
    local lua
    lua=$(compgen -c | grep -E '^ardour[0-9]+-lua$' | sort -u | tail -n 1 || true)
    [ -n "$lua" ] || { say "left out: ardour: ardour7-lua (Debian package ardour) is not installed"; return; }
    have midicsv || { say "left out: ardour: midicsv is not installed"; return; }
    play 40
    port 'Antiphon:Antiphon Out'
    HOME=$work "$lua" "$here/ardour.lua" "$work/session" >"$work/ardour.log" 2>&1 || failed "ardour"
    grep -q '^recipe: recorded' "$work/ardour.log" || failed "ardour did not get as far as recording"
    kill -INT "$playing"
    wait "$playing"
    local recorded notes
    recorded=$(find "$work/session/interchange" -name '*.mid' | head -n 1)
    [ -n "$recorded" ] || failed "ardour recorded no MIDI"
    notes=$(midicsv "$recorded" | grep -c Note_on_c || true)
    [ "$notes" -gt 5 ] || failed "ardour recorded $notes notes"
    say "ardour: opened a session, connected, recorded $notes note-ons ($lua, $(dpkg-query -W -f '${Version}' ardour 2>/dev/null || echo '?'))"
}

take_recipe() {
    [ -e "$work/AI_generated.mid" ] || { play 6; wait "$playing"; }
    local take=$work/AI_generated.mid
    if have midicsv; then
        midicsv "$take" >"$work/take.csv"
        awk -f "$here/../check-midi-debts.awk" "$work/take.csv" || failed "notes of the take are never released"
        say "take: midicsv reads $(grep -c Note_on_c "$work/take.csv") note-ons, each one released"
    else
        say "left out: take: midicsv is not installed"
    fi
    if python3 -c 'import mido' 2>/dev/null; then
        python3 - "$take" <<'PYTHON' || failed "mido"
import sys, mido
take = mido.MidiFile(sys.argv[1])
names = [track.name for track in take.tracks]
notes = sum(message.type == "note_on" for track in take.tracks for message in track)
assert notes > 0 and take.length > 1, (notes, take.length)
print(f"recipes: take: mido {mido.version_info.base_version} reads {notes} note-ons of {take.length:.1f} s, tracks {names}")
PYTHON
    else
        say "left out: take: mido is not installed (pip install mido)"
    fi
}

for recipe in "$@"; do
    case $recipe in
        fluidsynth | ardour)
            if ! have jackd || ! have jack_lsp; then
                say "left out: $recipe: jackd and jack_lsp (Debian: jackd2) are not installed"
                continue
            fi
            [ -n "${JACK_DEFAULT_SERVER:-}" ] || serve
            "${recipe}_recipe" ;;
        take) take_recipe ;;
        *) echo "there is no recipe $recipe" >&2; exit 2 ;;
    esac
done
