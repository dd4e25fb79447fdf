#!/usr/bin/env bash
# session.sh ANTIPHON MODEL CHECK: plays to `antiphon jam` over the ALSA sequencer and judges the answer.
#
# Runs in an empty folder on a machine with the sequencer. The player, the recorder and the reader are ALSA's own tools
# and midicsv; CHECK is check-midi-debts.awk. Three sessions: one over "Midi Through", so that phrase and answer are
# recorded on one clock, ended by SIGTERM; one straight into the port, ended by SIGINT; and one into which a SysEx
# message of 100 kB comes in parts while somebody else plays. Nothing is asserted about how long things take, because the
# machine may be emulated.
set -euo pipefail
export ANTIPHON_CONFIG=none # the developer's own file says nothing here
antiphon=$1 model=$2 check=$3
phrase=$(dirname "$0")/phrase.csv
through=14:0   # "Midi Through Port-0", which the kernel has
notes_wanted=4 # of the answer, before the session is ended

# shellcheck source=tests/alsa/daemon.sh
. "$(dirname "$0")/daemon.sh"

# port NAME: the address of the port with that name, as client:port; status 1 while there is none.
port() {
    aconnect -l | awk -v name="$1" -F"'" '
        /^client / { split($1, word, "[ :]+"); client = word[2] }
        /^ +[0-9]/ { sub(/ +$/, "", $2); if ($2 == name) { print client ":" $1 + 0; found = 1; exit } }
        END { exit !found }'
}
ports_are_there() { input=$(port "Antiphon In") && output=$(port "Antiphon Out"); }
answer_sounds() { [ "$(grep -c 'Note on' heard.txt)" -ge $notes_wanted ]; }
daemon_has_ended() { ! kill -0 "$daemon" 2>/dev/null; }

# keys FILE.csv TRACK: the keys of the note-ons, in order.
keys() { awk -F' *, *' -v track="$2" '$1 == track && $3 == "Note_on_c" && $6 > 0 {print $5}' "$1"; }
sorted() { sort -n | tr '\n' ' '; }

# begin SEED: starts the daemon and those who listen to it.
begin() {
    rm -f AI_generated*.mid heard.txt recorded.mid
    "$antiphon" jam --backend alsa --engine "${ENGINE:-embedded}" --model "$model" --seed "$1" \
        --out AI_generated.mid </dev/null >daemon.log 2>&1 &
    daemon=$!
    running=("$daemon")
    wait_for 180 "the ports" ports_are_there
    wait_for 60 "the line 'ready:'" grep -q '^ready:' daemon.log
    aseqdump -p "$output" </dev/null >heard.txt &
    listener=$!
    running+=("$listener")
}

# end SIGNAL: stops the daemon while its answer sounds, then those who listen.
end() {
    local status=0 limit=$((SECONDS + 30))
    kill "-$1" "$daemon"
    until daemon_has_ended; do
        [ $SECONDS -lt $limit ] || fail "antiphon did not end within 30 s of SIG$1"
        sleep 0.1
    done
    wait "$daemon" || status=$?
    [ $status = 0 ] || fail "antiphon ended with status $status after SIG$1"
    sleep 1
    kill -INT "$listener" ${recorder:+"$recorder"}
    wait "$listener" ${recorder:+"$recorder"} || true
    running=()
}

# judge: AI_generated.mid has the phrase's keys in one track, the answer's in another, and nothing is owed.
judge() {
    local track human='' answer='' wanted heard
    midicsv AI_generated.mid ours.csv || fail "midicsv does not read AI_generated.mid"
    awk -f "$check" ours.csv >debts.txt || fail "AI_generated.mid: $(cat debts.txt)"
    wanted=$(keys phrase.csv 1 | tr '\n' ' ')
    heard=$(awk '/Note on/ { gsub(",", ""); for (i = 1; i < NF; i++) if ($i == "note") note = $(i + 1)
                             if ($NF > 0) print note }' heard.txt | sorted)
    awk -F' *, *' '$3 == "Note_on_c" {print $1}' ours.csv | sort -nu >tracks.txt
    while read -r track; do
        if [ "$(keys ours.csv "$track" | tr '\n' ' ')" = "$wanted" ]; then human=$track
        elif [ "$(keys ours.csv "$track" | sorted)" = "$heard" ]; then answer=$track
        else fail "track $track has neither the phrase ($wanted) nor the answer ($heard): $(keys ours.csv "$track" | sorted)"; fi
    done <tracks.txt
    [ -n "$human" ] || fail "no track has the phrase ($wanted)"
    [ -n "$answer" ] || fail "no track has the answer ($heard)"
    grep -q ', Tempo,' ours.csv || fail "AI_generated.mid has no tempo"
    grep -q ', Marker_t,' ours.csv || fail "AI_generated.mid has no marker"
    answered=$(keys ours.csv "$answer" | wc -l)
}

cp "$phrase" phrase.csv
csvmidi phrase.csv phrase.mid

session="through a cable, SIGTERM"
begin 7
aconnect $through "$input"
arecordmidi -p "$through,$output" -t 480 recorded.mid </dev/null &
recorder=$!
running+=("$recorder")
sleep 1
aplaymidi -p $through -d 0 phrase.mid
wait_for 180 "$notes_wanted notes of an answer" answer_sounds
end TERM
judge
first_session=$answered
# The recorder has one clock for both: track 1 is the cable with the phrase, track 2 the answer.
midicsv recorded.mid recorded.csv || fail "midicsv does not read what arecordmidi recorded"
awk -f "$check" recorded.csv >debts.txt || fail "recorded by arecordmidi: $(cat debts.txt)"
awk -F' *, *' '
    $3 == "Note_off_c" || ($3 == "Note_on_c" && $6 == 0) { last_off[$1] = $2 }
    $3 == "Note_on_c" && $6 > 0 { notes[$1]++; if (!($1 in first_on)) first_on[$1] = $2 }
    END {
        for (track in notes) if (phrase == "" || first_on[track] < first_on[phrase]) phrase = track
        for (track in notes) if (track != phrase) { answer = track; tracks++ }
        if (tracks != 1) { print "notes in " tracks + 1 " tracks instead of 2"; exit 1 }
        if (first_on[answer] <= last_off[phrase]) {
            print "the answer begins at tick " first_on[answer] ", the phrase ends at tick " last_off[phrase]; exit 1
        }
    }' recorded.csv >order.txt || fail "$(cat order.txt)"

session="straight into the port, SIGINT"
recorder=
begin 11
status=0
"$antiphon" jam --backend alsa --engine embedded --model "$model" --out second.mid </dev/null >second.log 2>&1 || status=$?
[ $status = 13 ] || fail "a second one of the same name ended with status $status: $(cat second.log)"
grep -q "process $daemon is called" second.log || fail "it does not say who has the name: $(cat second.log)"
aplaymidi -p "$input" -d 0 phrase.mid
wait_for 180 "$notes_wanted notes of an answer" answer_sounds
"$antiphon" jam --backend alsa --engine embedded --model "$model" --name Left --out left.mid --http 0 </dev/null \
    >left.log 2>&1 &
left=$!
running+=("$left")
wait_for 180 "another one of another name" grep -q '^ready:' left.log
grep -q '^listening to: Left In' left.log || fail "its ports are not called after it: $(cat left.log)"
kill -TERM "$left"
# 130: an end in order took more than 20 s, which two at once do where the machine is emulated and busy.
wait "$left" || [ $? = 130 ] || fail "the one of another name did not end as it should: $(cat left.log)"
end INT
judge

session="SysEx of one, notes of another"
# aplaymidi sends such a message in parts of three kB, with a second between them.
awk 'BEGIN { print "0, 0, Header, 0, 1, 480"; print "1, 0, Start_track"
             printf "1, 0, System_exclusive, 100001"
             for (i = 0; i < 100000; i++) printf ", %d", (i * 7 + int(i / 128)) % 128
             print ", 247"
             print "1, 480, End_track"; print "0, 0, End_of_file" }' >dump.csv
csvmidi dump.csv dump.mid
rm -f AI_generated*.mid
"$antiphon" jam --backend alsa --engine embedded --model "$model" --mode listen --json --out AI_generated.mid \
    </dev/null >events.txt 2>daemon.log &
daemon=$!
running=("$daemon")
wait_for 180 "the ports" ports_are_there
wait_for 60 "the line 'ready:'" grep -q '^ready:' daemon.log
aplaymidi -p "$input" -d 0 dump.mid &
dump=$!
running+=("$dump")
sleep 2
aplaymidi -p "$input" -d 0 phrase.mid
notes=$(keys phrase.csv 1 | wc -l)
notes_came() { [ "$(grep -c '"human_on"' events.txt)" -ge "$notes" ]; }
wait_for 20 "the notes" notes_came
kill -0 "$dump" 2>/dev/null || fail "the SysEx message was over before the notes had been heard"
wait "$dump" || fail "aplaymidi ended with status $?"
kill -TERM "$daemon"
wait "$daemon" || fail "antiphon ended with status $?"
running=()
midicsv AI_generated.mid ours.csv || fail "midicsv does not read AI_generated.mid"
# awk would take minutes for a line of 100 kB.
dumped() { grep ', System_exclusive, ' "$1" | cut -d, -f4-; }
[ "$(dumped ours.csv)" = "$(dumped dump.csv)" ] || fail "the SysEx message is not what was sent: $(dumped ours.csv | wc -c) bytes of text instead of $(dumped dump.csv | wc -c)"
grep -v ', System_exclusive, ' ours.csv >notes.csv
track=$(awk -F' *, *' '$3 == "Note_on_c" {print $1; exit}' notes.csv)
[ "$(keys notes.csv "$track")" = "$(keys phrase.csv 1)" ] || fail "the notes in between are not the phrase's"

echo "ALSA: ok, two sessions with $first_session and $answered notes of answer, every note \
released; 100 kB of SysEx kept, and $notes notes in between heard before its end"
