#!/bin/sh
# Prints the Python of a throw-away environment that holds the packages of a requirements file; makes it if need be.
#
# tools/venv.sh NAME REQUIREMENTS
#
# Needs Python 3.11 or later with venv. It lies in ~/.cache/antiphon/NAME, apart from the checkout, is kept for the next
# time, and may be deleted at any moment. Nothing of it belongs to the set-up.
set -eu

folder=${XDG_CACHE_HOME:-$HOME/.cache}/antiphon/$1
requirements=$2
mkdir -p "$folder"
if ! cmp -s "$requirements" "$folder/requirements.txt"; then
    echo "fetching $(grep -v '^#' "$requirements" | tr '\n' ' ')into $folder, once" >&2
    rm -rf "$folder/venv"
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --no-cache-dir -r "$requirements" >&2
    cp "$requirements" "$folder/requirements.txt"
fi
echo "$folder/venv/bin/python"
