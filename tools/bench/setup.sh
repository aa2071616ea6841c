#!/bin/sh
# Sets up what the measurements need beyond the build: valgrind, and the yardsticks from PyPI in the scratch environment
# of the golden numbers. Needs Python 3.11 for the latter. Says what it does; does nothing when nothing is missing.
set -eu
tools/setup.sh valgrind
venv=.cache/golden/venv
if ! "$venv/bin/python" -c 'import ai_edge_litert, mediapipe' 2>/dev/null; then
    tools/setup.sh python3-venv
    echo "bench: setting up TensorFlow Lite and MediaPipe in $venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet mediapipe==0.10.14 ai-edge-litert numpy
fi
