#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry for tests, of OCI layouts (OCI distribution-spec 1.0, "Pull"): repository HOW/ANY/NAME is the layout DIR/NAME.

usage: registry.py DIR PORT_FILE LOG [CERT KEY]

Listens on a port of 127.0.0.1 (plain HTTP, or TLS with CERT and KEY), writes its number to PORT_FILE and a line for each
request to LOG. HOW says how it behaves:
  good/...      as it should
  liar/...      the manifest's digest is right, a layer's bytes are not
  hang/...      accepts a request and never answers
  stuck/...     sends half of a layer and then nothing
  drip/...      sends a layer a byte a second
  locked/...    401
  private/...   401, but for those who say "baton" and "wolpertinger" (RFC 7617). Clients say so only to a registry that
                asks at /v2/, as this one does with REGISTRY_ASKS set
"""
import base64
import http.server
import json
import os
import re
import socketserver
import ssl
import sys
import threading
import time

layouts, port_file, log_path = sys.argv[1:4]
log = open(log_path, "a", buffering=1)
for_ever = threading.Event()


def blob(layout, digest):
    path = os.path.join(layouts, layout, "blobs", "sha256", digest.removeprefix("sha256:"))
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return None


def manifest(layout, reference):
    """By tag or by digest: its descriptor and bytes. A digest nobody has gets the latest one, as a liar would."""
    with open(os.path.join(layouts, layout, "index.json")) as f:
        entries = json.load(f)["manifests"]
    for d in entries:
        tag = d["annotations"]["org.opencontainers.image.ref.name"]
        if reference in (tag, d["digest"]) or reference.startswith("sha256:"):
            return d, blob(layout, d["digest"])
    return None, None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *unused):
        pass

    def answer(self, status, body=b"", kind="application/json", digest=None, half=False, drip=False):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="baton"')
        self.end_headers()
        if self.command == "HEAD":
            return
        if drip:
            return self.drip(body)
        self.wfile.write(body[: len(body) // 2] if half else body)
        if half:
            self.wfile.flush()
            for_ever.wait()

    def drip(self, body):
        self.close_connection = True
        try:
            for at in range(len(body)):
                self.wfile.write(body[at : at + 1])
                time.sleep(1)
        except BrokenPipeError:
            pass  # Its client gave it up.

    def refuse(self, status, code):
        self.answer(status, json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode())

    def do_GET(self):
        log.write(f"{self.command} {self.path}\n")
        if self.path == "/v2/":
            return self.refuse(401, "UNAUTHORIZED") if "REGISTRY_ASKS" in os.environ else self.answer(200, b"{}")
        m = re.fullmatch(r"/v2/(\w+)/.+/(\w+)/(manifests|blobs)/([^/]+)", self.path)
        if not m:
            return self.refuse(404, "NAME_UNKNOWN")
        how, layout, what, reference = m.groups()
        if how == "hang":
            for_ever.wait()
        known = self.headers.get("Authorization") == "Basic " + base64.b64encode(b"baton:wolpertinger").decode()
        if how == "locked" or (how == "private" and not known):
            return self.refuse(401, "UNAUTHORIZED")
        if what == "manifests":
            d, body = manifest(layout, reference)
            if d is None:
                return self.refuse(404, "MANIFEST_UNKNOWN")
            return self.answer(200, body, d["mediaType"], d["digest"])
        body = blob(layout, reference)
        if body is None:
            return self.refuse(404, "BLOB_UNKNOWN")
        is_layer = not body.startswith(b"{")
        if how == "liar" and is_layer:
            body = b"x" + body[1:]
        return self.answer(200, body, "application/octet-stream", reference, half=how == "stuck" and is_layer,
                           drip=how == "drip" and is_layer)

    do_HEAD = do_GET


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


def listen():
    for port in range(12000 + os.getpid() % 4000, 20000):  # Below the ports that the kernel gives to clients.
        try:
            return Server(("127.0.0.1", port), Handler)
        except OSError:
            continue
    sys.exit("no port is free")


server = listen()
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(port_file + ".new", "w") as f:
    f.write(str(server.server_port))
os.rename(port_file + ".new", port_file)
server.serve_forever()
