#!/usr/bin/env bash
# all.sh ANTIPHON MODEL CHECK: what is played on the ALSA sequencer in each test run, one after the other, each in a folder of
# its own below this one: a session, cables that are pulled twice, a flood.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
antiphon=$1 model=$2 check=$3
in_folder() { mkdir "$1" && (cd "$1" && shift && "$@"); }
in_folder session "$here/session.sh" "$antiphon" "$model" "$check"
in_folder cables "$here/cables.sh" "$antiphon" "$model" 2 "$check"
in_folder flood "$here/flood.sh" "$antiphon" "$model" "$check"
