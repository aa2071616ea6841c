#!/usr/bin/python3
"""The long run: a good, a flapping and a dead source on one server; memory, threads and descriptors over time.

The good source is the test dancer as a looping file, the flapping one an RTSP camera that is killed and started
again every few seconds, the dead one a port that refuses. An agent (`kinora watch`) looks for missing numbers.

Memory is the live heap as the allocator counts it (kinora_heap_bytes of /metrics): what was asked for and not given
back, FFmpeg's buffers included. A leak shows in it and in nothing else; what the kernel counts as the server's own
(RssAnon of /proc/PID/status) holds what the allocator keeps, too, and is told beside it. A trend is the median of the
slopes between samples (Theil and Sen), since caches move in steps. Verdict: from an hour on 1 MiB an hour, from ten
minutes on 16 MiB an hour; a shorter run tells its trend and judges only threads, descriptors and numbers.

Removes what it made but its log, and ends every process it started. Needs Python's standard library only.
"""

import argparse
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import typing
import urllib.request

from running import Agent, Processes, free_port, make_agent, wait_until_ready

TOOLS = pathlib.Path(__file__).resolve().parent
CONFIG = """[server]
listen = "{listen}"
data_directory = "{data}"

[log]
format = "json"

[supervision]
retry_max = "100ms"

[[streams]]
name = "good"
source = "{clip}"
loop = true

[[streams]]
name = "flapping"
source = "{flapping}"

[[streams]]
name = "dead"
source = "rtsp://127.0.0.1:{dead}/camera"
"""
# Length of a run in seconds, and the slope in MiB an hour that it may show.
VERDICTS = ((3600, 1), (600, 16))
# A start fills pools and caches: this share of the run is not judged.
WARM_UP = 0.2


class Sample(typing.NamedTuple):
    """What a server has at one time: seconds since the beginning, MiB, numbers."""

    at: float
    live: float
    resident: float
    threads: int
    descriptors: int


def sample(at, pid, url):
    """What the server has now."""
    process = pathlib.Path("/proc") / str(pid)
    lines = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    descriptors = sum(1 for _ in (process / "fd").iterdir())
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    live = float(re.search(r'^kinora_heap_bytes{kind="live"} (\S+)$', metrics, re.M)[1])
    return Sample(at, live / 2**20, int(lines["RssAnon"].split()[0]) / 1024, int(lines["Threads"]), descriptors)


def trend(samples):
    """The median of the slopes between all pairs, in units an hour; at most 300 points, which is 45,000 pairs."""
    points = samples[:: max(1, len(samples) // 300)]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1:] if b[0] > a[0]]
    return statistics.median(slopes) * 3600 if slopes else 0.0


def middle(samples, what):
    """The median of a member."""
    return statistics.median(getattr(one, what) for one in samples)


class Flapping(threading.Thread):
    """A camera that is killed and comes back on the same port."""

    def __init__(self, clip, port, up, down):
        super().__init__(daemon=True)
        self.command = ["/usr/bin/python3", str(TOOLS / "rtsp_camera.py"), str(clip), "--port", str(port)]
        self.up, self.down, self.flaps, self.over = up, down, 0, threading.Event()

    def run(self):
        while not self.over.is_set():
            camera = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.over.wait(self.up)
            camera.kill()
            camera.wait()
            self.flaps += 1
            self.over.wait(self.down)

    def end(self):
        """Ends the camera, too."""
        self.over.set()
        self.join()


def watch(server, url, agent, seconds, every):
    """Samples until the time is over; what comes to the agent is read meanwhile."""
    samples, begun = [], time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        if server.poll() is not None:
            sys.exit(f"soak: the server ended with code {server.returncode} after {now:.0f} s")
        samples.append(sample(now, server.pid, url))
        if len(samples) % 12 == 1:
            row = "  {:6.0f} s  {:7.2f} MiB live  {:7.1f} MiB resident  {:4} threads  {:4} descriptors"
            print(row.format(*samples[-1]), flush=True)
        if not agent.read_until(time.monotonic() + every):
            sys.exit(f"soak: the agent ended after {now:.0f} s")
    return samples


def judge(samples, seconds, agent, flaps):
    """Prints the rows and gives the exit code."""
    judged = [one for one in samples if one.at >= seconds * WARM_UP]
    slope, resident = (trend([(one.at, getattr(one, what)) for one in judged]) for what in ("live", "resident"))
    half = len(judged) // 2
    # A leak moves the median; a peak, as when a connection is made just then, is none.
    grown = [middle(judged[half:], what) - middle(judged[:half], what) for what in ("threads", "descriptors")]
    allowed = next((limit for length, limit in VERDICTS if seconds >= length), None)
    missing, frames = (sum(getattr(stream, what) for stream in agent.streams.values()) for what in ("missing", "frames"))
    rows = [
        ("live heap", f"{slope:+.2f} MiB/h", f"at most {allowed}" if allowed else "not judged below 600 s",
         allowed is None or slope <= allowed),
        ("resident", f"{resident:+.2f} MiB/h", "told", True),
        ("threads", f"{grown[0]:+.0f} from half to half", "at most +4", grown[0] <= 4),
        ("descriptors", f"{grown[1]:+.0f} from half to half", "at most +8", grown[1] <= 8),
        ("missing numbers", f"{missing} beside {frames} frames", "0", missing == 0 and frames > 0),
        ("flaps", str(flaps), "at least 1", flaps > 0),
    ]
    print(f"\nsoak: {seconds:.0f} s")
    for name, value, limit, good in rows:
        print(f"  {name:16}{value:32}{limit:26}{'ok' if good else 'FAILED'}")
    return 0 if all(good for *_, good in rows) else 1


def run(args, work, processes):
    """From the clip to the verdict."""
    out = pathlib.Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    clip, log = work / "clip.mp4", out / "soak-server.log"
    subprocess.run([args.kinora, "dancer", "--frames", "300", "--size", "640x360", "--fps", "30", "--out", clip],
                   check=True)
    listen, port = f"127.0.0.1:{free_port()}", free_port()
    config = work / "config.toml"
    config.write_text(CONFIG.format(listen=listen, data=work / "data", clip=clip, dead=free_port(),
                                    flapping=f"rtsp://127.0.0.1:{port}/camera"))
    server = processes.start(args.kinora, "--config", config, "serve", stderr=log.open("w"))
    url = f"http://{listen}"
    wait_until_ready(server, url, log)
    login = work / "login"
    make_agent(args.kinora, config, login)
    agent = Agent(processes.start(args.kinora, "watch", url, "--login-file", login, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL))
    flapping = Flapping(clip, port, args.up, args.down)
    flapping.start()
    print(f"soak: {args.seconds:.0f} s with a good, a flapping and a dead source; log {log}", flush=True)
    try:
        samples = watch(server, url, agent, args.seconds, max(0.5, min(5, args.seconds / 100)))
    finally:
        flapping.end()
    return judge(samples, args.seconds, agent, flapping.flaps)


def main():
    """Runs it and ends what it started, the agent first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinora", default="target/release/kinora")
    parser.add_argument("--out", default="out", help="for the log")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--up", type=float, default=8, help="seconds that the flapping camera is there")
    parser.add_argument("--down", type=float, default=4, help="seconds that it is not")
    args = parser.parse_args()
    processes = Processes()
    with tempfile.TemporaryDirectory(prefix="kinora-soak-") as folder:
        work = pathlib.Path(folder)
        # Root's PostgreSQL runs as another user, who has to come through.
        work.chmod(0o755)
        try:
            code = run(args, work, processes)
        finally:
            processes.end()
    sys.exit(code)


if __name__ == "__main__":
    main()
