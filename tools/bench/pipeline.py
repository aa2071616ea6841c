"""The whole pipeline: `kinora analyze` beside MediaPipe, two clips, a live camera, and the server's cost by streams."""

import contextlib
import json
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import machine
from report import Row, spread

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import running  # noqa: E402


def start_analysis(place, source, name, *options):
    """Starts `kinora analyze`; the process, its events and its summary."""
    events, summary = place.work / f"{name}.ndjson", place.work / f"{name}.json"
    command = [place.kinora, "analyze", source, "--out", events, "--summary", summary, *options]
    process = subprocess.Popen([str(word) for word in command], stderr=subprocess.DEVNULL, start_new_session=True)
    return process, events, summary


def rates(place, count):
    """Frames a second of so many analyses of the clip at once."""
    started = [start_analysis(place, place.clip, f"clip{n}") for n in range(count)]
    if any([process.wait() for process, _, _ in started]):
        raise SystemExit("bench: `kinora analyze` failed")
    return [json.loads(summary.read_text())["fps"] for _, _, summary in started]


def one_clip(place):
    """One clip at full speed against MediaPipe in Python, taking turns."""
    ours, theirs = [], []
    for _ in range(place.rounds):
        ours += rates(place, 1)
        said = machine.text(place.python, place.here / "yardstick_mediapipe.py", place.clip)
        theirs.append(float(re.search(r"([\d.]+) frames a second", said)[1]))
    ratio = statistics.median(mine / his for mine, his in zip(ours, theirs))
    detail = f"{spread(ours)} against {spread(theirs)} frames/s"
    return [Row("one clip: frames/s by MediaPipe's in Python", ratio, "", detail, 2, 4, below=False)]


def two_clips(place):
    """Two clips at full speed, in a process each and in one server."""
    sums = [sum(rates(place, 2)) for _ in range(place.rounds)]
    rows = [Row("two clips at once, two processes: sum", statistics.median(sums), " frames/s", spread(sums),
                100, 200, below=False)]
    with serving(place, [place.clip] * 2) as server:
        server.run_to_the_end()
        now, most = machine.memory(server.process.pid)
    rows.append(Row("two clips at once, one server: sum", server.rate(), " frames/s",
                    f"{server.analyzed()} frames, events to one agent and the database", 100, 200, below=False))
    rows.append(Row("memory of the server, two streams", most, " MiB", f"VmHWM; VmRSS {now:.0f} MiB at the end",
                    400, 250))
    return rows


def live(place):
    """A camera of 60 frames a second over RTSP: what is dropped, and how late results are."""
    dropped, late = [], []
    for _ in range(1 if place.quick else 5):
        events = watch_camera(place)
        frames = [event["payload"] for event in events if event["event"] == "frameAnalyzed"]
        begin = frames[0]["frame"]["mediaMs"] + 1e3 * place.warm_up
        frames = [frame for frame in frames if frame["frame"]["mediaMs"] >= begin]
        lost = [sum(frame["frames"]["dropped"].values()) for frame in (frames[0], frames[-1])]
        dropped.append(lost[1] - lost[0])
        stages = sorted(frame["latencyMs"]["preprocess"] + frame["latencyMs"]["inference"] for frame in frames)
        late.append(stages[int(0.99 * len(stages))])
    what = f"live 1080p60, {place.live_seconds} s"
    return [Row(f"{what}: dropped frames", statistics.median(dropped), "", spread(dropped), 1, 0),
            Row(f"{what}: p99 preprocess to extraction", statistics.median(late), " ms", spread(late), 50, 20)]


def watch_camera(place):
    """The events of one run; the camera runs on the same machine."""
    command = ["/usr/bin/python3", place.root / "tools/rtsp_camera.py", place.clip, "--port", "0"]
    camera = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    try:
        address = camera.stdout.readline().strip()
        process, events, _ = start_analysis(place, address, "live")
        time.sleep(place.warm_up + place.live_seconds + 1)
        process.send_signal(signal.SIGINT)
        process.wait()
    finally:
        camera.terminate()
        camera.wait()
    # The last line may be cut where the process was asked to end.
    return [json.loads(line) for line in events.read_text().splitlines() if line.endswith("}")]


def linear(place):
    """Processor time of a frame with 1, 2, 4 and 8 streams of 480p in one server."""
    costs = {}
    for count in (1, 2, 4, 8):
        with serving(place, [place.small_clip] * count) as server:
            server.wait_for_frames()
            first = (machine.processor_seconds(server.process.pid), server.analyzed())
            server.run_to_the_end()
            last = (machine.processor_seconds(server.process.pid), server.analyzed())
        costs[count] = 1e3 * (last[0] - first[0]) / (last[1] - first[1])
    detail = ", ".join(f"{count}: {cost:.2f} ms" for count, cost in costs.items())
    return [Row("processor time of a 480p frame, 8 streams by 1", costs[8] / costs[1], "", detail)]


class Server:
    """A `kinora serve` with file streams at full speed, and an agent that counts what it receives."""

    def __init__(self, process, agent, count):
        self.process, self.agent, self.count = process, agent, count
        self.first = self.last = None

    def streams(self):
        """What the agent received, by stream."""
        return list(self.agent.streams.values())

    def analyzed(self):
        """Frames so far, as the streams account for them."""
        return sum(stream.last["frames"]["analyzed"] for stream in self.streams() if stream.last)

    def wait_for_frames(self):
        """Until every stream has brought frames."""
        while len(self.streams()) < self.count or any(stream.frames < 10 for stream in self.streams()):
            self.read(0.05)

    def run_to_the_end(self):
        """Until every stream has ended."""
        while len(self.streams()) < self.count or any(stream.ended is None for stream in self.streams()):
            before = self.analyzed()
            self.read(0.02)
            if self.analyzed() > before:
                self.last = (time.monotonic(), self.analyzed())
                self.first = self.first or self.last

    def read(self, seconds):
        """Takes events for a while."""
        if not self.agent.read_until(time.monotonic() + seconds):
            raise SystemExit("bench: the agent ended")

    def rate(self):
        """Frames a second from the first to the last."""
        return (self.last[1] - self.first[1]) / (self.last[0] - self.first[0])


@contextlib.contextmanager
def serving(place, clips):
    """A server with a database of its own; all of it is gone afterwards."""
    # PostgreSQL refuses to run as root: its own user has to pass through this folder.
    work = pathlib.Path(tempfile.mkdtemp(prefix="kinora-bench-"))
    work.chmod(0o755)
    processes = running.Processes()
    try:
        yield start_server(place, clips, work, processes)
    finally:
        processes.end()
        shutil.rmtree(work, ignore_errors=True)


def start_server(place, clips, work, processes):
    """The server, when it is ready, and its agent."""
    listen = f"127.0.0.1:{running.free_port()}"
    config, log, login = work / "config.toml", place.work / "server.log", work / "agent-login"
    tables = [f'[[streams]]\nname = "clip{n}"\nsource = "{clip}"\n' for n, clip in enumerate(clips)]
    config.write_text(f'[server]\nlisten = "{listen}"\ndata_directory = "{work / "data"}"\n\n' + "\n".join(tables))
    server = processes.start(place.kinora, "--config", config, "serve", stderr=log.open("w"))
    running.wait_until_ready(server, f"http://{listen}", log)
    running.make_agent(str(place.kinora), str(config), login)
    watch = processes.start(place.kinora, "watch", f"http://{listen}", "--login-file", login,
                            stdout=subprocess.PIPE, stderr=(place.work / "agent.log").open("w"))
    return Server(server, running.Agent(watch), len(clips))
