"""MediaPipe's pose solution in Python, as its documentation uses it: OpenCV reads the clip, the full model tracks.

Runs in the scratch environment of the golden numbers (`mediapipe`, which brings `opencv-contrib-python`):

    python tools/bench/yardstick_mediapipe.py clip.mp4

Counted from the first frame that is read to the last result; loading the networks is not.
"""

import sys
import time

import cv2
import mediapipe


def main():
    """Analyses the clip and prints frames a second."""
    clip = cv2.VideoCapture(sys.argv[1])
    found = frames = 0
    with mediapipe.solutions.pose.Pose(model_complexity=1) as pose:
        start = time.perf_counter()
        while True:
            there, picture = clip.read()
            if not there:
                break
            result = pose.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            frames += 1
            found += result.pose_landmarks is not None
        seconds = time.perf_counter() - start
    print(f"mediapipe: {frames} frames, {found} with a person, {frames / seconds:.2f} frames a second")


if __name__ == "__main__":
    main()
