"""A web server on this machine, with the moods that servers have."""

from __future__ import annotations

import contextlib
import http.server
import threading


class Server:
    """What it serves, how it behaves, and what it was asked.

    Attributes:
        files: path -> content.
        tag: the ETag of all files; none when None.
        cuts: after how many bytes the next connections break, one entry each.
        ranges: whether requests for a part are answered with one.
        requests: (path, Range header) of each request.
    """

    def __init__(self, url):
        self.url = url
        self.files = {}
        self.tag = '"1"'
        self.cuts = []
        self.ranges = True
        self.requests = []

    def publish(self, name, content):
        """Serve a file; its URL."""
        self.files[f"/{name}"] = content
        return f"{self.url}/{name}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server_state: Server

    def log_message(self, *args):
        pass

    def do_GET(self):
        state = self.server_state
        wanted = self.headers.get("Range")
        state.requests.append((self.path, wanted))
        if self.path not in state.files:
            self.send_error(404)
            return
        content, start = state.files[self.path], 0
        if wanted and state.ranges and self.headers.get("If-Range") == state.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if state.tag:
            self.send_header("ETag", state.tag)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[: state.cuts.pop(0)] if state.cuts else body)


@contextlib.contextmanager
def serving():
    """A server for the duration of a `with`."""

    class Handler(_Handler):
        pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Handler.server_state = Server(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Handler.server_state
        finally:
            server.shutdown()
            thread.join()
