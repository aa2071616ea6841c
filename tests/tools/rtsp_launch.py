"""A camera of any kind: serves a GStreamer launch line over RTSP or RTSPS at /camera; prints the port when ready.

Each client gets a stream of its own from the beginning, so that a clip can be counted.

usage: rtsp_launch.py LAUNCH [--auth none|basic|digest] [--user NAME] [--password WORD] [--tls PEM]
"""

import argparse

import gi

gi.require_version("Gio", "2.0")
gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("launch")
parser.add_argument("--auth", choices=["none", "basic", "digest"], default="none")
parser.add_argument("--user", default="viewer")
parser.add_argument("--password", default="secret")
parser.add_argument("--tls", help="a PEM file with a certificate and its key")
options = parser.parse_args()


Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")

factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(options.launch)

if options.auth != "none" or options.tls:
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
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for what in ("access", "construct"):
        permissions.add_permission_for_role("viewer", f"media.factory.{what}", True)
    factory.set_permissions(permissions)

server.get_mount_points().add_factory("/camera", factory)
if server.attach(None) == 0:
    raise SystemExit("no port can be bound")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
