#!/usr/bin/env bash
# cables.sh ANTIPHON MODEL CYCLES: a synth that goes and comes back on the ALSA sequencer while Antiphon plays to it.
#
# Runs in an empty folder on a machine with the sequencer. The synth is aseqdump, which is killed with notes sounding: its
# client comes back under the same number or another. Each time Antiphon must say that it has gone and that it is back,
# and be heard again, having released first what sounded. Nothing is asserted about how long things take, because the
# machine may be emulated.
set -euo pipefail
export ANTIPHON_CONFIG=none # the developer's own file says nothing here
antiphon=$1 model=$2 cycles=$3

running=()
# shellcheck disable=SC2317  # called by trap
clean_up() { for process in "${running[@]}"; do kill -KILL "$process" 2>/dev/null || true; done; }
trap clean_up EXIT

fail() {
    echo "ALSA cables: FAILED (cycle $cycle): $*"
    sed 's/^/  antiphon: /' daemon.log
    exit 1
}

# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds.
wait_for() {
    local limit=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        kill -0 "$daemon" 2>/dev/null || fail "antiphon ended while waiting for $what"
        [ $SECONDS -lt $limit ] || fail "waited in vain for $what"
        sleep 0.1
    done
}
# said TIMES TEXT: whether the daemon has said that so often.
said() { [ "$(grep -c "aseqdump:aseqdump.* $2" daemon.log)" -ge "$1" ]; }
is_there() { aconnect -l | grep -q "'$1"; }
sounds() { [ "$(grep -c 'Note on' heard.txt)" -ge 3 ]; }
# The keys that were struck last and not released, as aseqdump heard it.
stuck() {
    awk '/Note o/ { gsub(",", ""); for (i = 1; i < NF; i++) if ($i == "note") key = $(i + 1)
                    if (/Note on/) sounds[key] = 1; else delete sounds[key] }
         END { for (key in sounds) print key }' heard.txt | tr '\n' ' '
}

cycle=0
"$antiphon" jam --backend alsa --engine embedded --model "$model" --seed 7 --mode solo --connect-to aseqdump \
    --out AI_generated.mid </dev/null >daemon.log 2>&1 &
daemon=$!
running=("$daemon")
wait_for 180 "the line 'ready:'" grep -q '^ready:' daemon.log
grep -q 'aseqdump is not there yet' daemon.log || fail "it does not say that the port is missing"
for cycle in $(seq "$cycles"); do
    # Every other time somebody else has taken the synth's number meanwhile.
    other=
    if [ $((cycle % 2)) = 0 ]; then
        arecordmidi -p 14:0 other.mid </dev/null & other=$!
        running+=("$other")
        wait_for 60 "another client" is_there arecordmidi
    fi
    stdbuf -oL aseqdump </dev/null >heard.txt & synth=$!
    running+=("$synth")
    if [ "$cycle" = 1 ]; then wait_for 60 "the synth to be attached" said 1 "is attached"
    else wait_for 60 "the synth to be back" said $((cycle - 1)) "is back"; fi
    [ -z "$other" ] || kill -INT "$other"
    wait_for 120 "notes" sounds
    kill -KILL "$synth"
    wait_for 60 "word that the synth has gone" said "$cycle" "has gone"
done
stdbuf -oL aseqdump </dev/null >heard.txt & synth=$!
running+=("$synth")
wait_for 120 "notes at last" sounds
kill -TERM "$daemon"
status=0
wait "$daemon" || status=$?
[ $status = 0 ] || fail "antiphon ended with status $status"
sleep 1
kill -INT "$synth"
left=$(stuck)
numbers=$(grep -o 'aseqdump:aseqdump [0-9:]* is' daemon.log | sort -u | wc -l)
[ "$numbers" -ge 2 ] || [ "$cycles" -lt 2 ] || fail "the synth had the same number each time"
midicsv AI_generated.mid ours.csv || fail "midicsv does not read AI_generated.mid"
# `lost`: times that Antiphon did not notice, or did not come back.
printf '{"alsa_cycles":%d,"lost":%d,"stuck_notes":%d,"numbers":%d,"recorded_notes":%d}\n' "$cycle" \
    $((2 * cycle - $(grep -c -e 'has gone; waiting' -e 'is back' daemon.log))) \
    "$(wc -w <<<"$left")" "$numbers" "$(grep -c 'Note_on_c' ours.csv)"
[ -z "$left" ] || fail "these keys were never released: $left"
