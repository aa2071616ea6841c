#!/usr/bin/env python3
"""schemathesis against the running server: every route of /openapi.json with an administrator's token.

Starts a server of its own with the test dancer's clip as a looping stream, rate limits raised and a database of its
own, and sends at least `--calls` requests, valid and invalid ones. Fails on a 5xx, a status that the document does
not tell, an answer that is not as the document says, and on a run that was too small or mostly unauthenticated.

schemathesis (PyPI) is installed into `.cache/schemathesis`, and Debian's python3-venv for it; nothing else is needed but
`make setup`.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".cache/schemathesis"
PACKAGE = "schemathesis==4.32.5"
CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
          "response_schema_conformance")
CONFIG = """[server]
listen = "127.0.0.1:0"
data_directory = "{data}"

[log]
format = "json"

[http]
rate_limit = 1000000
rate_limit_heavy = 1000000
source_folders = "{clips}"
forbidden_networks = "192.0.2.0/24"

[auth]
signup = "open"
access_token_lifetime = "12h"

[scale]
admission = "off"

[[streams]]
name = "dance"
source = "{clip}"
loop = true
"""
# The network of the document's examples is forbidden: a source there is refused at once instead of after a time-out.
# It ends the login whose token it is called with, so it is called with one of its own.
LOGOUT = "/api/v1/auth/logout"
# An upgrade is no request that schemathesis can judge; agents of other makers test it.
UPGRADE = "/ws/analysis"


def tool():
    """The program `st`, installed if need be."""
    program = VENV / "bin/st"
    if not program.exists():
        subprocess.run([str(ROOT / "tools/setup.sh"), "python3-venv"], check=True)
        print(f"fuzz-api: installing {PACKAGE} in {VENV}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(VENV / "bin/pip"), "install", "--quiet", PACKAGE], check=True)
    return program


@contextlib.contextmanager
def server(kinora, folder):
    """A server in `folder`; gives its address. What it says goes to the file `log` there."""
    clip = folder / "clip.mp4"
    subprocess.run([str(kinora), "dancer", "--frames", "60", "--size", "320x240", "--out", str(clip)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    config = folder / "config.toml"
    config.write_text(CONFIG.format(data=folder / "data", clip=clip, clips=folder))
    with open(folder / "log", "w", encoding="utf-8") as log:
        process = subprocess.Popen([str(kinora), "serve", "--config", str(config)], stdout=log, stderr=log, cwd=ROOT)
    try:
        yield listening(process, folder / "log")
    finally:
        process.send_signal(signal.SIGTERM)
        if process.wait(timeout=30) != 0:
            sys.exit(f"fuzz-api: the server ended with {process.returncode}; its log is {folder / 'log'}")


def listening(process, log):
    """The address, as soon as it is told."""
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"fuzz-api: the server did not start:\n{log.read_text()}")
        for line in log.read_text().splitlines():
            if '"listening"' in line:
                return json.loads(line)["address"]
        time.sleep(0.1)
    sys.exit("fuzz-api: the server did not start in a minute")


def token(address, folder):
    """A new token of the first administrator."""
    said = dict(line.split(": ", 1) for line in (folder / "data/first-admin").read_text().splitlines() if ": " in line)
    form = urllib.parse.urlencode({"grant_type": "password", "username": said["username"], "password": said["password"]})
    with urllib.request.urlopen(f"http://{address}/login", form.encode(), timeout=30) as answer:
        return json.load(answer)["access_token"]


def run(program, address, bearer, report, arguments):
    """One run of schemathesis; gives whether it found nothing."""
    command = [str(program), "run", f"http://{address}/openapi.json", "--header", f"Authorization: Bearer {bearer}",
               "--checks", CHECKS, "--report", "har", "--report-har-path", str(report), "--no-color",
               "--continue-on-failure", "--no-shrink", "--generation-database", "none",
               "--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "30", *arguments]
    # Its own configuration files and examples of earlier runs stay out of it.
    hooks = {"SCHEMATHESIS_HOOKS": "fuzz_hooks", "PYTHONPATH": str(ROOT / "tools"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=report.parent, check=False, env={**os.environ, **hooks}).returncode == 0


def statuses(report):
    """How often each status was answered."""
    entries = json.loads(report.read_text())["log"]["entries"]
    return collections.Counter(entry["response"]["status"] for entry in entries)


def main():
    """Runs, tells what was answered, and ends with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinora", type=pathlib.Path, default=ROOT / "target/release/kinora")
    parser.add_argument("--calls", type=int, default=5000, help="the least number of calls")
    parser.add_argument("--examples", type=int, default=120, help="generated calls of each operation")
    parser.add_argument("--seed", type=int, help="repeats a run")
    args = parser.parse_args()
    program = tool()
    seed = [] if args.seed is None else ["--seed", str(args.seed)]
    with tempfile.TemporaryDirectory(prefix="kinora-fuzz-") as name:
        folder = pathlib.Path(name)
        # Root's PostgreSQL runs as another user, who has to come through.
        folder.chmod(0o755)
        with server(args.kinora.resolve(), folder) as address:
            examples = ["--max-examples", str(args.examples), *seed]
            tokens = [token(address, folder) for _ in range(2)]
            good = run(program, address, tokens[0], folder / "calls.har",
                       ["--exclude-path", LOGOUT, "--exclude-path", UPGRADE, *examples])
            good &= run(program, address, tokens[1], folder / "logout.har",
                        ["--include-path", LOGOUT, "--max-examples", "20", *seed])
        counted = statuses(folder / "calls.har") + statuses(folder / "logout.har")
    calls, failed = sum(counted.values()), sum(count for status, count in counted.items() if status >= 500)
    print(f"fuzz-api: {calls} calls, {failed} of them 5xx; " + ", ".join(f"{s}: {n}" for s, n in sorted(counted.items())))
    if calls < args.calls:
        sys.exit(f"fuzz-api: at least {args.calls} calls were wanted; raise --examples")
    if counted[401] > calls / 4:
        sys.exit("fuzz-api: too many calls had no good token, so that little was tested")
    return 0 if good and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
