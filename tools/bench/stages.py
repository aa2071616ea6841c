"""Single stages beside their yardsticks: networks, preprocessing, decoding, instruction counts."""

import os
import re
import statistics

import machine
from report import Row, spread

TIMES = re.compile(r"^(.+): median ([\d.]+) ms, best ([\d.]+) ms, on the processor ([\d.]+) ms$", re.MULTILINE)
BOUNDS = {"landmarks": (0.75, 0.35), "detector": (0.9, 0.5)}
# What `KINORA_BENCH_ONCE` of the sampler's benchmark does.
CALLS = 20


def times(*command):
    """What a benchmark printed: name to median in ms."""
    return {name: float(median) for name, median, _, _ in TIMES.findall(machine.text(*command))}


def networks(place):
    """Each network in each way that the benchmark knows, against TensorFlow Lite; the fastest way is judged."""
    ours, theirs = [], []
    for _ in range(place.rounds):
        ours.append(times(place.benches["networks"]))
        theirs.append(times(place.python, place.here / "yardstick_tflite.py", place.root / "models/weights"))
    rows = []
    for network, (least, aim) in BOUNDS.items():
        yardstick = [round[network] for round in theirs]
        ways = [name for name in ours[0] if name.split(",")[0] == network]
        ratios = {way: [mine[way] / his for mine, his in zip(ours, yardstick)] for way in ways}
        best = min(ways, key=lambda way: statistics.median(ratios[way]))
        for way in ways:
            detail = f"{spread([round[way] for round in ours])} ms against {spread(yardstick)} ms"
            bounds = (least, aim) if way == best else (None, None)
            rows.append(Row(f"{way}: time by TensorFlow Lite's, one thread", statistics.median(ratios[way]), "",
                            detail, *bounds))
    return rows


def preprocess(place):
    """A 1080p frame to 256x256; judged when the frame was not touched for long, as after a decoder."""
    rounds = [times(place.benches["sample"]) for _ in range(place.rounds)]
    rows = []
    for name in rounds[0]:
        values = [round[name] for round in rounds]
        bounds = (0.5, 0.25) if name.startswith("yuv420p to 256 ") and "antialiased" not in name else (None, None)
        rows.append(Row(f"preprocess, {name}", statistics.median(values), " ms", spread(values), *bounds))
    return rows


def decode(place):
    """Frames a second of our reader against FFmpeg's command, both on one thread."""
    os.environ["KINORA_BENCH_CLIP"] = str(place.clip)
    rate = re.compile(r"([\d.]+) frames a second")
    ours, theirs = [], []
    for _ in range(place.rounds):
        ours.append(float(rate.search(machine.text(place.benches["decode"]))[1]))
        command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", place.clip, "-an", "-f", "null", "-"]
        theirs.append(place.frames / machine.timed(*command)[0])
    ratio = statistics.median(mine / his for mine, his in zip(ours, theirs))
    detail = f"{spread(ours)} against {spread(theirs)} frames/s"
    return [Row("decode: frames/s by `ffmpeg -threads 1 -f null`", ratio, "", detail, 0.95, 1.0, below=False)]


def counted(place, bench, function, **environment):
    """Instructions that a benchmark spends in a function, as callgrind counts them."""
    out = place.work / "callgrind.out"
    machine.text("env", *(f"KINORA_BENCH_{name}={value}" for name, value in environment.items()),
                 "valgrind", "-q", "--tool=callgrind", f"--toggle-collect=*{function}*",
                 f"--callgrind-out-file={out}", place.benches[bench])
    return int(re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)[1])


def instructions(place):
    """Instructions of one call of the sampler and of each network, which no other work on the machine changes."""
    kinds = ("avx2", "plain") if "avx2" in machine.processor()[1] else ("plain",)
    detail = "callgrind, which does not know AVX-512"
    rows = []
    for case in ("yuv420p to 256", "yuv420p to 224"):
        for simd in kinds:
            total = counted(place, "sample", "sample_with", ONCE=case, SIMD=simd) / CALLS
            rows.append(Row(f"instructions of preprocess, {case}, {simd}", total / 1e6, " million", detail))
    for network, function in (("landmarks", "landmarks_once"), ("detector", "detect_once")):
        for simd in kinds:
            total = counted(place, "networks", function, ONCE=network, INSTRUCTIONS=simd)
            rows.append(Row(f"instructions of {network}, {simd}", total / 1e6, " million", detail))
    return rows
