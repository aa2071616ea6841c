#!/bin/sh
# What the build needs on Debian 12 beside Rust: as in tools/setup.sh, without what only tests and the
# demonstration use.
set -eu
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    build-essential pkg-config libclang-dev \
    libavcodec-dev libavformat-dev libavutil-dev libavdevice-dev libswscale-dev libswresample-dev libavfilter-dev \
    python3 python3-pip ca-certificates
rm -rf /var/lib/apt/lists/*
