#!/usr/bin/env bash
# run.sh ANTIPHON MODEL [CYCLES|sound]: the session on the ALSA sequencer, in a virtual machine that has one; with CYCLES,
# a synth that goes and comes back so often instead; with `sound`, a sound card that goes and comes back.
# Exit status: 0 passed, or left out with a sentence that says why; else failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../../tools
[ $# = 2 ] || [ $# = 3 ] || { echo "usage: $0 ANTIPHON MODEL [CYCLES|sound]" >&2; exit 2; }
absolute() { printf '%s/%s\n' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"; }

left_out() { echo "ALSA: left out: $*"; exit 0; }
[ -e "$2" ] || left_out "there is no $2 (make train)"
for tool in aplaymidi midicsv; do
    command -v $tool >/dev/null || left_out "$tool is not installed (tools/setup.sh --test)"
done

folder=$(mktemp -d "${TMPDIR:-/tmp}/antiphon-alsa.XXXXXX")
status=0
cycles=${3:-0}
if [ "$cycles" = sound ]; then
    cycles=0
    play=("$here/sound.sh" "$(absolute "$1")" "$(absolute "$2")")
elif [ $# = 3 ]; then play=("$here/cables.sh" "$(absolute "$1")" "$(absolute "$2")" "$3")
else play=("$here/session.sh" "$(absolute "$1")" "$(absolute "$2")" "$(absolute "$tools/check-midi-debts.awk")"); fi
ALSA_VM_TIMEOUT=${ALSA_VM_TIMEOUT:-$((900 + 30 * cycles))} "$tools/alsa-vm/run-in-alsa-vm.sh" "$folder" "${play[@]}" ||
    status=$?
case $status in
    0) rm -rf "$folder" ;;
    3) rm -rf "$folder"; left_out "the virtual machine's tools are missing (tools/setup.sh --test)" ;;
    *) echo "ALSA: FAILED with status $status; what was recorded is in $folder"; exit "$status" ;;
esac
