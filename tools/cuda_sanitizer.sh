#!/bin/sh
# Puts compute-sanitizer 13.0 from PyPI's wheel into .cache, where none is installed; prints its path. Needs a GPU to be of use.
set -eu

if command -v compute-sanitizer; then
    exit 0
fi
root=$(cd "$(dirname "$0")/.." && pwd)/.cache/cuda/sanitizer
tool=$root/nvidia/cu13/bin/compute-sanitizer
if [ ! -x "$tool" ]; then
    python3 -m pip download --quiet --no-deps --dest "$root/wheels" 'nvidia-cuda-sanitizer-api==13.0.*' >&2
    for wheel in "$root"/wheels/*.whl; do
        python3 -m zipfile -e "$wheel" "$root"
    done
    # Wheels carry no permissions that Python's unpacking keeps. The tool looks for what it injects beside itself.
    chmod +x "$root"/nvidia/cu13/bin/* "$root"/nvidia/cu13/lib/*
    for library in "$root"/nvidia/cu13/lib/*; do
        ln -sf "../lib/${library##*/}" "$root/nvidia/cu13/bin/"
    done
fi
echo "$tool"
