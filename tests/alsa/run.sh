#!/usr/bin/env bash
# run.sh ANTIPHON MODEL [ROUNDS|sound]: the session on the ALSA sequencer, in a virtual machine that has one, cables that
# are pulled, and a flood; with ROUNDS only the cables, so often; with `sound`, a sound card that goes and comes back.
# Exit status: 0 passed, or left out with a sentence that says why; else failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../../tools
[ $# = 2 ] || [ $# = 3 ] || { echo "usage: $0 ANTIPHON MODEL [ROUNDS|sound]" >&2; exit 2; }
absolute() { printf '%s/%s\n' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"; }

left_out() { echo "ALSA: left out: $*"; exit 0; }
[ -e "$2" ] || left_out "there is no $2 (make train)"
for tool in aplaymidi midicsv; do
    command -v $tool >/dev/null || left_out "$tool is not installed (tools/setup.sh --test)"
done

folder=$(mktemp -d "${TMPDIR:-/tmp}/antiphon-alsa.XXXXXX")
status=0
antiphon=$(absolute "$1") model=$(absolute "$2") check=$(absolute "$tools/check-midi-debts.awk")
case ${3:-} in
    sound) rounds=0 play=("$here/sound.sh" "$antiphon" "$model") ;;
    ?*) rounds=$3 play=("$here/cables.sh" "$antiphon" "$model" "$rounds" "$check") ;;
    *) rounds=2 play=("$here/all.sh" "$antiphon" "$model" "$check") ;;
esac
ALSA_VM_TIMEOUT=${ALSA_VM_TIMEOUT:-$((900 + 30 * rounds))} "$tools/alsa-vm/run-in-alsa-vm.sh" "$folder" "${play[@]}" ||
    status=$?
case $status in
    0) rm -rf "$folder" ;;
    3) rm -rf "$folder"; left_out "the virtual machine's tools are missing (tools/setup.sh --test)" ;;
    *) echo "ALSA: FAILED with status $status; what was recorded is in $folder"; exit "$status" ;;
esac
