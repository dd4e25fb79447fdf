#!/usr/bin/env bash
# flood.sh ANTIPHON MODEL CHECK: a keyboard on a raw MIDI device sends thousands of messages a second on 16 channels, with
# running status, to Antiphon on the ALSA sequencer. CHECK is check-midi-debts.awk.
#
# Runs as root in an empty folder on a machine with the sequencer and snd-virmidi. What the sequencer has no room for is
# lost to whoever listens, which must be said; each key that was heard to go down goes up in the take, and of what comes
# afterwards nothing is lost.
# The last line is JSON. Exit status 1 if anything is wrong.
set -euo pipefail
export ANTIPHON_CONFIG=none # the developer's own file says nothing here
antiphon=$1 model=$2 check=$3
keyboard=/dev/snd/midiC0D0
rounds=2             # each strikes and releases all 128 keys of all channels
played=(60 64 67 72) # on channel 2, after the flood

session=flood
# shellcheck source=tests/alsa/daemon.sh
. "$(dirname "$0")/daemon.sh"

said() { grep -q "$1" daemon.log; }
heard_last() { tail -n 5 events.txt | grep '"human_off"' | grep -q "\"key\":${played[3]}\b"; }

"$antiphon" jam --backend alsa --engine embedded --model "$model" --mode listen --json --connect-from 'VirMIDI 0-0' \
    --out AI_generated.mid </dev/null >events.txt 2>daemon.log &
daemon=$!
running=("$daemon")
wait_for 180 "the line 'ready:'" said '^ready:'

# All keys of all channels down and up, with running status, and active sensing in between.
perl -e 'for $c (0 .. 15) { print chr(0x90 | $c); print chr($_), "\x50" for 0 .. 127; print chr($_), "\0" for 0 .. 127;
    print "\xfe" }' >flood.bin
sent=0
began=${EPOCHREALTIME/[.,]/}
for _ in $(seq $rounds); do
    cat flood.bin >$keyboard
    sent=$((sent + 2 * 16 * 128))
    sleep 0.4
done
took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
sleep 3
for key in "${played[@]}"; do
    # shellcheck disable=SC2059  # the bytes are the format
    printf "$(printf '\\x91\\x%02x\\x50\\x91\\x%02x\\x00' "$key" "$key")" >$keyboard
    sleep 0.2
done
wait_for 60 "the last note after the flood" heard_last
kill -TERM "$daemon"
status=0
wait "$daemon" || status=$?
[ $status = 0 ] || fail "antiphon ended with status $status"
running=()

midicsv AI_generated.mid ours.csv || fail "midicsv does not read AI_generated.mid"
awk -f "$check" ours.csv >debts.txt || fail "AI_generated.mid: $(cat debts.txt)"
recorded=$(grep -c 'Note_o' ours.csv) || true
recorded=$((recorded - 2 * ${#played[@]}))
last=$(awk -F' *, *' '$3 == "Note_on_c" && $6 > 0 { print $5 }' ours.csv | tail -n ${#played[@]} | tr '\n' ' ')
[ "$last" = "${played[*]} " ] || fail "the take does not end with what was played after the flood: $last"
# The sequencer keeps so many until they are fetched.
[ "$recorded" -ge 1000 ] || fail "only $recorded of $sent messages are in the take"
said_lost=false
! said '[1-9][0-9]* times the MIDI system lost what came in\|[1-9][0-9]* input messages dropped' || said_lost=true
[ "$recorded" -ge $sent ] || $said_lost || fail "$((sent - recorded)) of $sent messages are missing, and it does not say so"
printf '{"flood_messages":%d,"flood_ms":%d,"recorded":%d,"said_lost":%s}\n' $sent $took "$recorded" $said_lost
