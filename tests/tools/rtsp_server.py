"""A camera of any kind: serves a GStreamer launch line over RTSP or RTSPS at /camera; prints the port when ready.

Each client gets a stream of its own from the beginning, so that a clip can be counted; with --shared all see the same.
With --times it writes down when each picture was due: `frame PTS RUNNING-TIME` in nanoseconds, and `origin UNIX-TIME` of
running time 0 in microseconds; of several the last counts. Sender reports then speak of the same moments.

usage: rtsp_server.py LAUNCH [--port PORT] [--shared] [--auth none|basic|digest] [--user NAME] [--password WORD]
                             [--tls PEM] [--times FILE] [--no-reports]
"""

import argparse
import time

import gi

gi.require_version("Gio", "2.0")
gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("launch")
parser.add_argument("--port", default="0")
parser.add_argument("--shared", action="store_true")
parser.add_argument("--auth", choices=["none", "basic", "digest"], default="none")
parser.add_argument("--user", default="viewer")
parser.add_argument("--password", default="secret")
parser.add_argument("--tls", help="a PEM file with a certificate and its key")
parser.add_argument("--times", help="a file for the moments at which pictures were due")
parser.add_argument("--no-reports", action="store_true", help="no sender report leaves")
options = parser.parse_args()


def authentication():
    """Lets only one user in, or everybody over TLS."""
    auth = GstRtspServer.RTSPAuth()
    if options.tls:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(options.tls))
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if options.auth == "none":
        auth.set_default_token(token)
    elif options.auth == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, options.password, token)
    return auth


def rtpbin(media):
    """What packs the packets and writes the reports."""
    pipeline = media.get_element().get_parent()
    return next(child for child in pipeline.children if child.get_factory().get_name() == "rtpbin")


def drop_reports(media):
    """Nothing of RTCP leaves."""
    pad = rtpbin(media).get_static_pad("send_rtcp_src_0")
    kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
    pad.add_probe(kinds, lambda _pad, _info: Gst.PadProbeReturn.DROP)


class Times:
    """The moments at which the pictures of one client were due."""

    def __init__(self, media, path):
        self.file = open(path, "w", encoding="ascii")
        pad = media.get_element().get_by_name("pay0").get_static_pad("sink")
        pad.add_probe(Gst.PadProbeType.BUFFER, self.picture)
        media.connect("prepared", self.prepared)

    def write(self, *words):
        print(*words, file=self.file, flush=True)

    def picture(self, pad, info):
        segment = pad.get_sticky_event(Gst.EventType.SEGMENT, 0).parse_segment()
        pts = info.get_buffer().pts
        self.write("frame", pts, segment.to_running_time(Gst.Format.TIME, pts))
        payloader = pad.get_parent_element()
        if payloader.get_clock():
            running = payloader.get_clock().get_time() - payloader.get_base_time()
            self.write("origin", (time.time_ns() - running) // 1000)
        return Gst.PadProbeReturn.OK

    def prepared(self, media):
        # By default reports speak of when a packet passed, which is before it waits for its moment.
        rtpbin(media).emit("get-session", 0).set_property("rtcp-sync-send-time", False)


def configure(_factory, media):
    """A client has come."""
    if options.times:
        media.times = Times(media, options.times)
    if options.no_reports:
        media.connect("prepared", drop_reports)


Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(options.port)

factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(options.launch)
factory.set_shared(options.shared)
factory.connect("media-configure", configure)
if options.auth != "none" or options.tls:
    server.set_auth(authentication())
    permissions = GstRtspServer.RTSPPermissions()
    for what in ("access", "construct"):
        permissions.add_permission_for_role("viewer", f"media.factory.{what}", True)
    factory.set_permissions(permissions)

server.get_mount_points().add_factory("/camera", factory)
if server.attach(None) == 0:
    raise SystemExit(f"port {options.port} cannot be bound")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
