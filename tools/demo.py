#!/usr/bin/python3
"""The live demonstration: the test dancer as a looping stream and as an RTSP camera, one server, one agent.

Renders the clip, analyses it, and draws what was found on a copy. Then starts the camera and `kinora serve` with a
private database in a temporary folder, and shows what an agent (`kinora watch`) receives, a line a second. Ends after
--seconds or at Ctrl-C; then it stops the server, so that the agent sees the balanced accounts, and removes what it made
but the clip, its analysis and the logs. Ends every process it started. Needs Python's standard library only.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from running import Agent, Processes, free_port, make_agent, wait_until_ready

TOOLS = pathlib.Path(__file__).resolve().parent
CONFIG = """[server]
listen = "{listen}"
data_directory = "{data}"

[log]
format = "json"

[[streams]]
name = "dancer-file"
source = "{clip}"
loop = true

[[streams]]
name = "dancer-camera"
source = "{camera}"
"""


class Asked(Exception):
    """Somebody asked the demonstration to end."""


def ask_to_end(_signal, _frame):
    """Ends the demonstration once; a second Ctrl-C does not disturb the clean-up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Asked


def render(kinora, clip, size, fps, frames):
    """Makes the clip unless it is there; a half-written one never gets its name."""
    if clip.exists():
        return
    print(f"demo: rendering {frames} frames of the test dancer, {size} at {fps} frames a second")
    part = clip.with_name(f"part-{clip.name}")
    subprocess.run([kinora, "dancer", "--frames", frames, "--size", size, "--fps", fps, "--out", str(part)],
                   check=True)
    part.rename(clip)


def analyse(kinora, clip):
    """Analyses the clip and draws the skeletons on a copy, unless this `kinora` has done so; where the results are."""
    results = {kind: clip.with_name(f"{clip.stem}-{kind}") for kind in ("events.ndjson", "summary.json", "skeletons.mp4")}
    events, summary, skeletons = results.values()
    if not skeletons.exists() or skeletons.stat().st_mtime < os.stat(kinora).st_mtime:
        print("demo: analysing the clip and drawing what was found on a copy")
        subprocess.run([kinora, "analyze", clip, "--out", events, "--summary", summary], check=True)
        part = clip.with_name(f"part-{skeletons.name}")
        subprocess.run([kinora, "draw", clip, "--events", events, "--out", part], check=True)
        part.rename(skeletons)
    found = json.loads(summary.read_text())
    print(f"demo: {found['frames']['analyzed']} frames at {found['fps']:.1f} a second; see {skeletons}")
    return results


def tell(url, camera, kinora, login, log, results):
    """Where to look."""
    print(f"""
demo: the server is ready
  streams    dancer-file    the clip as a looping file
             dancer-camera  {camera}
  health     {url}/health        metrics  {url}/metrics
  an agent   {kinora} watch {url} --login-file {login}
  log        {log}
  the clip analysed as a file, without the server
             pictures {results["skeletons.mp4"]}
             events   {results["events.ndjson"]}
             summary  {results["summary.json"]}
""", flush=True)


def show(agent, seconds):
    """A line a second for each stream; on a terminal the lines stay where they are."""
    started = shown = time.monotonic()
    lines = 0
    while seconds is None or time.monotonic() - started < seconds:
        if not agent.read_until(shown + 1):
            sys.exit("demo: the agent ended")
        now = time.monotonic()
        if lines and sys.stdout.isatty():
            sys.stdout.write(f"\x1b[{lines}A")
        for name, stream in sorted(agent.streams.items()):
            clear = "\x1b[K" if sys.stdout.isatty() else ""
            print(f"  {now - started:5.0f} s  {name:14}{stream.line(now - shown)}{clear}", flush=True)
        lines, shown = len(agent.streams), now


def summarise(agent, seconds):
    """What came, and whether anything was lost; the exit code."""
    print("\ndemo: summary of what the agent received")
    good = len(agent.streams) == 2
    for name, stream in sorted(agent.streams.items()):
        if not stream.frames:
            print(f"  {name}: no frame; the stream is {stream.state}")
            good = False
            continue
        cuts = statistics.quantiles(stream.latencies, n=100) if len(stream.latencies) > 1 else [0] * 99
        print(f"  {name}: {stream.frames} frames, {stream.frames / seconds:.1f} a second,"
              f" latency p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, missing numbers {stream.missing}")
        if stream.ended is None:
            print("    its end was not seen")
            good = False
            continue
        account = stream.ended["frames"]
        settled = account["analyzed"] + account["skipped"] + sum(account["dropped"].values())
        balanced = settled == account["received"]
        print(f"    account of the whole session: {json.dumps(account)}, {'balanced' if balanced else 'NOT BALANCED'}")
        good = good and balanced and stream.missing == 0
    return 0 if good else 1


def run(args, work, processes):
    """From the clip to the summary."""
    out = pathlib.Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    clip = out / f"dancer-{args.size}-{args.fps}-{args.frames}.mp4"
    render(args.kinora, clip, args.size, args.fps, args.frames)
    results = analyse(args.kinora, clip)

    camera_log = (work / "camera.log").open("w")
    camera = processes.start("/usr/bin/python3", TOOLS / "rtsp_camera.py", clip, "--port", free_port(8554),
                             stdout=subprocess.PIPE, stderr=camera_log, text=True)
    address = camera.stdout.readline().strip()
    if not address:
        sys.exit("demo: the camera does not start:\n" + (work / "camera.log").read_text())

    listen = f"127.0.0.1:{free_port(8080)}"
    config, log, login = work / "config.toml", out / "server.log", work / "agent-login"
    config.write_text(CONFIG.format(listen=listen, data=work / "data", clip=clip, camera=address))
    print("demo: starting the server with a database of its own", flush=True)
    server = processes.start(args.kinora, "--config", config, "serve", stderr=log.open("w"))
    url = f"http://{listen}"
    wait_until_ready(server, url, log)
    make_agent(args.kinora, str(config), login)
    tell(url, address, args.kinora, login, log, results)

    watch = processes.start(args.kinora, "watch", url, "--login-file", login, stdout=subprocess.PIPE,
                            stderr=(out / "agent.log").open("w"))
    agent = Agent(watch)
    started = time.monotonic()
    try:
        show(agent, args.seconds)
    except Asked:
        print()
    seconds = time.monotonic() - started
    # The streams end first and the agent is told; only then are connections closed.
    server.terminate()
    while server.poll() is None and agent.read_until(time.monotonic() + 0.2):
        pass
    agent.read_until(time.monotonic() + 0.5)
    code = summarise(agent, seconds)
    if server.wait(15) != 0:
        print(f"demo: the server ended with code {server.returncode}")
        code = 1
    return code


def main():
    """Runs the demonstration and removes what it made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinora", default="target/release/kinora")
    parser.add_argument("--out", default="out", help="for the clip and the logs")
    parser.add_argument("--seconds", type=float, help="end after so long (default: at Ctrl-C)")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", default="30")
    parser.add_argument("--frames", default="300")
    args = parser.parse_args()

    # PostgreSQL refuses to run as root: its own user has to pass through this folder.
    work = pathlib.Path(tempfile.mkdtemp(prefix="kinora-demo-"))
    work.chmod(0o755)
    processes = Processes()
    signal.signal(signal.SIGINT, ask_to_end)
    signal.signal(signal.SIGTERM, ask_to_end)
    try:
        code = run(args, work, processes)
    except Asked:
        code = 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        processes.end()
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
