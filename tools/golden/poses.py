#!/usr/bin/env python3
"""Golden poses: what MediaPipe 0.10.14 sees in a clip, frame by frame, as JSON.

Not needed by the tests, which read its output; it is how that output is made. Set up once, in a scratch place:

    python3.11 -m venv /tmp/golden
    /tmp/golden/bin/pip install mediapipe==0.10.14 numpy

and have `ffmpeg` and `ffprobe` in the path. Then for example:

    /tmp/golden/bin/python tools/golden/poses.py dancer.mp4 --mode video --every 1 --out dancer.video.json

`--mode static` treats each frame as a single image: detector on each, nothing smoothed, nothing remembered. `--mode video`
tracks from frame to frame. The Python solution never sees our timestamps: it stamps the frames that it is given 33,333
microseconds apart. So a clip for this mode has to have 30 frames a second, which is checked. `--every N` thins what is
written; in video mode every frame is processed all the same, for a result depends on the frames before it.

The frames are those of `ffmpeg -pix_fmt rgb24`, displayed orientation, without dropping or repeating any, converted with
`-sws_flags accurate_rnd+full_chroma_int`: without it the scaler's fast path makes pictures about 1.2 levels of 255 too
dark and repeats chroma samples, which moves MediaPipe's joints by up to 1 % of the torso. Output:

    {"clip": "dancer.mp4", "mode": "video", "mediapipe": "0.10.14", "width": 1920, "height": 1080, "frames": 600,
     "poses": {"0": {"landmarks": [[x, y, z, visibility], ... 33], "world": [[x, y, z], ... 33]}, "1": null}}

`landmarks` are fractions of the frame (z of its width), `world` metres; `null` where nobody was found. 5 decimals.
"""

import argparse
import json
import os
import subprocess
import sys
from fractions import Fraction

import mediapipe
import numpy as np

MEDIAPIPE_VERSION = "0.10.14"
VIDEO_RATE = Fraction(30)


def probe(clip):
    """Displayed width and height, and the average frame rate, of the clip's first video stream."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "json", "-show_entries"]
    command += ["stream=width,height,avg_frame_rate:stream_side_data=rotation", clip]
    stream = json.loads(subprocess.check_output(command))["streams"][0]
    width, height = stream["width"], stream["height"]
    rotations = [data["rotation"] for data in stream.get("side_data_list", []) if "rotation" in data]
    if rotations and int(rotations[0]) % 180 != 0:
        width, height = height, width
    return width, height, Fraction(stream["avg_frame_rate"])


def frames(clip, width, height):
    """The clip's frames as arrays (height, width, 3) of 8-bit RGB."""
    command = ["ffmpeg", "-v", "error", "-i", clip, "-map", "0:v:0", "-fps_mode", "passthrough"]
    command += ["-sws_flags", "accurate_rnd+full_chroma_int", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as decoder:
        size = width * height * 3
        while len(data := decoder.stdout.read(size)) == size:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    if decoder.returncode != 0 or data:
        sys.exit(f"{clip}: ffmpeg ended with {decoder.returncode}, {len(data)} bytes left over")


def numbers(landmark, names):
    """The named members of a landmark, rounded."""
    return [round(getattr(landmark, name), 5) for name in names]


def describe(result):
    """One frame's entry, or None where nobody was found."""
    if not result.pose_landmarks:
        return None
    return {
        "landmarks": [numbers(mark, ("x", "y", "z", "visibility")) for mark in result.pose_landmarks.landmark],
        "world": [numbers(mark, ("x", "y", "z")) for mark in result.pose_world_landmarks.landmark],
    }


def main():
    parser = argparse.ArgumentParser(description="Writes MediaPipe's poses of a clip as JSON.")
    parser.add_argument("clip", help="a video or image that ffmpeg reads")
    parser.add_argument("--mode", choices=("video", "static"), required=True)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="write each Nth frame (default: 1)")
    parser.add_argument("--out", required=True, metavar="FILE.json")
    arguments = parser.parse_args()
    if arguments.every < 1:
        parser.error("--every must be at least 1")
    if mediapipe.__version__ != MEDIAPIPE_VERSION:
        sys.exit(f"mediapipe is {mediapipe.__version__}, golden numbers are made with {MEDIAPIPE_VERSION}")
    width, height, rate = probe(arguments.clip)
    static = arguments.mode == "static"
    if not static and rate != VIDEO_RATE:
        sys.exit(f"{arguments.clip}: {rate} frames/s; video mode counts on {VIDEO_RATE}")

    poses, count = {}, 0
    with mediapipe.solutions.pose.Pose(
        static_image_mode=static,
        model_complexity=1,
        smooth_landmarks=not static,
        min_detection_confidence=0.5,
        min_tracking_confidence=0.5,
    ) as solution:
        for index, frame in enumerate(frames(arguments.clip, width, height)):
            count = index + 1
            wanted = index % arguments.every == 0
            # A single image that is not written need not be looked at.
            if wanted or not static:
                result = solution.process(frame)
                if wanted:
                    poses[str(index)] = describe(result)
    document = {
        "clip": os.path.basename(arguments.clip),
        "mode": arguments.mode,
        "mediapipe": MEDIAPIPE_VERSION,
        "width": width,
        "height": height,
        "frames": count,
        "poses": poses,
    }
    with open(arguments.out, "w", encoding="utf-8") as out:
        json.dump(document, out, separators=(",", ":"))
        out.write("\n")


if __name__ == "__main__":
    main()
