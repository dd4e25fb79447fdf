# check-midi-debts.awk: reads what midicsv printed and says which notes were never released.
#
#   midicsv take.mid | awk -f tools/check-midi-debts.awk
#
# Every note-on must have its note-off later in the same track, on the same channel and key. A note-on with velocity 0
# is a note-off. Exit status 1 if a note is owed, or if there is no note at all.

BEGIN { FS = " *, *" }

$3 == "Note_on_c" && $6 > 0 {
    notes++
    owed[$1 " " $4 " " $5]++
    since[$1 " " $4 " " $5] = $2
}

$3 == "Note_off_c" || ($3 == "Note_on_c" && $6 == 0) {
    note = $1 " " $4 " " $5
    if (owed[note] > 0) owed[note]--
    else stray++
}

END {
    for (note in owed) if (owed[note] > 0) {
        split(note, part, " ")
        printf "track %d, channel %d, key %d: struck at tick %d and never released\n", part[1], part[2], part[3], since[note]
        debts += owed[note]
    }
    printf "%d notes, %d never released, %d released without being struck\n", notes, debts, stray
    exit (debts > 0 || notes == 0)
}
