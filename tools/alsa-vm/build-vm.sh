#!/usr/bin/env bash
# build-vm.sh: makes, once, the kernel and initramfs that run-in-alsa-vm.sh boots, and prints the folder they are in.
#
# They come from Debian's stock kernel package (about 70 MB, downloaded with apt and unpacked, not installed), which has
# the ALSA sequencer that this machine's own kernel may lack.
# Exit status: 0 ready, 3 left out: something that it needs is not here (one sentence says what).
set -euo pipefail
cache=${ALSA_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/antiphon/alsa-vm}

left_out() { echo "alsa-vm: left out: $*" >&2; exit 3; }

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || left_out "the virtual machine is for Linux on x86-64"
for tool in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio modprobe:kmod xz:xz-utils \
    dpkg-deb:dpkg apt-get:apt flock:util-linux; do
    command -v "${tool%:*}" >/dev/null || left_out "${tool%:*} is missing (tools/setup.sh --test installs it, package ${tool#*:})"
done
[ ! -e /lib64/ld-linux-x86-64.so.2 ] || ! ldd "$(command -v busybox)" >/dev/null 2>&1 ||
    left_out "busybox is linked to shared libraries (package busybox-static is needed)"

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # two callers at once: the second waits and finds the work done
if [ -e "$cache/ready" ]; then
    echo "$cache"
    exit 0
fi

work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

package=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image-/ {print $2; exit}')
[ -n "$package" ] || left_out "apt knows no kernel package linux-image-amd64 (apt-get update; it is Debian's)"
apt-get download -q -o APT::Sandbox::User=root "$package" >download.log 2>&1 ||
    left_out "apt could not download $package: $(tail -n 1 download.log)"
dpkg-deb -x "$package"_*.deb package
version=${package#linux-image-}
depmod -b package "$version"

# QEMU starts an uncompressed kernel directly, which saves the emulated machine the slow unpacking.
# prints the offsets at which a byte sequence begins
offsets() { LC_ALL=C grep -obUaP "$1" "package/boot/vmlinuz-$version" | cut -d: -f1; }
is_elf() { [ "$(head -c 4 vmlinux | od -An -tx1 | tr -d ' \n')" = 7f454c46 ]; }
unpack() { # SIGNATURE COMMAND...
    local offset signature=$1; shift
    for offset in $(offsets "$signature"); do
        tail -c "+$((offset + 1))" "package/boot/vmlinuz-$version" | "$@" >vmlinux 2>/dev/null || true
        ! is_elf || return 0
    done
    return 1
}
unpack '\xfd7zXZ\x00' xz -dc || unpack '\x28\xb5\x2f\xfd' zstd -dc || unpack '\x1f\x8b\x08' gzip -dc ||
    left_out "no kernel was found inside $package"

mkdir -p root/{bin,proc,sys,dev,modules,ro,up,new}
cp "$(command -v busybox)" root/bin/busybox
for module in virtio_pci virtio_console 9pnet_virtio 9p overlay \
    snd_hrtimer snd_seq snd_seq_dummy snd_seq_midi snd_virmidi snd_dummy snd_aloop; do
    modprobe -d "$PWD/package" -S "$version" --show-depends "$module" | awk '$1 == "insmod" {print $2}'
done | awk '!seen[$0]++' >files
while read -r file; do
    cp "$file" root/modules/
    basename "$file" >>root/modules/order
done <files
(cd root && find . | cpio -o -H newc --quiet) >initramfs.cpio

mv vmlinux initramfs.cpio "$cache/"
echo "$version" >"$cache/ready"
echo "alsa-vm: made from $package, $(wc -l <root/modules/order) modules" >&2
echo "$cache"
