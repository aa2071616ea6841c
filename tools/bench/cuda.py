#!/usr/bin/env python3
"""What must hold on a GPU, as one table: `make bench-cuda`.

Keypoints against the CPU's, network time by batch, compute-sanitizer, two sessions at 100 frames a second, the number of live
1080p60 streams that are analysed in time, and copies of frames to the host. What cannot be measured here (no sanitizer, for
example) is a row that says so. With `--device cpu` it measures the same of the CPU, to try the tool itself where there is no GPU.
"""

import argparse
import contextlib
import dataclasses
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import machine
import report
from report import Row
from routes import log_in

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import running  # noqa: E402

# Requirements: A4, A5 and the issue of the CUDA path.
KEYPOINTS_PERCENT, SESSIONS_P99_MS, STREAMS_P99_MS, STREAMS_DROPPED_PERCENT, STREAMS_AIM = 0.2, 10, 150, 0.1, 16
# Cameras that share the streams, so that frames do not all come at once.
CAMERAS = 8
CONFIG = """[server]
listen = "{listen}"
data_directory = "{data}"
[http]
rate_limit = 1000000
[inference]
device = "{device}"
[decoder]
hardware = "{hardware}"
[scale]
admission = "off"
[analysis]
max_fps = 0

"""


@dataclasses.dataclass
class Place:
    """Where everything is, and how much is measured."""

    kinora: pathlib.Path
    program: pathlib.Path | None
    device: str
    work: pathlib.Path
    quick: bool
    most: int

    def __post_init__(self):
        self.rounds = 20 if self.quick else 500
        self.frames = 120 if self.quick else 600
        self.warm_up, self.seconds = (2, 5) if self.quick else (5, 30)

    def clip(self, fps):
        """The test dancer at so many frames a second; a half-written clip never gets its name."""
        clip = self.work / f"dancer-1080p{fps}-{self.frames}.mp4"
        if not clip.exists():
            part = clip.with_name(f"part-{clip.name}")
            machine.text(self.kinora, "dancer", "--frames", self.frames, "--size", "1920x1080", "--fps", fps, "--out", part)
            part.rename(clip)
        return clip


def missing(what, why):
    """A row for what was not measured."""
    return Row(what, float("nan"), "", why)


def networks(place):
    """How far keypoints are from the CPU's, and the time of both networks by batch."""
    if place.program is None:
        return [missing("networks", "no program was given with --program")]
    said = machine.text("env", f"KINORA_BENCH_DEVICE={place.device}", f"KINORA_BENCH_ROUNDS={place.rounds}", place.program)
    apart = float(re.search(r"keypoints: ([\d.]+) %", said)[1])
    rows = [Row("keypoints from the CPU's", apart, " % of the image", "the largest of three figures", KEYPOINTS_PERCENT)]
    line = r"batch of (\d+): landmarks ([\d.]+) ms \(p99 ([\d.]+) ms\), detector ([\d.]+) ms \(p99 ([\d.]+) ms\)"
    for batch, *times in re.findall(line, said):
        for network, median, p99 in zip(("landmarks", "detector"), times[::2], times[1::2]):
            rows.append(Row(f"{network}, batch of {batch}: time per frame", float(median) / int(batch), " ms",
                            f"{median} ms a batch (p99 {p99} ms), copies included"))
    return rows


def sanitizer(place):
    """Errors that compute-sanitizer finds in all kernels of both networks, and in a clip with its decoder."""
    tool = shutil.which("compute-sanitizer")
    if tool is None or place.program is None or place.device == "cpu":
        why = "compute-sanitizer is not installed" if tool is None else "there is no GPU or no program"
        return [missing("compute-sanitizer", why)]
    rows = []
    clip = ["analyze", place.clip(60), "--out", place.work / "sanitized.ndjson", "--max-frames", "20",
            "--set", f"inference.device={place.device}", "--set", "decoder.hardware=auto"]
    cases = [(check, "networks", [place.program]) for check in ("memcheck", "racecheck", "synccheck", "initcheck")]
    for check, name, command in [*cases, ("memcheck", "a clip with its decoder", [place.kinora, *clip])]:
        command = ["env", f"KINORA_BENCH_DEVICE={place.device}", "KINORA_BENCH_ROUNDS=1",
                   tool, "--tool", check, "--error-exitcode", "99", *command]
        done = subprocess.run([str(word) for word in command], text=True, capture_output=True)
        found = re.search(r"ERROR SUMMARY: (\d+) error|RACECHECK SUMMARY: (\d+) hazard", done.stdout + done.stderr)
        what = f"compute-sanitizer {check}, {name}"
        if not found:
            (place.work / "sanitizer.log").write_text(done.stdout + done.stderr)
            rows.append(missing(what, f"it ended with {done.returncode}; see {place.work / 'sanitizer.log'}"))
            continue
        rows.append(Row(what, float(next(number for number in found.groups() if number)), " errors", "", 0))
    return rows


class Watched:
    """A server whose streams are read over HTTP."""

    def __init__(self, process, listen, token):
        self.process, self.listen, self.token = process, listen, token

    def get(self, path):
        """The answer of a route as text."""
        request = urllib.request.Request(f"http://{self.listen}{path}", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    def streams(self):
        """All streams as they are."""
        return json.loads(self.get("/api/v1/streams"))["streams"]

    def wait_for_frames(self, count):
        """Until every stream has results."""
        for _ in range(600):
            streams = self.streams()
            if len(streams) == count and all((stream["frames"] or {}).get("analyzed", 0) >= 10 for stream in streams):
                return True
            time.sleep(0.1)
        return False

    def fetched(self):
        """Pictures that came from a GPU to the host's memory so far."""
        found = re.search(r"^kinora_gpu_pictures_fetched_total (\d+)", self.get("/metrics"), re.MULTILINE)
        return int(found[1]) if found else 0


@contextlib.contextmanager
def serving(place, tables, hardware):
    """A server with these streams and a database of its own; all of it is gone afterwards."""
    # PostgreSQL refuses to run as root: its own user has to pass through this folder.
    work = pathlib.Path(tempfile.mkdtemp(prefix="kinora-bench-"))
    work.chmod(0o755)
    processes = running.Processes()
    try:
        listen = f"127.0.0.1:{running.free_port()}"
        config, log, login = work / "config.toml", place.work / "cuda-server.log", work / "login"
        head = CONFIG.format(listen=listen, data=work / "data", device=place.device, hardware=hardware)
        config.write_text(head + "\n".join(tables))
        server = processes.start(place.kinora, "--config", config, "serve", stderr=log.open("w"))
        running.wait_until_ready(server, f"http://{listen}", log)
        running.make_agent(str(place.kinora), str(config), login)
        yield Watched(server, listen, log_in(listen, login))
    finally:
        processes.end()
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def cameras(place, count):
    """The addresses of so many RTSP cameras of 1080p60 on this machine."""
    started = []
    try:
        for _ in range(count):
            command = ["/usr/bin/python3", ROOT / "tools/rtsp_camera.py", place.clip(60), "--port", "0"]
            started.append(subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True))
        yield [camera.stdout.readline().strip() for camera in started]
    finally:
        for camera in started:
            camera.terminate()
            camera.wait()


@dataclasses.dataclass
class Run:
    """What a while of several streams came to."""

    p99_ms: float
    dropped_percent: float
    fps: float
    fetched: int
    decoders: set

    def holds(self):
        """Whether it keeps to what is required of many streams."""
        return self.p99_ms <= STREAMS_P99_MS and self.dropped_percent <= STREAMS_DROPPED_PERCENT


def watch(place, server, count):
    """Measures streams that run, from now on; nothing if not all of them do."""
    if not server.wait_for_frames(count):
        return None
    time.sleep(place.warm_up)
    before, fetched, begin = counts(server), server.fetched(), time.monotonic()
    time.sleep(place.seconds)
    after, seconds = counts(server), time.monotonic() - begin
    streams = server.streams()
    received, analyzed, dropped = (end - start for start, end in zip(before, after))
    latencies = [(stream["latencyMs"] or {"extraction": {"p99": float("inf")}})["extraction"]["p99"] for stream in streams]
    decoders = {stream.get("decoder") or "cpu" for stream in streams}
    return Run(max(latencies), 100 * dropped / max(received, 1), analyzed / seconds, server.fetched() - fetched, decoders)


def counts(server):
    """Frames received, analysed and dropped so far, of all streams."""
    frames = [stream["frames"] for stream in server.streams() if stream["frames"]]
    return [sum(frame["received"] for frame in frames), sum(frame["analyzed"] for frame in frames),
            sum(sum(frame["dropped"].values()) for frame in frames)]


def sessions(place):
    """Two sessions at 100 frames a second each: looped files at the pace of their clock."""
    clip = place.clip(100)
    tables = [f'[[streams]]\nname = "session{n}"\nsource = "{clip}"\nloop = true\n' for n in range(2)]
    rows = []
    for hardware in ("off", "auto") if place.device != "cpu" else ("off",):
        with serving(place, tables, hardware) as server:
            run = watch(place, server, 2)
        what = f"2 sessions at 100 frames/s, decoder.hardware = {hardware}"
        if run is None:
            rows.append(missing(what, "the streams do not run"))
            continue
        decoders = ", ".join(sorted(run.decoders))
        rows.append(Row(f"{what}: p99 preprocess to extraction", run.p99_ms, " ms", f"decoded by {decoders}", SESSIONS_P99_MS))
        rows.append(Row(f"{what}: frames analysed", run.fps, " frames/s", "both together", 198, 200, below=False))
        if hardware == "auto":
            rows.append(Row("host copies of frames with NVDEC", float(run.fetched), " pictures",
                            f"kinora_gpu_pictures_fetched_total in {place.seconds} s; decoded by {decoders}", 0))
    return rows


def streams(place):
    """The greatest number of live 1080p60 streams that are analysed in time: doubled until it fails, then closed in on."""
    hardware, runs = "auto" if place.device != "cpu" else "off", {}

    def holds(count):
        with cameras(place, min(count, CAMERAS)) as addresses:
            sources = [addresses[n % len(addresses)] for n in range(count)]
            tables = [f'[[streams]]\nname = "camera{n}"\nsource = "{source}"\n' for n, source in enumerate(sources)]
            with serving(place, tables, hardware) as server:
                runs[count] = watch(place, server, count)
        said = runs[count]
        print(f"bench-cuda: {count} streams: {said}", flush=True)
        return said is not None and said.holds()

    good, bad = 0, 1
    while bad <= place.most and holds(bad):
        good, bad = bad, bad * 2
    # To an eighth of it, or to one stream.
    while bad <= place.most and bad - good > max(1, good // 8):
        middle = (good + bad) // 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    best = runs.get(good)
    bound = f"p99 <= {STREAMS_P99_MS} ms, drops <= {STREAMS_DROPPED_PERCENT} %"
    how = f"{bound}; p99 {best.p99_ms:.3g} ms, {best.dropped_percent:.3g} % dropped, {best.fps:.0f} frames/s" if best else bound
    limit = f"; not tried beyond {place.most}" if bad > place.most else ""
    return [Row("live 1080p60 streams in time", float(good), "", how + limit, 1, STREAMS_AIM, below=False)]


PARTS = {"networks": networks, "sessions": sessions, "streams": streams, "sanitizer": sanitizer}


def described(place):
    """The device, its driver, and the machine."""
    if place.device == "cpu":
        return f"the CPU alone, to try the tool; {machine.described()}"
    query = "--query-gpu=name,driver_version,memory.total"
    gpu = machine.text("nvidia-smi", query, "--format=csv,noheader").splitlines()[int(place.device.split(":")[1])]
    return f"{gpu}; {machine.described()}"


def main():
    """Measures, prints and writes the table. Ends with 1 if a requirement of a GPU does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinora", type=pathlib.Path, default=ROOT / "target/cuda/release/kinora")
    parser.add_argument("--program", type=pathlib.Path, help="the benchmark `cuda` of kinora-models, built")
    parser.add_argument("--device", default="cuda:0", help="cuda:N, or cpu to try this tool")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / ".cache/bench", help="for clips")
    parser.add_argument("--quick", action="store_true", help="short clips, few rounds")
    parser.add_argument("--most", type=int, default=128, help="streams that are tried at most")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this alone; may be repeated")
    parser.add_argument("--write", type=pathlib.Path, help="the document that the table goes to")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    program = args.program.resolve() if args.program else None
    place = Place(args.kinora.resolve(), program, args.device, args.work.resolve(), args.quick, args.most)
    rows = []
    for name in args.only or PARTS:
        print(f"bench-cuda: {name}", flush=True)
        found = PARTS[name](place)
        if place.device == "cpu":
            found = [dataclasses.replace(row, least=None, aim=None) for row in found]
        rows += found
        print(report.table(found), flush=True)
    told = described(place)
    print(f"\n{told}\n\n{report.table(rows)}")
    if args.write:
        report.write(args.write, rows, told, args.quick, "bench-cuda")
    return 1 if any(row.least is not None and not row.holds(row.least) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
