#!/usr/bin/env bash
# Renders every mid_songs/*/NAME.abc to NAME.mid beside it with abc2midi.
#
#   tools/render-songs.sh           render all
#   tools/render-songs.sh --check   render to a temporary folder and compare
#
# Needs abc2midi (Debian and Ubuntu package "abcmidi"). Any warning or error
# that abc2midi reports, such as a bar of the wrong length, fails the script.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
songs="$here/mid_songs"

check=0
case "${1:-}" in
    "") ;;
    --check) check=1 ;;
    *)
        echo "usage: tools/render-songs.sh [--check]" >&2
        exit 2
        ;;
esac

if ! command -v abc2midi >/dev/null 2>&1; then
    echo "abc2midi was not found: install the package 'abcmidi' to render the songs." >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
count=0
shopt -s nullglob
for abc in "$songs"/*/*.abc; do
    count=$((count + 1))
    name=${abc#"$songs"/}
    mid="${abc%.abc}.mid"
    out="$work/out.mid"
    rm -f "$out"
    # Run from the score's own folder, so that no path of this machine is
    # written into the file or the messages.
    if ! log=$(cd "$(dirname "$abc")" && abc2midi "$(basename "$abc")" -o "$out" 2>&1); then
        echo "$name: abc2midi failed" >&2
        printf '%s\n' "$log" >&2
        failed=1
        continue
    fi
    if problems=$(printf '%s\n' "$log" | grep -iE 'warning|error'); then
        echo "$name: abc2midi reported problems" >&2
        printf '%s\n' "$problems" >&2
        failed=1
        continue
    fi
    if [ ! -s "$out" ]; then
        echo "$name: abc2midi wrote nothing" >&2
        failed=1
        continue
    fi
    if [ "$check" -eq 1 ]; then
        if ! cmp -s "$out" "$mid"; then
            echo "$name: the .mid differs from its score (run tools/render-songs.sh)" >&2
            failed=1
        fi
    else
        cp "$out" "$mid"
    fi
done

if [ "$count" -eq 0 ]; then
    echo "no .abc file under mid_songs/" >&2
    exit 1
fi
if [ "$failed" -ne 0 ]; then
    echo "some songs are not in order, see above" >&2
    exit 1
fi
echo "$count songs in order"
