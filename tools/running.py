"""What the demonstration, the long run and the benchmark share: processes, a server that gets ready, an agent.

Needs Python's standard library only.
"""

import collections
import json
import os
import secrets
import selectors
import socket
import statistics
import subprocess
import sys
import time
import urllib.request


class Processes:
    """What was started, to be ended in the opposite order."""

    def __init__(self):
        self.running = []

    def start(self, *command, **options):
        """Starts a process in a session of its own: Ctrl-C reaches the demonstration only."""
        process = subprocess.Popen([str(word) for word in command], start_new_session=True, **options)
        self.running.append(process)
        return process

    def end(self):
        """Ends what still runs, politely, then by force."""
        for process in reversed(self.running):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Stream:
    """What the agent received of one stream."""

    def __init__(self):
        self.frames = 0
        self.recent = collections.deque(maxlen=10_000)
        self.latencies = collections.deque(maxlen=100_000)
        self.state = "-"
        self.last = {}
        self.missing = 0
        self.sessions = {}
        self.ended = None

    def take(self, event):
        """Notes one event; a number that does not follow is missing."""
        payload, session = event["payload"], event["sessionId"]
        if event["event"] == "gap":
            self.missing += payload["to"] - payload["from"] + 1
            return
        expected = self.sessions.get(session, payload["prevSeq"])
        self.missing += max(0, payload["prevSeq"] - expected)
        self.sessions[session] = payload["seq"]
        if event["event"] == "streamState":
            self.state = payload["state"]
        elif event["event"] == "sessionEnded":
            self.ended = payload
        elif event["event"] == "frameAnalyzed":
            self.frames += 1
            self.last = payload
            self.recent.append(payload["latencyMs"]["total"])
            self.latencies.append(payload["latencyMs"]["total"])

    def line(self, seconds):
        """The last period in a few words."""
        rate = list(self.recent)
        self.recent.clear()
        if not rate:
            return f"{self.state}"
        poses = self.last["poses"]
        score = f"score {poses[0]['score']:.2f}" if poses else "nobody"
        return f"{len(rate) / seconds:5.1f} frames/s  {statistics.median(rate):5.1f} ms  {score}"


class Agent:
    """`kinora watch`, read without ever waiting for it."""

    def __init__(self, process):
        self.process = process
        self.rest = b""
        self.streams = collections.defaultdict(Stream)
        os.set_blocking(process.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(process.stdout, selectors.EVENT_READ)

    def read_until(self, deadline):
        """Takes events until then; whether there may be more."""
        while (left := deadline - time.monotonic()) > 0:
            if not self.selector.select(left):
                continue
            data = os.read(self.process.stdout.fileno(), 1 << 20)
            if not data:
                return False
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                event = json.loads(line)
                name = event["payload"].get("stream") or self.stream_of(event["sessionId"])
                self.streams[name].take(event)
        return True

    def stream_of(self, session):
        """A gap for one subscriber names its session only."""
        return next((name for name, stream in self.streams.items() if session in stream.sessions), "?")


def free_port(preferred=0):
    """The usual port if nobody has it, else any."""
    for port in (preferred, 0):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return listener.getsockname()[1]
            except OSError:
                continue
    sys.exit("no free port")


def wait_until_ready(server, url, log):
    """Until the server answers; the first start makes a database."""
    for _ in range(1200):
        if server.poll() is not None:
            sys.exit(f"the server ended with code {server.returncode}:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"the server does not get ready; its log is {log}")


def make_agent(kinora, config, login):
    """An account that may only watch."""
    password = secrets.token_hex(12)
    subprocess.run([kinora, "--config", config, "user", "create", "tool-agent", "--role", "agent"],
                   input=password + "\n", text=True, check=True, stdout=subprocess.DEVNULL)
    login.touch(mode=0o600)
    login.write_text(f"username: tool-agent\npassword: {password}\n")
