"""Golden poses for `models/tests/poses.rs`: what MediaPipe 0.10.14 sees in drawn figures, single and moving.

Needs Python 3.11, and from PyPI `mediapipe==0.10.14`, `ai-edge-litert` and `numpy`; the tests need none of it. By hand:

    python tools/golden/figures.py models/tests/golden/poses.json

The pictures are those of `networks.py`, in 8 bit; the moving one is a window that wanders over a picture and goes blank
for one frame, so that the person is lost and found again. The test repeats how they are made: change both or neither.
"""

import json
import sys

import mediapipe
import numpy as np
from networks import INPUTS

SIDE = 640
SINGLE = ("standing", "arms-up", "noisy")
MOVING, FRAMES, BLANK = "standing", 10, 5
WIDTH, HEIGHT = 480, 600


def picture(name):
    """A picture of `networks.py`, [SIDE, SIDE, 3] in 8 bit."""
    return np.floor(INPUTS[name](SIDE) * 255 + 0.5).astype(np.uint8)


def window(whole, index):
    """Frame `index` of the moving picture."""
    if index == BLANK:
        return np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    left, top = 30 + 9 * index, 36 - 4 * index
    return np.ascontiguousarray(whole[top : top + HEIGHT, left : left + WIDTH])


def poses(frames, static):
    """Landmarks (x, y, z, visibility) and world landmarks (x, y, z) of each frame, or None."""
    with mediapipe.solutions.pose.Pose(static_image_mode=static, model_complexity=1) as solution:
        for frame in frames:
            result = solution.process(frame)
            if not result.pose_landmarks:
                yield None
                continue
            yield {
                "landmarks": [[m.x, m.y, m.z, m.visibility] for m in result.pose_landmarks.landmark],
                "world": [[m.x, m.y, m.z] for m in result.pose_world_landmarks.landmark],
            }


def rounded(value):
    """The same with numbers of 5 decimals."""
    if isinstance(value, dict):
        return {key: rounded(member) for key, member in value.items()}
    if isinstance(value, list):
        return [rounded(member) for member in value]
    return round(value, 5) if isinstance(value, float) else value


def main(target):
    whole = picture(MOVING)
    golden = {
        "single": dict(zip(SINGLE, poses([picture(name) for name in SINGLE], static=True))),
        "moving": list(poses([window(whole, index) for index in range(FRAMES)], static=False)),
    }
    with open(target, "w", encoding="utf-8") as out:
        json.dump(rounded(golden), out, separators=(",", ":"))
        out.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
