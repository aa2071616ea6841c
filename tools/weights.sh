#!/bin/sh
# Brings the networks' weights: downloads the Python wheel mediapipe 0.10.14 (nothing of it is installed or run)
# and lets `kinora models import` take the two files out of it. $1 is the kinora binary.
set -eu
kinora=$1
wheel_version=0.10.14

if "$kinora" models status >/dev/null 2>&1; then
    exit 0
fi
echo "setup: downloading the wheel mediapipe $wheel_version (36 MB) for the weights in it"
folder=.cache/wheels
mkdir -p "$folder"
# The platform is named so that any Python can download it; the weights are the same in every wheel.
python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 --implementation cp \
    --platform manylinux2014_x86_64 --dest "$folder" "mediapipe==$wheel_version"
"$kinora" models import "$folder"/mediapipe-"$wheel_version"-*.whl
