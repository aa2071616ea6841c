"""TensorFlow Lite on one thread: the time of each of the two networks, printed like Kinora's own benchmark.

Runs in the scratch environment of the golden numbers (`ai-edge-litert`, `numpy`):

    python tools/bench/yardstick_tflite.py models/weights --rounds 100
"""

import argparse
import pathlib
import statistics
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter

NETWORKS = {"detector": "pose_detection.tflite", "landmarks": "pose_landmark_full.tflite"}
WARM_UP = 10


def measure(path, rounds):
    """Milliseconds of each invocation, and of the processor per invocation."""
    network = Interpreter(str(path), num_threads=1)
    network.allocate_tensors()
    place = network.get_input_details()[0]
    # Between black and white: numbers that underflow would make another benchmark.
    image = np.random.default_rng(1).random(place["shape"], dtype=np.float32)
    network.set_tensor(place["index"], image)
    for _ in range(WARM_UP):
        network.invoke()
    times, ran = [], time.thread_time()
    for _ in range(rounds):
        start = time.perf_counter()
        network.invoke()
        times.append((time.perf_counter() - start) * 1e3)
    return times, (time.thread_time() - ran) * 1e3 / rounds


def main():
    """Measures both networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=100)
    args = parser.parse_args()
    for name, file in NETWORKS.items():
        times, ran = measure(args.weights / file, args.rounds)
        print(f"{name}: median {statistics.median(times):.2f} ms, best {min(times):.2f} ms,"
              f" on the processor {ran:.2f} ms", flush=True)


if __name__ == "__main__":
    main()
