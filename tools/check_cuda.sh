#!/bin/sh
# Builds and tests everything of the CUDA path that needs no GPU: `make check-cuda`. In a target folder of its own, since
# features differ from those of the other builds.
#   1. the kernels for devices 8.0 and 9.0, warnings are errors; prints registers and shared memory of each
#   2. their source on the host: kernels against the CPU's, networks against the plain graph, the sampler to the bit
#   3. the workspace with the feature `cuda`: clippy, then the binary, which must start here and say what it lacks
# CUDA_HOME names a toolkit; where it is not set, the compiler comes from PyPI's wheels.
set -eu

cd "$(dirname "$0")/.."
CUDA_HOME=$(tools/cuda_home.sh)
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/cuda}
export CUDA_HOME CARGO_TARGET_DIR
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "check-cuda: $*"; }

say "the kernels, with $("$CUDA_HOME/bin/nvcc" --version | grep release)"
for device in 80 90; do
    "$CUDA_HOME/bin/nvcc" -std=c++17 -O3 -fmad=false --Werror all-warnings -arch="sm_$device" \
        -Xptxas -v,-warn-spills -cubin -o "$work/kernels.cubin" models/kernels/cuda/kernels.cu 2>"$work/ptxas"
    awk '/Compiling entry/ { gsub("\047", ""); name = $7 " " $9 }
         /Used/ { sub(/^.*Used/, ""); print "  " name ":" $0 }' "$work/ptxas"
    # A spill is a warning of ptxas, which is not an error of nvcc.
    if grep -q 'bytes spill' "$work/ptxas" && grep 'bytes spill' "$work/ptxas" | grep -qv ' 0 bytes spill stores, 0 bytes spill loads'; then
        say "a kernel spills registers"; exit 1
    fi
done

say "the kernels' source on this host, against the CPU's kernels"
cargo test --release --locked -p kinora-kernels --features cuda-host --lib -- device
say "the networks on this host, against the plain graph"
cargo test --release --locked -p kinora-models --features cuda-host --test cuda_host -- --nocapture

say "the workspace with the feature cuda"
cargo clippy --release --locked --workspace --all-targets --features cuda -- -D warnings
cargo build --release --locked --features cuda
kinora=$CARGO_TARGET_DIR/release/kinora
if ldd "$kinora" | grep -q 'libcuda\|libnvidia\|libcudart'; then
    say "the binary is linked with a library of the driver, so it does not start without one"; exit 1
fi
if command -v nvidia-smi >/dev/null; then
    say "there is a GPU here; make bench-cuda uses it"; exit 0
fi
clip=$work/clip.mp4
"$kinora" dancer --out "$clip" --frames 3 >/dev/null 2>&1
code=0
"$kinora" analyze "$clip" --set inference.device=cuda:0 >"$work/out" 2>"$work/error" || code=$?
grep 'no CUDA device: ' "$work/error" || { cat "$work/error"; say "cuda:0 without a GPU should say so"; exit 1; }
[ "$code" -eq 69 ] || { say "cuda:0 without a GPU should end with 69, and ended with $code"; exit 1; }
"$kinora" analyze "$clip" --set inference.device=auto --summary "$work/summary" >/dev/null 2>&1
grep -q '"device": *"cpu"' "$work/summary" || { cat "$work/summary"; say "auto should take the CPU"; exit 1; }
say "green; nothing of it ran on a GPU"
