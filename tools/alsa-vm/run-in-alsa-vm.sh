#!/usr/bin/env bash
# run-in-alsa-vm.sh DIR COMMAND [ARG...]: runs COMMAND on a kernel that has the ALSA sequencer.
#
# Boots Debian's stock kernel under QEMU (in software, so no rights and no KVM are needed; about 10 s) with snd-seq,
# snd-virmidi, snd-dummy and snd-aloop. Inside, / is this machine's root (read-only; what is written stays in memory),
# DIR is shared for reading and writing at the same path, and COMMAND runs in DIR as root. What COMMAND prints
# comes out at its end. Emulation is slow: nothing about time can be learnt here.
# Exit status: that of COMMAND; 3 left out, a tool is missing; 124 time limit (ALSA_VM_TIMEOUT seconds, 300);
# 125 the machine did not run COMMAND.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || { echo "usage: $0 DIR COMMAND [ARG...]" >&2; exit 2; }
share=$(cd "$1" && pwd -P)
shift
vm=$("$here/build-vm.sh") || exit $?

run=$(mktemp -d "${TMPDIR:-/tmp}/alsa-vm.XXXXXX")
qemu=
# shellcheck disable=SC2317  # called by trap
clean_up() { [ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true; rm -rf "$run"; }
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The command, the folder's name and the first program go into a second archive behind the kept one: the kernel
# unpacks both, so nothing is left in DIR and nothing needs quoting for the kernel's command line.
mkdir "$run/root"
cp "$here/init" "$run/root/init"
chmod 755 "$run/root/init"
printf '%s\n' "$share" >"$run/root/folder"
{
    printf 'export HOME=%q PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb\n' "$HOME"
    printf 'cd %q || exit 126\n' "$share"
    printf '%q ' "$@"
    echo
} >"$run/root/command"
{ cat "$vm/initramfs.cpio"; (cd "$run/root" && find . | cpio -o -H newc --quiet); } >"$run/initramfs.cpio"

# A comma separates QEMU's options; doubled, it is part of a value.
shared_folder="local,path=${share//,/,,},security_model=none,multidevs=remap"
timeout -k 5 "${ALSA_VM_TIMEOUT:-300}" qemu-system-x86_64 \
    -accel tcg,thread=multi,tb-size=256 -cpu Nehalem -smp 1 -m 1024 \
    -M q35,hpet=off -nodefaults -no-user-config -display none -no-reboot \
    -kernel "$vm/vmlinux" -initrd "$run/initramfs.cpio" \
    -append "console=ttyS0 quiet loglevel=3 reboot=t panic=-1 mitigations=off nokaslr tsc=reliable clocksource=tsc no_timer_check random.trust_cpu=on" \
    -serial "file:$run/console" \
    -fsdev "local,id=r,path=/,security_model=none,readonly=on,multidevs=remap" \
    -device virtio-9p-pci,fsdev=r,mount_tag=hostroot \
    -fsdev "$shared_folder,id=s" -device virtio-9p-pci,fsdev=s,mount_tag=share \
    -device virtio-rng-pci -device virtio-serial-pci \
    -chardev "file,id=out,path=$run/out" -device virtserialport,chardev=out,name=out \
    -chardev "file,id=err,path=$run/err" -device virtserialport,chardev=err,name=err \
    -chardev "file,id=status,path=$run/status" -device virtserialport,chardev=status,name=status \
    </dev/null 2>"$run/qemu" &
qemu=$!
ended=0
wait "$qemu" || ended=$?
qemu=

[ ! -e "$run/out" ] || cat "$run/out"
[ ! -e "$run/err" ] || cat "$run/err" >&2
[ "$ended" != 124 ] || { echo "alsa-vm: stopped after ${ALSA_VM_TIMEOUT:-300} s" >&2; exit 124; }
status=$(tr -cd '0-9' <"$run/status" 2>/dev/null || true)
if [ -z "$status" ]; then
    echo "alsa-vm: the virtual machine did not run the command (qemu ended with $ended)" >&2
    cat "$run/qemu" "$run/console" >&2 || true
    exit 125
fi
exit "$status"
