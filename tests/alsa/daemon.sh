# shellcheck shell=bash
# What sessions on the ALSA sequencer have in common: who was started is ended, and what the daemon does is waited for.
# Sourced; `session` names the session for a failure, `daemon` is the daemon's process, daemon.log what it says.

running=()
# shellcheck disable=SC2317  # called by trap
clean_up() { for process in "${running[@]}"; do kill -KILL "$process" 2>/dev/null || true; done; }
trap clean_up EXIT

fail() {
    # shellcheck disable=SC2154  # set by whoever sources this
    echo "ALSA: FAILED ($session): $*"
    [ ! -s daemon.log ] || sed 's/^/  antiphon: /' daemon.log
    exit 1
}

# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds.
wait_for() {
    local limit=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        # shellcheck disable=SC2154
        kill -0 "$daemon" 2>/dev/null || fail "antiphon ended while waiting for $what"
        [ $SECONDS -lt $limit ] || fail "waited in vain for $what"
        sleep 0.2
    done
}
