"""A route that is read, at a steady rate: the latency of its answers, on an idle server and beside a live stream."""

import contextlib
import http.client
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

from report import Row, spread

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import demo  # noqa: E402

# Requests a second in all, and the connections that share them.
RATE, CONNECTIONS = 200, 8
# Asks the database; the list of streams would come from memory.
ROUTE = "/api/v1/sessions"
CONFIG = """[server]
listen = "{listen}"
data_directory = "{data}"

[http]
rate_limit = 1000000

"""


def routes(place):
    """p99 of the route under 200 requests a second, without and with one live 1080p60 stream."""
    how = f"{RATE} requests a second, {CONNECTIONS} connections"
    with serving(place, None) as (listen, token):
        idle = [p99(listen, token, 5 if place.quick else 20) for _ in range(place.rounds)]
    with camera(place) as address, serving(place, address) as (listen, token):
        until_running(listen, token)
        busy = [p99(listen, token, 5 if place.quick else 20) for _ in range(place.rounds)]
    return [Row(f"GET {ROUTE}, idle server: p99", statistics.median(idle), " ms", f"{how}; {spread(idle)}", 20),
            Row(f"GET {ROUTE}, one live 1080p60 stream: p99", statistics.median(busy), " ms", f"{how}; {spread(busy)}", 20)]


def p99(listen, token, seconds):
    """Milliseconds below which 99 % of the answers came, counted from the time at which each was due."""
    begin, taken = time.monotonic() + 0.2, [[] for _ in range(CONNECTIONS)]
    threads = [threading.Thread(target=ask, args=(listen, token, begin, seconds, number, taken[number]))
               for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = sorted(ms for list_ in taken for ms in list_)
    if len(answers) != RATE * seconds:
        raise SystemExit(f"bench: {len(answers)} of {RATE * seconds} requests were answered with 200")
    return answers[int(0.99 * len(answers))]


def ask(listen, token, begin, seconds, number, taken):
    """One connection's share: a request is due at its time, however long the one before it took."""
    connection, headers = http.client.HTTPConnection(listen, timeout=10), {"Authorization": f"Bearer {token}"}
    for turn in range(number, RATE * seconds, CONNECTIONS):
        due = begin + turn / RATE
        time.sleep(max(0.0, due - time.monotonic()))
        connection.request("GET", ROUTE, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            taken.append(1e3 * (time.monotonic() - due))


def until_running(listen, token):
    """Until the stream brings frames."""
    for _ in range(300):
        request = urllib.request.Request(f"http://{listen}/api/v1/streams/camera",
                                         headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            if json.load(answer)["state"] == "running":
                return
        time.sleep(0.1)
    raise SystemExit("bench: the camera's stream does not run")


@contextlib.contextmanager
def camera(place):
    """The clip as an RTSP camera on this machine; its address."""
    command = ["/usr/bin/python3", place.root / "tools/rtsp_camera.py", place.clip, "--port", "0"]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def serving(place, source):
    """A server, with a stream or none, and a token that may watch; all of it is gone afterwards."""
    # PostgreSQL refuses to run as root: its own user has to pass through this folder.
    work = pathlib.Path(tempfile.mkdtemp(prefix="kinora-bench-"))
    work.chmod(0o755)
    processes = demo.Processes()
    try:
        listen = f"127.0.0.1:{demo.free_port(0)}"
        config, log, login = work / "config.toml", place.work / "routes.log", work / "login"
        stream = f'[[streams]]\nname = "camera"\nsource = "{source}"\n' if source else ""
        config.write_text(CONFIG.format(listen=listen, data=work / "data") + stream)
        server = processes.start(place.kinora, "--config", config, "serve", stderr=log.open("w"))
        demo.wait_until_ready(server, f"http://{listen}", log)
        demo.make_agent(str(place.kinora), str(config), login)
        yield listen, log_in(listen, login)
    finally:
        processes.end()
        shutil.rmtree(work, ignore_errors=True)


def log_in(listen, login):
    """A token of the account in a login file."""
    said = dict(line.split(": ", 1) for line in login.read_text().splitlines())
    form = {"grant_type": "password", "username": said["username"], "password": said["password"]}
    with urllib.request.urlopen(f"http://{listen}/login", urllib.parse.urlencode(form).encode(), timeout=30) as answer:
        return json.load(answer)["access_token"]
