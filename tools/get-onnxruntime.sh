#!/usr/bin/env bash
# get-onnxruntime.sh [DEST]: fetches Microsoft's ONNX Runtime library into DEST and prints its path.
#
# DEST is the user's data folder by default, where `antiphon` looks for it. The library is taken out of the
# `onnxruntime` wheel of the Python package index, fetched by pip and checked against the sum written here; no Python
# environment is touched. Nothing is fetched when the library is there already.
# Exit status: 0 it is there, 1 it could not be fetched, 3 there is none for this system (the built-in engine does).
set -euo pipefail

version=1.31.1
case "$(uname -s)-$(uname -m)" in
    Linux-x86_64)
        platform=manylinux_2_28_x86_64 library=libonnxruntime.so.$version
        sum=1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536 ;;
    Linux-aarch64)
        platform=manylinux_2_28_aarch64 library=libonnxruntime.so.$version
        sum=0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc ;;
    Darwin-arm64)
        platform=macosx_14_0_arm64 library=libonnxruntime.$version.dylib
        sum=96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c ;;
    MINGW*-x86_64 | MSYS*-x86_64)
        platform=win_amd64 library=onnxruntime.dll
        sum=ae8a9a351efda685cc59a66226cdefaa37a126c1d66872ca23a2de9425326130 ;;
    MINGW*-aarch64 | MSYS*-aarch64)
        platform=win_arm64 library=onnxruntime.dll
        sum=fe8b9ac1ae8e894e12c47ee82e4f6dfc1835768133687257866469fda80d0bf1 ;;
    *)
        echo "get-onnxruntime: there is no ONNX Runtime $version for $(uname -s) $(uname -m)" >&2
        exit 3 ;;
esac
case "$(uname -s)" in
    Linux) data=${XDG_DATA_HOME:-$HOME/.local/share} ;;
    Darwin) data="$HOME/Library/Application Support" ;;
    *) data=${APPDATA:?} ;;
esac
dest=${1:-$data/antiphon}

if [ -s "$dest/$library" ]; then
    echo "$dest/$library"
    exit 0
fi

python=${PYTHON:-python3}
if ! "$python" -m pip --version >/dev/null 2>&1; then
    echo "get-onnxruntime: $python has no pip (Debian: apt-get install python3-pip)" >&2
    exit 1
fi
mkdir -p "$dest"
work=$(mktemp -d "$dest/.fetch.XXXXXX") # on the same file system, so that the last step is a rename
trap 'rm -rf "$work"' EXIT
printf 'onnxruntime==%s --hash=sha256:%s\n' "$version" "$sum" >"$work/wanted"
if ! "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --platform "$platform" \
    --python-version 3.12 --implementation cp --require-hashes --dest "$work" --requirement "$work/wanted" >&2; then
    echo "get-onnxruntime: pip could not fetch onnxruntime $version, or what came has another SHA-256 than $sum" >&2
    exit 1
fi
"$python" - "$work" "$library" <<'PYTHON'
import glob, os, sys, zipfile
work, library = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(work + '/*.whl')[0])
# What the licence asks for travels with the library, under a name that says what it belongs to.
wanted = {
    'onnxruntime/capi/' + library: library,
    'onnxruntime/LICENSE': 'onnxruntime-LICENSE.txt',
    'onnxruntime/ThirdPartyNotices.txt': 'onnxruntime-ThirdPartyNotices.txt',
}
os.mkdir(work + '/out')
for name, to in wanted.items():
    with open(f'{work}/out/{to}', 'wb') as out:
        out.write(wheel.read(name))
PYTHON
mv "$work/out/"*.txt "$dest/"
mv "$work/out/$library" "$dest/$library"
echo "$dest/$library"
