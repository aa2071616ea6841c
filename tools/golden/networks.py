"""Golden numbers for `models/tests/networks.rs`: what TensorFlow Lite makes of some reproducible images.

Needs Python 3.11, and from PyPI `ai-edge-litert` and `numpy`; the tests need none of it. Run by hand when the inputs
or the weights change:

    python tools/golden/networks.py models/weights models/tests/golden

The images are formulas, repeated in `models/tests/support/inputs.rs`: change both or neither. They are computed in
double precision, so that the two agree to the last bits of a float.
"""

import json
import math
import pathlib
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

# name: file, side of the input, low end of its values, names of the outputs by their place in the file
NETWORKS = {
    "detector": ("pose_detection.tflite", 224, -1.0, {0: "boxes", 1: "scores"}),
    "landmarks": ("pose_landmark_full.tflite", 256, 0.0, {0: "landmarks", 1: "flag", 3: "heatmap", 4: "world"}),
}

# Outputs of more values are stored as this many of them, at places that a stride by a prime visits.
WHOLE, SUBSET, STRIDE = 2304, 2048, 7919


def coordinates(side):
    """Centres of the pixels as fractions of the image: x and y, each [side, side]."""
    centres = (np.arange(side) + 0.5) / side
    return np.meshgrid(centres, centres)


def noise(side):
    """Uniform noise from an integer hash (murmur3's finaliser) of each value's place."""
    h = np.arange(side * side * 3, dtype=np.uint64)
    m = np.uint64(0xFFFFFFFF)
    h = (h * np.uint64(0x9E3779B1) + np.uint64(1)) & m
    h ^= h >> np.uint64(16)
    h = (h * np.uint64(0x85EBCA6B)) & m
    h ^= h >> np.uint64(13)
    h = (h * np.uint64(0xC2B2AE35)) & m
    h ^= h >> np.uint64(16)
    return ((h >> np.uint64(8)) / float(1 << 24)).reshape(side, side, 3)


def gradient(side):
    """Red grows to the right, green downwards, blue from the lower left to the upper right."""
    x, y = coordinates(side)
    return np.stack([x, y, (x + 1 - y) / 2], -1)


def waves(side):
    """Smooth coloured waves."""
    x, y = coordinates(side)
    return np.stack(
        [
            0.5 + 0.5 * np.sin(9 * x + 4 * y),
            0.5 + 0.5 * np.sin(13 * y - 5 * x + 1),
            0.5 + 0.5 * np.sin(21 * x * y + 2),
        ],
        -1,
    )


SKIN, HAIR, SHIRT, TROUSERS, SHOE = (0.87, 0.67, 0.55), (0.2, 0.13, 0.1), (0.75, 0.2, 0.2), (0.2, 0.25, 0.45), (0.1,) * 3


def figure(side, elbows, wrists, lean):
    """A person of capsules in front of a wall: arms as given (left, right of the image), leaning to the right by `lean`.

    A capsule is ax, ay, bx, by, radius, colour; its shade falls from the middle to the border.
    """
    (lex, ley), (rex, rey) = elbows
    (lwx, lwy), (rwx, rwy) = wrists
    parts = [
        (0.44, 0.55, 0.43, 0.73, 0.042, TROUSERS),
        (0.56, 0.55, 0.57, 0.73, 0.042, TROUSERS),
        (0.43, 0.73, 0.425, 0.90, 0.034, TROUSERS),
        (0.57, 0.73, 0.575, 0.90, 0.034, TROUSERS),
        (0.425, 0.92, 0.40, 0.935, 0.022, SHOE),
        (0.575, 0.92, 0.60, 0.935, 0.022, SHOE),
        (0.45, 0.33, 0.46, 0.53, 0.06, SHIRT),
        (0.55, 0.33, 0.54, 0.53, 0.06, SHIRT),
        (0.50, 0.33, 0.50, 0.53, 0.06, SHIRT),
        (0.41, 0.31, lex, ley, 0.032, SHIRT),
        (0.59, 0.31, rex, rey, 0.032, SHIRT),
        (lex, ley, lwx, lwy, 0.024, SKIN),
        (rex, rey, rwx, rwy, 0.024, SKIN),
        (0.50, 0.24, 0.50, 0.29, 0.028, SKIN),
        (0.50, 0.155, 0.50, 0.165, 0.066, HAIR),
        (0.50, 0.175, 0.50, 0.20, 0.056, SKIN),
        (0.478, 0.178, 0.478, 0.178, 0.008, SHOE),
        (0.522, 0.178, 0.522, 0.178, 0.008, SHOE),
        (0.485, 0.222, 0.515, 0.222, 0.006, SHIRT),
    ]
    x, y = coordinates(side)
    image = np.stack([0.70 + 0.1 * y, 0.72 + 0.05 * x, 0.70 - 0.1 * y], -1)
    for ax, ay, bx, by, radius, colour in parts:
        ax, bx = ax + lean * (0.9 - ay), bx + lean * (0.9 - by)
        dx, dy = bx - ax, by - ay
        along = ((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-9)
        along = np.clip(along, 0, 1)
        distance = np.sqrt((x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2)
        cover = np.clip((radius - distance) * side + 0.5, 0, 1)[..., None]
        shade = (1 - 0.35 * (distance / radius) ** 2)[..., None]
        image = image * (1 - cover) + np.array(colour) * shade * cover
    return np.clip(image, 0, 1)


INPUTS = {
    "noise": noise,
    "gradient": gradient,
    "waves": waves,
    "standing": lambda side: figure(side, ((0.36, 0.43), (0.64, 0.43)), ((0.34, 0.55), (0.66, 0.55)), 0.0),
    "arms-up": lambda side: figure(side, ((0.33, 0.25), (0.67, 0.25)), ((0.36, 0.12), (0.64, 0.12)), 0.1),
    "noisy": lambda side: 0.8 * figure(side, ((0.30, 0.33), (0.66, 0.42)), ((0.18, 0.33), (0.72, 0.52)), -0.15)
    + 0.2 * noise(side),
}


def stored(values):
    """Sum, extremes, and the values that the tests compare: all, or a subset."""
    flat = values.astype(np.float64).ravel()
    whole = flat.size <= WHOLE
    places = np.arange(flat.size) if whole else np.arange(SUBSET) * STRIDE % flat.size
    return {
        "len": flat.size,
        "sum": float(flat.sum()),
        "min": float(flat.min()),
        "max": float(flat.max()),
        "values": [float(f"{value:.7g}") for value in flat[places]],
    }


def main(weights, target):
    for network, (file, side, low, names) in NETWORKS.items():
        interpreter = Interpreter(str(pathlib.Path(weights) / file), num_threads=1)
        interpreter.allocate_tensors()
        details = interpreter.get_output_details()
        golden = {}
        for name, make in INPUTS.items():
            image = (make(side) * (1 - low) + low).astype(np.float32)
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
            interpreter.invoke()
            outputs = {key: interpreter.get_tensor(details[place]["index"]) for place, key in names.items()}
            golden[name] = {key: stored(value) for key, value in outputs.items()}
            best = max((float(v.max()) for k, v in outputs.items() if k in ("scores", "flag")), default=math.nan)
            print(network, name, "score" if network == "detector" else "flag", round(best, 4), file=sys.stderr)
        path = pathlib.Path(target) / f"{network}.json"
        path.write_text(json.dumps(golden, separators=(",", ":")).replace("},", "},\n") + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
