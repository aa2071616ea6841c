#!/bin/sh
# Measures the CUDA path where there is a GPU: `make bench-cuda`. Prints figures; docs/reference/performance.md is for a
# person to write, with the name of the GPU.
#   1. keypoints against the CPU's, and the time of each network for batches of 1, 2, 4 and 8
#   2. kernels under compute-sanitizer, if it is installed
#   3. two clips of the test dancer through `kinora analyze`: throughput and latencies
set -eu

cd "$(dirname "$0")/.."
command -v nvidia-smi >/dev/null || { echo "bench-cuda: there is no NVIDIA driver here; make check-cuda needs none" >&2; exit 69; }
CUDA_HOME=$(tools/cuda_home.sh)
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/cuda}
export CUDA_HOME CARGO_TARGET_DIR
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
cargo bench --locked -p kinora-models --features cuda --bench cuda
if command -v compute-sanitizer >/dev/null; then
    bench=$(find "$CARGO_TARGET_DIR/release/deps" -maxdepth 1 -type f -executable -name 'cuda-*' | head -n 1)
    compute-sanitizer --error-exitcode 1 "$bench"
else
    echo "bench-cuda: compute-sanitizer is not installed, so no kernel was looked at"
fi
cargo build --release --locked --features cuda
kinora=$CARGO_TARGET_DIR/release/kinora
"$kinora" dancer --out "$work/clip.mp4" --frames 600 >/dev/null
for hardware in off auto; do
    echo "bench-cuda: decoder.hardware = $hardware"
    "$kinora" analyze "$work/clip.mp4" --set inference.device=cuda:0 --set "decoder.hardware=$hardware" \
        --summary "$work/summary" >/dev/null
    cat "$work/summary"
done
