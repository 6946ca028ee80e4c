"""A server of one archive that behaves, or does not, as a test plans it."""

import http.server
import os
import re
import threading
import time

import pytest
from cifar_files import PYTHON_10, archive_bytes, files, small_set

from minise.data import fetch

ARCHIVE = archive_bytes(PYTHON_10)
TABLE = {"cifar10": small_set("cifar10")}
SIZE = len(ARCHIVE)


class Server(http.server.ThreadingHTTPServer):
    """Serves the archive. `plan` says what to do with each request in turn; after that, all is well."""

    daemon_threads = True

    def __init__(self, body=ARCHIVE):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.plan, self.asked, self.ranges = body, [], [], True
        self.etag, self.length = '"1"', True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/mirror/"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server, headers = self.server, self.headers
        server.asked.append((self.path, headers.get("Range"), headers.get("If-Range")))
        action = server.plan.pop(0) if server.plan else "send"
        if isinstance(action, int):
            return self.send_error(action)
        if action == "hang up":
            return self.connection.close()
        if action == "hang":
            time.sleep(1)
            return None
        if action == "redirect":
            self.send_response(302)
            self.send_header("Location", "/elsewhere" + self.path)
            return self.end_headers()
        start = self.start()
        if start >= len(server.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.body)}")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            shift = 1 if action == "wrong range" else 0
            extent = f"bytes {start + shift}-{len(server.body) - 1}/{len(server.body)}"
            self.send_header("Content-Range", extent)
        if server.length:
            self.send_header("Content-Length", str(len(server.body) - start))
        self.send_header("ETag", server.etag)
        self.end_headers()
        rest = server.body[start:]
        self.wfile.write(rest[: len(rest) // 2] if action == "drop" else rest)
        return None

    def start(self):
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", self.server.etag) == self.server.etag
        return int(asked[1]) if asked and same and self.server.ranges else 0


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("MINISE_MIRROR", raising=False)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server, place, **options):
    return fetch("cifar10", place, mirror=server.url, table=TABLE, pause=0, **options)


def assert_complete(folder):
    assert folder.name == PYTHON_10.folder
    assert os.listdir(folder.parent) == [PYTHON_10.folder]  # no part, no lock, no archive, no half a folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files(PYTHON_10)
