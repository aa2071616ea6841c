#!/bin/sh
# Measures all that must hold on a GPU, where there is one, and writes the table of docs/reference/performance.md:
# `make bench-cuda`. See tools/bench/cuda.py for what is measured; arguments go there (`--quick`, `--only streams`).
# DEVICE=cuda:N is another GPU than the first; DEVICE=cpu tries the tool itself where there is none, and writes nothing.
set -eu

cd "$(dirname "$0")/.."
DEVICE=${DEVICE:-cuda:0}
if [ "$DEVICE" != cpu ] && ! command -v nvidia-smi >/dev/null; then
    echo "bench-cuda: there is no NVIDIA driver here; make check-cuda needs none" >&2; exit 69
fi
CUDA_HOME=$(tools/cuda_home.sh)
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/cuda}
export CUDA_HOME CARGO_TARGET_DIR

cargo build --release --locked --features cuda
# The name of the program has a hash in it: cargo tells it.
program=$(cargo bench --locked -p kinora-models --features cuda --bench cuda --no-run --message-format=json |
    python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["reason"] == "compiler-artifact" and message["target"]["name"] == "cuda" and message["executable"]:
        print(message["executable"])')
if [ "$DEVICE" != cpu ]; then
    # Without it the table says that no kernel was looked at.
    sanitizer=$(tools/cuda_sanitizer.sh) && PATH=$(dirname "$sanitizer"):$PATH && export PATH
fi
write='--write docs/reference/performance.md'
[ "$DEVICE" != cpu ] || write=
# shellcheck disable=SC2086
exec tools/bench/cuda.py --kinora "$CARGO_TARGET_DIR/release/kinora" --program "$program" --device "$DEVICE" $write "$@"
