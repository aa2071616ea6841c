#!/usr/bin/env python3
"""All measurements of Kinora beside their yardsticks, as one table of ratios.

Ours and the yardstick take turns, so that other work on the machine disturbs both; medians are compared and the
spread is told. Needs the built `kinora`, its benchmarks (built here with cargo), `ffmpeg`, `valgrind` and the scratch
environment of the golden numbers, which `tools/bench/setup.sh` makes; only Python's standard library itself.
"""

import argparse
import dataclasses
import json
import pathlib
import sys

import machine
import pipeline
import report
import routes
import stages

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BENCHES = ("networks", "sample", "decode")
PARTS = {
    "networks": stages.networks,
    "preprocess": stages.preprocess,
    "decode": stages.decode,
    "one-clip": pipeline.one_clip,
    "two-clips": pipeline.two_clips,
    "live": pipeline.live,
    "linear": pipeline.linear,
    "http": routes.routes,
    "instructions": stages.instructions,
}


@dataclasses.dataclass
class Place:
    """Where everything is, and how long to measure."""

    kinora: pathlib.Path
    python: pathlib.Path
    work: pathlib.Path
    quick: bool
    benches: dict
    here: pathlib.Path = HERE
    root: pathlib.Path = ROOT

    def __post_init__(self):
        self.rounds = 2 if self.quick else 5
        self.frames = 240 if self.quick else 600
        self.warm_up, self.live_seconds = (2, 10) if self.quick else (5, 60)
        self.clip = self.work / f"dancer-1080p60-{self.frames}.mp4"
        self.small_clip = self.work / f"dancer-480p30-{self.frames}.mp4"


def built():
    """Builds the benchmarks as the Makefile builds the rest; name to program."""
    chosen = [word for name in BENCHES for word in ("--bench", name)]
    command = ["cargo", "bench", "--locked", "--workspace", "--no-run", "--message-format=json", *chosen]
    messages = [json.loads(line) for line in machine.text(*command).splitlines()]
    programs = {message["target"]["name"]: message["executable"]
                for message in messages if message["reason"] == "compiler-artifact" and message.get("executable")}
    return {name: programs[name] for name in BENCHES}


def render(place):
    """The clips, unless they are there; a half-written one never gets its name."""
    for clip, size, fps in ((place.clip, "1920x1080", 60), (place.small_clip, "854x480", 30)):
        if not clip.exists():
            part = clip.with_name(f"part-{clip.name}")
            machine.text(place.kinora, "dancer", "--frames", place.frames, "--size", size, "--fps", fps, "--out", part)
            part.rename(clip)


def main():
    """Measures, prints and writes the table. Ends with 1 if a requirement does not hold.

    Requirements are for processors that have AVX-512 with bfloat16; elsewhere figures are reported only."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinora", type=pathlib.Path, default=ROOT / "target/release/kinora")
    parser.add_argument("--python", type=pathlib.Path, default=ROOT / ".cache/golden/venv/bin/python")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / ".cache/bench", help="for clips and events")
    parser.add_argument("--quick", action="store_true", help="short clips, few rounds")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this alone; may be repeated")
    parser.add_argument("--write", type=pathlib.Path, help="the document that the table goes to")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    print("bench: building the benchmarks", flush=True)
    place = Place(args.kinora.resolve(), args.python.absolute(), args.work.resolve(), args.quick, built())
    render(place)
    rows = []
    for name in args.only or PARTS:
        print(f"bench: {name}, {machine.load():.1f} processes in the last minute", flush=True)
        found = PARTS[name](place)
        if not machine.judged():
            found = [dataclasses.replace(row, least=None, aim=None) for row in found]
        rows += found
        print(report.table(found), flush=True)
    print(f"\n{machine.described()}\n\n{report.table(rows)}")
    if args.write:
        report.write(args.write, rows, machine.described(), args.quick)
    return 1 if any(row.least is not None and not row.holds(row.least) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
