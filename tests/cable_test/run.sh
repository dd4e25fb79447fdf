#!/usr/bin/env bash
# run.sh ANTIPHON MODEL ROUNDS COMMAND...: what Antiphon is attached to goes and comes back, so many times: a keyboard and
# a synth on the ALSA sequencer, in a virtual machine; clients and the server on JACK, which is what COMMAND tests.
# The last line is JSON: what was tried and what was lost. Rounds of what this machine cannot do are 0. Exit status 1 if
# anything was lost.
set -euo pipefail
[ $# -ge 4 ] || { echo "usage: $0 ANTIPHON MODEL ROUNDS COMMAND..." >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
antiphon=$1 model=$2 rounds=$3
shift 3

folder=$(mktemp -d "${TMPDIR:-/tmp}/antiphon-cables.XXXXXX")
trap 'rm -rf "$folder"' EXIT
failed=0
ANTIPHON_CABLE_ROUNDS=$rounds ANTIPHON_CABLE_LINE=$folder/jack "$@" || failed=1
"$here/../alsa/run.sh" "$antiphon" "$model" "$rounds" | tee "$folder/alsa" || failed=1

# Of both lines: counts are added up. The virtual machine is slow, so its times stand apart.
touch "$folder/jack"
sed -n '/^{.*}$/{s/[{}"]//g; y/,/\n/; p}' "$folder/jack" <(grep '^{"alsa_rounds"' "$folder/alsa" | sed 's/_ms_max/_emulated&/g') |
    awk -F: '{ sum[$1] += $2 }
        END {
            names = "alsa_rounds jack_client_rounds jack_server_rounds notes lost_notes stuck_notes not_back"
            names = names " noticed_ms_max back_ms_max noticed_emulated_ms_max back_emulated_ms_max"
            count = split(names, name, " ")
            for (i = 1; i <= count; i++) printf "%s\"%s\":%d", i == 1 ? "{" : ",", name[i], sum[name[i]]
            print "}"
            exit sum["lost_notes"] + sum["stuck_notes"] + sum["not_back"] > 0
        }' || failed=1
exit $failed
