#!/bin/sh
# Makes the golden numbers of the tests anew: TensorFlow Lite's raw outputs and MediaPipe's poses of the dance.
# Needs Python 3.11; its packages go to a scratch environment. $1 is the kinora binary.
set -eu
kinora=$1
scratch=.cache/golden
mkdir -p "$scratch"
if [ ! -x "$scratch/venv/bin/python" ]; then
    tools/setup.sh python3-venv
    echo "golden: setting up Python packages in $scratch/venv"
    python3 -m venv "$scratch/venv"
    "$scratch/venv/bin/pip" install --quiet mediapipe==0.10.14 ai-edge-litert numpy
fi
python=$scratch/venv/bin/python
"$kinora" dancer --size 1280x720 --fps 30 --frames 240 --out "$scratch/dance.mp4"
"$python" tools/golden/poses.py "$scratch/dance.mp4" --mode video --every 4 --out tests/golden/dance.video.json
"$python" tools/golden/poses.py "$scratch/dance.mp4" --mode static --every 8 --out tests/golden/dance.static.json
"$python" tools/golden/networks.py models/weights models/tests/golden
