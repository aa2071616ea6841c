#!/usr/bin/python3
"""A sender that is not ffmpeg: plays a GStreamer launch line, in which what is sent passes the element `due`.

With --times it writes down when each picture was due: `frame PTS RUNNING-TIME` in nanoseconds, and `origin UNIX-TIME` of
running time 0 in microseconds; of several the last counts. With --begin the timestamps of the element `mux` begin at so
many seconds. It prints `playing` and ends with its clip; what ends it early is an error.

usage: gst_sender.py LAUNCH [--times FILE] [--begin SECONDS]
"""

import argparse
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("launch")
parser.add_argument("--times", help="a file for the moments at which pictures were due")
parser.add_argument("--begin", type=float, default=0, help="where the timestamps of `mux` begin, in seconds")
options = parser.parse_args()

Gst.init(None)
pipeline = Gst.parse_launch(options.launch)
loop = GLib.MainLoop()
fault = []


def picture(pad, info, times):
    """Writes down a picture that passes."""
    segment = pad.get_sticky_event(Gst.EventType.SEGMENT, 0).parse_segment()
    pts = info.get_buffer().pts
    print("frame", pts, segment.to_running_time(Gst.Format.TIME, pts), file=times, flush=True)
    clock = pipeline.get_clock()
    if clock:
        running = clock.get_time() - pipeline.get_base_time()
        print("origin", (time.time_ns() - running) // 1000, file=times, flush=True)
    return Gst.PadProbeReturn.OK


def message(_bus, told):
    """Ends with the clip, or with what went wrong."""
    if told.type == Gst.MessageType.ERROR:
        fault.append(told.parse_error()[0].message)
    if told.type in (Gst.MessageType.EOS, Gst.MessageType.ERROR):
        loop.quit()


if options.times:
    pad = pipeline.get_by_name("due").get_static_pad("src")
    pad.add_probe(Gst.PadProbeType.BUFFER, picture, open(options.times, "w", encoding="ascii"))
if options.begin:
    for pad in pipeline.get_by_name("mux").sinkpads:
        pad.set_offset(int(options.begin * Gst.SECOND))
bus = pipeline.get_bus()
bus.add_signal_watch()
bus.connect("message", message)
pipeline.set_state(Gst.State.PLAYING)
print("playing", flush=True)
loop.run()
pipeline.set_state(Gst.State.NULL)
sys.exit(fault[0] if fault else 0)
