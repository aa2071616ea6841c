"""What the measurements ran on, and what the kernel counts of a process."""

import datetime
import os
import pathlib
import re
import subprocess
import sys
import time

TICK = os.sysconf("SC_CLK_TCK")
# Of the flags of a processor, those that choose Kinora's kernels.
FLAGS = ("avx2", "fma", "avx512f", "avx512bw", "avx512_bf16", "amx_bf16")


def processor():
    """What `lscpu` says, and those of its flags that matter here."""
    lscpu = dict(re.findall(r"^([^:\n]+):\s+(.*)$", text("lscpu"), re.MULTILINE))
    return lscpu, [flag for flag in FLAGS if flag in lscpu.get("Flags", "").split()]


def judged():
    """Whether requirements are for this processor."""
    return "avx512_bf16" in processor()[1]


def described():
    """Processor, cores, flags, commit and date in one line."""
    lscpu, flags = processor()
    dirty = "" if not text("git", "status", "--porcelain", "--untracked-files=no") else " with changes"
    commit = text("git", "rev-parse", "--short=12", "HEAD").strip()
    today = datetime.date.today().isoformat()
    model = lscpu.get("Model name", "an unknown processor")
    numbers = f"family {lscpu.get('CPU family', '?')}, model {lscpu.get('Model', '?')}"
    return (f"{model} ({numbers}), {os.cpu_count()} cores, {' '.join(flags) or 'no AVX2'};"
            f" {text('ffmpeg', '-version').split(' Copyright')[0]}; commit {commit}{dirty}; {today}")


def load():
    """Average number of processes that wanted to run in the last minute."""
    return os.getloadavg()[0]


def text(*command):
    """Standard output of a command that must succeed; what it says beside that is shown only if it fails."""
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"bench: `{' '.join(done.args)}` failed:\n{done.stderr}")
    return done.stdout


def timed(*command):
    """Runs a command that must succeed: seconds by the clock and seconds of processors."""
    before, start = os.times(), time.monotonic()
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds, after = time.monotonic() - start, os.times()
    ran = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, ran


def processor_seconds(pid):
    """What a process has run so far, all its threads together."""
    # The name in parentheses may hold anything; the fields after it are counted from 3.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid):
    """Resident memory of a process in MiB: now, and at most so far."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    kib = {name: int(re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)[1]) for name in ("VmRSS", "VmHWM")}
    return kib["VmRSS"] / 1024, kib["VmHWM"] / 1024
