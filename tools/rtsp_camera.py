#!/usr/bin/python3
"""An RTSP camera that shows a clip for ever: GStreamer's RTSP server, with or without a password.

The clip's H.264 access units are read once and sent again and again with times that go on, so a viewer sees one
endless stream. Nothing is encoded. It is a camera for demonstrations and tests, not a media server.
Assumes Debian's python3-gi, gir1.2-gst-rtsp-server-1.0 and GStreamer's base, good and bad plugins.
"""

import argparse
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402,F401

ROLE = "viewer"


class Clip:
    """The access units of a clip, in decoding order."""

    def __init__(self, path):
        self.units = []
        self.caps = None
        pipeline = Gst.parse_launch(
            "filesrc name=file ! qtdemux name=demux demux.video_0 ! h264parse"
            " ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=units sync=false"
        )
        pipeline.get_by_name("file").set_property("location", path)
        sink = pipeline.get_by_name("units")
        pipeline.set_state(Gst.State.PLAYING)
        while sample := sink.emit("pull-sample"):
            buffer = sample.get_buffer()
            self.caps = self.caps or sample.get_caps()
            data = buffer.extract_dup(0, buffer.get_size())
            self.units.append((data, buffer.pts, buffer.dts, buffer.duration))
        pipeline.set_state(Gst.State.NULL)
        if not self.units:
            sys.exit(f"rtsp_camera: {path}: no H.264 video in an MP4 container")
        self.duration = max(pts + duration for _, pts, _, duration in self.units)
        self.duration -= min(pts for _, pts, _, _ in self.units)


class Camera(GstRtspServer.RTSPMediaFactory):
    """One shared stream for all viewers; each new one joins at the next parameter sets."""

    def __init__(self, clip):
        super().__init__()
        self.clip = clip
        self.set_shared(True)
        self.set_launch(
            "( appsrc name=source is-live=true format=time max-bytes=500000 block=false"
            " ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
        )
        self.connect("media-configure", self.configure)

    def configure(self, _factory, media):
        """A viewer came to an empty room: the clip begins."""
        source = media.get_element().get_by_name("source")
        source.set_property("caps", self.clip.caps)
        source.connect("need-data", self.feed, {"next": 0})

    def feed(self, source, _length, place):
        """Gives the next access unit; the sink waits until its time has come."""
        loops, index = divmod(place["next"], len(self.clip.units))
        data, pts, dts, duration = self.clip.units[index]
        buffer = Gst.Buffer.new_wrapped(data)
        offset = loops * self.clip.duration
        buffer.pts, buffer.duration = pts + offset, duration
        if dts != Gst.CLOCK_TIME_NONE:
            buffer.dts = dts + offset
        place["next"] += 1
        source.emit("push-buffer", buffer)


def authentication(user, password, scheme, factory):
    """Lets only this user watch."""
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role(ROLE, permission, True)
    factory.set_permissions(permissions)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", ROLE)
    auth = GstRtspServer.RTSPAuth()
    if scheme == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    return auth


def main():
    """Serves until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="An RTSP camera that shows a clip for ever.")
    parser.add_argument("clip", help="MP4 with H.264")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", default="8554", help="0 takes any free one (default: 8554)")
    parser.add_argument("--path", default="/dancer")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--auth", choices=["basic", "digest"], default="digest")
    args = parser.parse_args()
    if (args.user is None) != (args.password is None):
        parser.error("--user and --password go together")

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address(args.address)
    server.set_service(args.port)
    factory = Camera(Clip(args.clip))
    if args.user is not None:
        server.set_auth(authentication(args.user, args.password, args.auth, factory))
    server.get_mount_points().add_factory(args.path, factory)
    if server.attach(None) == 0:
        sys.exit(f"rtsp_camera: cannot listen on {args.address}:{args.port}")
    loop = GLib.MainLoop()
    for name in (signal.SIGINT, signal.SIGTERM):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, name, loop.quit)
    print(f"rtsp://{args.address}:{server.get_bound_port()}{args.path}", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
