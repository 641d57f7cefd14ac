"""The web worker of the example: counts its visitors in redis. nginx stands in front of it."""

from __future__ import annotations

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from resp import ask, connect


class Page(BaseHTTPRequestHandler):
    """One page, made anew for each request."""

    def do_GET(self) -> None:
        """Answer with what redis says, or 503 when it is away: respawnd is bringing it back."""
        try:
            with connect() as redis:
                visits, schema = ask(redis, "INCR", "visits"), ask(redis, "GET", "schema")
        except OSError as error:
            self.reply(503, f"redis is away: {error}\n")
        else:
            self.reply(200, f"visit {visits} to worker {os.getpid()}, schema {schema}\n")

    def reply(self, status: int, text: str) -> None:
        """Send a short text."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until TERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page) as server:
        print(f"serving on port {server.server_port}")
        server.serve_forever()


if __name__ == "__main__":
    main()
