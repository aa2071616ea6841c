#!/bin/sh
# Puts the CUDA 13.0 compiler together from PyPI's wheels, in .cache, where no CUDA is installed; prints its folder.
# The wheels are read, not installed: no Python package of this machine changes. Nothing of it runs on a GPU.
set -eu

if [ -n "${CUDA_HOME:-}" ]; then
    echo "$CUDA_HOME"
    exit 0
fi
root=$(cd "$(dirname "$0")/.." && pwd)/.cache/cuda
home=$root/home
if [ ! -x "$home/bin/nvcc" ]; then
    # nvcc: driver of the compiler, ptxas, fatbinary. nvvm: the compiler itself. crt, runtime: headers that it includes.
    # cccl: headers that those include.
    python3 -m pip download --quiet --no-deps --dest "$root/wheels" \
        'nvidia-cuda-nvcc==13.0.*' 'nvidia-nvvm==13.0.*' 'nvidia-cuda-crt==13.0.*' \
        'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cccl==13.0.*' >&2
    rm -rf "$root/unpacked" "$home"
    mkdir -p "$root/unpacked"
    for wheel in "$root"/wheels/*.whl; do
        python3 -m zipfile -e "$wheel" "$root/unpacked"
    done
    # All wheels unpack into one folder that is laid out as a toolkit.
    mv "$root/unpacked/nvidia/cu13" "$home"
    rm -rf "$root/unpacked"
    # Wheels carry no permissions that Python's unpacking keeps.
    chmod +x "$home"/bin/* "$home"/nvvm/bin/*
    # The compiler looks for libraries in lib64.
    [ -e "$home/lib64" ] || ln -s lib "$home/lib64"
fi
echo "$home"
