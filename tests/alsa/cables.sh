#!/usr/bin/env bash
# cables.sh ANTIPHON MODEL ROUNDS CHECK: a keyboard and a synth that go and come back on the ALSA sequencer while
# Antiphon plays. CHECK is check-midi-debts.awk.
#
# Runs as root in an empty folder on a machine with the sequencer and snd-virmidi. The keyboard is a raw MIDI device whose
# driver is taken away from it, as when a plug is pulled: midir's input is silent then, without an error. It is pulled
# with a key held, which must go up in the take and, passed on, at the synth. The synth is aseqdump, which is killed with
# notes sounding; it comes back under the same number or another, and those notes must be released then. Neither is there
# at the beginning. Nothing is asserted about how long things take, because the machine may be emulated.
# The last line is JSON: what was tried and what was lost. Exit status 1 if anything was.
set -euo pipefail
export ANTIPHON_CONFIG=none # the developer's own file says nothing here
antiphon=$1 model=$2 rounds=$3 check=$4
driver=/sys/bus/platform/drivers/snd_virmidi device=snd_virmidi.0 keyboard=/dev/snd/midiC0D0
played=(60 64 67 72) held=36 # on channel 2; Antiphon plays on channel 1

running=()
# shellcheck disable=SC2317  # called by trap
clean_up() { for process in "${running[@]}"; do kill -KILL "$process" 2>/dev/null || true; done; }
trap clean_up EXIT

round=0 stuck=0 not_back=0 noticed=0 back=0 recorded=0 owed=''
figures() {
    printf '{"alsa_rounds":%d,"notes":%d,"lost_notes":%d,"stuck_notes":%d,"not_back":%d,"noticed_ms_max":%d,"back_ms_max":%d}\n' \
        "$round" "$recorded" "$1" "$stuck" "$not_back" "$noticed" "$back"
}
fail() {
    echo "ALSA cables: FAILED (round $round): $*"
    sed 's/^/  antiphon: /' daemon.log
    figures 0
    exit 1
}

# Waiting without starting a program, which takes its time where the machine is emulated.
exec {nothing}<> <(:)
pause() { read -rt "$1" -u "$nothing" || true; }

# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds; how long that took is in `took`, in milliseconds.
wait_for() {
    local begun=${EPOCHREALTIME/[.,]/} limit=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        kill -0 "$daemon" 2>/dev/null || fail "antiphon ended while waiting for $what"
        [ $SECONDS -lt $limit ] || { not_back=$((not_back + 1)); fail "waited in vain for $what"; }
        pause 0.02
    done
    took=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
}

# said PATTERN: whether the daemon has said that in this round. Only what is new is read, so that looking takes no longer the
# longer it lasts.
lines=() half=''
said() {
    local line
    while IFS= read -r line <&"$log"; do lines+=("$half$line") half=''; done
    half+=$line # what there is of a line that is being written
    for line in "${lines[@]}"; do if [[ $line =~ $1 ]]; then return 0; fi; done
    return 1
}
# heard TIMES PATTERN: whether the synth has heard that so often, in `counted`.
heard() {
    local all line
    mapfile -t all <heard.txt
    counted=0
    for line in "${all[@]}"; do if [[ $line =~ $2 ]]; then counted=$((counted + 1)); fi; done
    [ "$counted" -ge "$1" ]
}
is_there() { aconnect -l | grep -q "'$1"; }
longest() { [ "$took" -le "${!1}" ] || printf -v "$1" %d "$took"; }

# The keys that sound as the synth has heard it, as CHANNEL/KEY.
sounding() {
    awk '/Note o/ { gsub(",", ""); for (i = 2; i < NF; i++) if ($i == "note") key = $(i - 1) "/" $(i + 1)
                    if (/Note on/) sounds[key] = 1; else delete sounds[key] }
         END { for (key in sounds) print key }' heard.txt
}
# Whether the synth has heard the releases of all that is owed.
is_released() {
    local note
    for note in $owed; do heard 1 "Note off +${note%/*}, note ${note#*/}," || return 1; done
}

synth_comes() {
    stdbuf -oL aseqdump </dev/null >heard.txt & synth=$!
    running+=("$synth")
}
plug() { echo $device >$driver/bind; }
unplug() { echo $device >$driver/unbind; }
strike() { # KEY VELOCITY...
    local bytes=''
    while [ $# -gt 0 ]; do bytes+=$(printf '\\x91\\x%02x\\x%02x' "$1" "$2"); shift 2; done
    # shellcheck disable=SC2059  # the bytes are the format
    printf "$bytes" >$keyboard
}
phrase=()
for key in "${played[@]}"; do phrase+=("$key" 80 "$key" 0); done

[ ! -e $driver/$device ] || unplug
: >daemon.log
exec {log}<daemon.log
"$antiphon" jam --backend alsa --engine embedded --model "$model" --seed 7 --mode solo --set thru=on \
    --connect-from 'VirMIDI 0-0' --connect-to aseqdump --out AI_generated.mid </dev/null >daemon.log 2>&1 &
daemon=$!
running=("$daemon")
wait_for 180 "the line 'ready:'" said '^ready:'
for missing in 'VirMIDI 0-0' aseqdump; do
    said "$missing is not there yet" || fail "it does not say that $missing is missing"
done

for round in $(seq "$rounds"); do
    lines=()
    # Every other time somebody else has taken the synth's number meanwhile.
    other=
    if [ $((round % 2)) = 0 ]; then
        arecordmidi -p 14:0 other.mid </dev/null & other=$!
        running+=("$other")
        wait_for 60 "another client" is_there arecordmidi
    fi
    synth_comes
    wait_for 60 "the synth" said 'aseqdump:aseqdump.* is (attached|back)'
    longest back
    [ -z "$other" ] || kill -INT "$other"
    is_released || pause 1
    is_released || { stuck=$((stuck + 1)); echo "round $round: not all of these were released: $owed"; }

    plug
    wait_for 60 "the keyboard" said 'VirMIDI 0-0.* is (attached|back)'
    longest back
    wait_for 120 "notes" heard 3 'Note on +0,'
    strike "${phrase[@]}" $held 80
    wait_for 60 "the key that is held" heard 1 "Note on +1, note $held,"
    heard 0 'Note on +0,'
    so_far=$counted
    unplug
    wait_for 60 "word that the keyboard has gone" said 'VirMIDI 0-0.* has gone'
    longest noticed
    wait_for 60 "the held key's release" heard 1 "Note off +1, note $held,"
    wait_for 120 "an answer though the key never went up" heard $((so_far + 2)) 'Note on +0,'

    kill -KILL "$synth"
    owed=$(sounding)
    wait_for 60 "word that the synth has gone" said 'aseqdump:aseqdump.* has gone'
    longest noticed
done
synth_comes
wait_for 120 "notes at last" heard 3 'Note on +0,'
kill -TERM "$daemon"
status=0
wait "$daemon" || status=$?
[ $status = 0 ] || fail "antiphon ended with status $status"
pause 1
kill -INT "$synth"
plug

left=$(sounding)
[ -z "$left" ] || { stuck=$((stuck + $(wc -w <<<"$left"))); echo "never released: $left"; }
numbers=$(grep -o 'aseqdump:aseqdump [0-9:]* is' daemon.log | sort -u | wc -l)
[ "$numbers" -ge 2 ] || [ "$rounds" -lt 2 ] || fail "the synth had the same number each time"
midicsv AI_generated.mid ours.csv || fail "midicsv does not read AI_generated.mid"
awk -f "$check" ours.csv >debts.txt || fail "AI_generated.mid: $(cat debts.txt)"
recorded=$(grep -c 'Note_on_c' ours.csv)
# What the human played, each key with the next thing that happened to it: the held key goes up before anything else.
awk -F' *, *' -v held=$held '$3 == "Note_on_c" && $4 == 1 && $6 > 0 { print "+" $5 }
    $4 == 1 && $5 == held && ($3 == "Note_off_c" || $3 == "Note_on_c" && $6 == 0) { print "-" held }' ours.csv >human.txt
for _ in $(seq "$rounds"); do printf '+%s\n' "${played[@]}" $held; echo "-$held"; done >wanted.txt
lost=$(($(wc -l <wanted.txt) - $(wc -l <human.txt)))
figures $((lost < 0 ? 0 : lost))
cmp -s wanted.txt human.txt || fail "the take does not have what was played: $(tr '\n' ' ' <human.txt)"
[ $stuck = 0 ]
