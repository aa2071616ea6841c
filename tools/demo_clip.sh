#!/bin/sh
# The offline demonstration (`make demo-clip`): renders the test dancer as 1080p60 H.264 with AAC, analyses the clip, draws what was found.
# $1 the kinora binary, $2 the folder for results, $3 the number of frames.
set -eu
kinora=$1
out=$2
frames=$3
mkdir -p "$out"

echo "demo: rendering $frames frames of the test dancer, 1920x1080 at 60 frames a second"
"$kinora" dancer --frames "$frames" --out "$out/dancer.mp4" --truth "$out/truth.json"
echo "demo: analysing it"
"$kinora" analyze "$out/dancer.mp4" --out "$out/events.ndjson" --summary "$out/summary.json"
echo "demo: drawing the skeletons on a copy"
"$kinora" draw "$out/dancer.mp4" --events "$out/events.ndjson" --out "$out/skeletons.mp4"
echo
cat "$out/summary.json"
echo
echo "The clip:      $out/dancer.mp4"
echo "The events:    $out/events.ndjson (one JSON object a line)"
echo "The skeletons: $out/skeletons.mp4"
echo "The summary:   $out/summary.json"
