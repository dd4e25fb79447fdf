#!/usr/bin/env bash
# setup.sh [--test]: makes this machine ready to build Antiphon; with --test also ready for every test.
#
# Debian and Ubuntu: installs what is missing with apt (as root or through sudo). macOS and Windows: nothing is needed.
# Other Linux: names the packages. Safe to run again at any time: with all there it takes a moment and asks nobody.
# Exit status: 0 ready (what is optional and left out is named), 1 something that the build needs is missing.
set -euo pipefail
tools=$(cd "$(dirname "$0")" && pwd)

for_tests=no
case "${1-}" in
    '') ;;
    --test) for_tests=yes ;;
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "usage: $0 [--test]" >&2; exit 2 ;;
esac

say() { printf 'setup: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

if ! have cargo; then
    say "cargo is not here: install Rust (rustup, version 1.91 or newer), then run this again"
    exit 1
fi

# --- macOS, Windows: the MIDI drivers come with the system --------------------------------------------------------
case "$(uname -s)" in
    Darwin)
        say "macOS: nothing to install, CoreMIDI is part of the system"
        [ $for_tests = no ] || have midicsv || say "left out: the checks with midicsv (brew install midicsv abcmidi)"
        [ $for_tests = no ] || "$tools/get-onnxruntime.sh" || say "left out: ONNX Runtime; the built-in engine is used"
        exit 0 ;;
    MINGW* | MSYS* | CYGWIN*) say "Windows: nothing to install, WinMM is part of the system"; exit 0 ;;
    Linux) ;;
    *) say "$(uname -s) is not known here; the build needs what the crate midir needs"; exit 0 ;;
esac

# --- Linux without apt: name the packages -------------------------------------------------------------------------
if ! have dpkg-query || ! have apt-get; then
    if have pkg-config && pkg-config --exists alsa; then
        pkg-config --exists jack || say "left out: JACK and PipeWire ports (no jack.pc; install JACK's development package)"
        say "ready"
        exit 0
    fi
    say "this Linux has no apt; install these packages, then run this again:"
    say "  Fedora:    alsa-lib-devel pipewire-jack-audio-connection-kit-devel pkgconf-pkg-config gcc"
    say "  openSUSE:  alsa-devel libjack-devel pkgconf-pkg-config gcc"
    say "  Arch:      alsa-lib jack2 (or pipewire-jack) pkgconf gcc"
    say "  Alpine:    alsa-lib-dev jack-dev pkgconf gcc musl-dev"
    say "  otherwise: the development files of ALSA and JACK, pkg-config and a C compiler"
    exit 1
fi

# --- Debian, Ubuntu -----------------------------------------------------------------------------------------------

# Prints those of the named packages that are not installed.
missing() {
    local installed
    # shellcheck disable=SC2016  # the ${...} are dpkg-query's own
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
    for package in "$@"; do
        grep -qx "installed $package" <<<"$installed" || printf '%s ' "$package"
    done
}

# Runs apt-get with the rights it needs; a password is asked for only where somebody can type one.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif [ -t 0 ] && [ -t 2 ]; then sudo "$@"; else sudo -n "$@"; fi
}
rights=unknown
may_install() {
    if [ $rights = unknown ]; then
        if [ "$(id -u)" = 0 ]; then rights=yes
        elif ! have sudo; then rights=no
        elif [ -t 0 ] && [ -t 2 ] || sudo -n true 2>/dev/null; then rights=yes
        else rights=no; fi
    fi
    [ $rights = yes ]
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
updated=no
apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1; }

# install WHAT-FOR PACKAGE...: installs what is missing of these, in one go. Status 1: they are still missing.
install() {
    local what_for=$1 absent; shift
    absent=$(missing "$@")
    [ -n "$absent" ] || return 0
    if ! may_install; then
        say "no rights to install packages for $what_for; type: sudo apt-get install $absent"
        return 1
    fi
    if [ $updated = no ]; then
        updated=yes
        apt update || say "apt-get update failed; going on with the old package lists"
    fi
    for package in $absent; do say "installing $package ($what_for)"; done
    # shellcheck disable=SC2086  # a list of names without blanks
    apt install --no-install-recommends $absent && return 0
    say "apt-get could not install: $absent"
    tail -n 5 "$log" | sed 's/^/setup:   /'
    return 1
}

status=0
compiler=(gcc libc6-dev)
! have cc || compiler=()
install "the build" pkg-config libasound2-dev "${compiler[@]}" || status=1
install "JACK and PipeWire ports" libjack-jackd2-dev || say "left out: JACK and PipeWire ports"

if [ $for_tests = yes ]; then
    install "the JACK test" jackd2 || say "left out: the test on a JACK server"
    install "the PipeWire test" pipewire pipewire-jack || say "left out: the test on PipeWire"
    install "the test of the page in a browser" chromium chromium-driver ||
        say "left out: the test of the page in a browser"
    install "checks by other programs" midicsv abcmidi || say "left out: the checks with midicsv and abc2midi"
    install "OSC spoken by liblo" liblo-tools || say "left out: OSC spoken by another implementation"
    install "sound on a SoundFont" timgm6mb-soundfont || say "left out: the tests on an installed SoundFont"
    install "checking the scripts" shellcheck || say "left out: shellcheck"
    if [ "$(uname -m)" = x86_64 ]; then
        install "the test on the ALSA sequencer" \
            alsa-utils qemu-system-x86 busybox-static cpio kmod xz-utils || say "left out: the test on the ALSA sequencer"
    else
        say "left out: the test on the ALSA sequencer (its virtual machine is x86-64)"
    fi
    # pip may come from elsewhere than apt (pyenv, a virtual environment): only its absence matters.
    if ! "$tools/get-onnxruntime.sh" >/dev/null 2>&1; then
        python3 -m pip --version >/dev/null 2>&1 || install "fetching ONNX Runtime" python3 python3-pip || true
        "$tools/get-onnxruntime.sh" >/dev/null || say "left out: ONNX Runtime; the built-in engine is used"
    fi
fi

if ! pkg-config --exists alsa 2>/dev/null; then
    say "the build needs ALSA's development files (libasound2-dev) and pkg-config, and they are not here"
    status=1
fi
[ $status != 0 ] || say "ready"
exit $status
