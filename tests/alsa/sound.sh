#!/usr/bin/env bash
# sound.sh ANTIPHON MODEL: `antiphon jam --synth` on a sound card that is pulled out and put back, at another rate.
#
# The card is ALSA's loopback: what is played on its first device is recorded on its second, and both have one rate. Pulled out and put back it is
# by its driver, which is what happens to a USB card. Runs as root, on a machine with snd-aloop.
set -euo pipefail
export ANTIPHON_CONFIG=none # the developer's own file says nothing here
antiphon=$1 model=$2
driver=/sys/bus/platform/drivers/snd_aloop

daemon=
# shellcheck disable=SC2317  # called by trap
clean_up() { [ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null || true; }
trap clean_up EXIT

fail() {
    echo "sound: FAILED: $*"
    [ ! -s daemon.log ] || sed 's/^/  antiphon: /' daemon.log
    exit 1
}

# wait_for SECONDS TEXT: until the daemon has said it.
wait_for() {
    local limit=$((SECONDS + $1))
    until grep -q "$2" daemon.log; do
        kill -0 "$daemon" 2>/dev/null || fail "antiphon ended while waiting for '$2'"
        [ $SECONDS -lt $limit ] || fail "waited in vain for '$2'"
        sleep 0.2
    done
}

# The default device is the loopback's first.
plug_in() { echo "pcm.!default { type hw card Loopback device 0 }" >alsa.conf; }

# listen RATE: begins to record, at that rate; then the card has no other.
listen() {
    arecord -q -D hw:CARD=Loopback,DEV=1 -t raw -f FLOAT_LE -c 2 -r "$1" heard.raw &
    ear=$!
    local limit=$((SECONDS + 30))
    until grep -qs RUNNING /proc/asound/Loopback/pcm1c/sub0/status; do
        [ $SECONDS -lt $limit ] || fail "nothing can be recorded"
        sleep 0.2
    done
}

# hears RATE HERTZ WHAT: the last of four seconds is held against HERTZ: how far apart waves begin, at the median.
hears() {
    sleep 4
    kill -INT "$ear"
    wait "$ear" || true
    # Gently: the processor is emulated, and the card must be served.
    # shellcheck disable=SC2016  # awk's own variables
    tail -c $((8 * $1)) heard.raw | nice od -An -v -tf4 -w8 | nice awk -v rate="$1" -v hertz="$2" -v what="$3" '
        { now = $1; if (now < -0.005) below = 1
          if (below && before < 0 && now >= 0) {
              begin = NR + before / (before - now)
              if (last) lengths[n++] = begin - last
              last = begin; below = 0
          }
          before = now; if (now > loudest) loudest = now }
        END {
            for (i = 1; i < n; i++) for (j = i; j > 0 && lengths[j] < lengths[j - 1]; j--) {
                swap = lengths[j]; lengths[j] = lengths[j - 1]; lengths[j - 1] = swap
            }
            heard = n < 20 ? 0 : rate / lengths[int(n / 2)]
            printf "sound: %s: loudest %.3f, pitch %.1f Hz instead of %.1f\n", what, loudest, heard, hertz
            exit !(heard > 0.985 * hertz && heard < 1.015 * hertz)
        }' || fail "out of tune"
}

cd "$(mktemp -d)" # in memory: the shared folder is slow
[ -e $driver/snd_aloop.0 ] || { echo "sound: left out: there is no loopback card (snd-aloop)"; exit 0; }

# The A below middle C over and over, bent up a whole tone once for all, so that a B flat short of B is heard: 246.9 Hz.
{
    printf '%s\n' '0, 0, Header, 0, 1, 480' '1, 0, Start_track' '1, 0, Pitch_bend_c, 0, 16383'
    for ((note = 0; note < 2000; note++)); do
        printf '1, %d, Note_on_c, 0, 57, 70\n1, %d, Note_off_c, 0, 57, 64\n' $((note * 480)) $((note * 480 + 400))
    done
    printf '%s\n' "1, $((note * 480)), End_track" '0, 0, End_of_file'
} >song.csv
csvmidi song.csv song.mid

plug_in
listen 48000
ALSA_CONFIG_PATH=$PWD/alsa.conf "$antiphon" jam --backend none --engine embedded --model "$model" --mode listen --no-http \
    --input song.mid --synth --soundfont built-in --audio-frames 2048 --out take.mid </dev/null >daemon.log 2>&1 &
daemon=$!
wait_for 180 '^ready:'
wait_for 1 '^sound: .* 48000 Hz'
hears 48000 246.9 "at first"

rm alsa.conf
# It waits until the card is let go.
echo snd_aloop.0 >$driver/unbind &
wait_for 60 'no sound: .* has gone'
wait $!
sleep 5
kill -0 "$daemon" || fail "antiphon ended with the card"
echo snd_aloop.0 >$driver/bind
listen 44100
plug_in
wait_for 60 'sound: again on .* 44100 Hz'
hears 44100 246.9 "when it is back"
[ "$(grep -c 'no sound:' daemon.log)" = 1 ] || fail "not said once"

kill -INT "$daemon"
wait "$daemon" || fail "antiphon ended with status $?"
daemon=
grep -q '1 times the sound device has gone' daemon.log || fail "not counted"
grep '^sound:' daemon.log | tail -n 1
echo "sound: passed"
