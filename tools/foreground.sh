#!/usr/bin/env bash
# foreground.sh COMMAND [ARG...]: runs COMMAND so that Ctrl-C reaches it alone.
#
# `make` ends itself with an error when Ctrl-C reaches it too, however well the program that it runs has stopped. With
# a terminal, COMMAND therefore gets a process group of its own, and the terminal for as long as it runs. Without one it
# takes the place of this script, so that signals reach it directly. The exit status is COMMAND's.
set -eu
if [ -t 0 ] && [ -t 2 ]; then
    set -m # each command in a group of its own, which has the terminal while it runs
    "$@"
else
    exec "$@"
fi
