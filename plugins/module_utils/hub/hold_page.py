"""The page that a hub's address answers while the hub is away, from a server of this process."""

from __future__ import annotations

import contextlib
import html
import json
import math
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: What is said where nobody knows how long it takes, or it has taken longer.
SOON_SECONDS = 5
CLIENT_SECONDS = 10
#: What is done to a hub that is away.
UPGRADED, RESTORED = "upgraded", "restored"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>JupyterHub is being {doing}</title>
<noscript><meta http-equiv="refresh" content="{seconds}"></noscript>
<style>
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1.1rem/1.5 sans-serif;
  color: #222; background: #fff; }}
main {{ max-width: 32rem; padding: 1.5rem; }}
@media (prefers-color-scheme: dark) {{ body {{ color: #eee; background: #1c1c1c; }} }}
</style>
</head>
<body>
<main role="status">
<h1>JupyterHub is being {doing}</h1>
<p>{text} This page goes on by itself.</p>
</main>
<script>
// A proxy that has just been started knows no hub for a moment.
let missing = 0;
setInterval(async () => {{
  const answer = await fetch(location.href, {{method: "HEAD", cache: "no-store"}}).catch(() => null);
  if (!answer || answer.status >= 500 || (answer.status === 404 && ++missing < 10)) return;
  location.reload();
}}, 1000);
</script>
</body>
</html>
"""


@contextlib.contextmanager
def serving(expected: float | None, doing: str = UPGRADED) -> Iterator[str]:
    """The address on this host that answers the page to every request, for the time of the block.

    ``expected`` is how long the hub is going to be away, in seconds; None where that is not known.
    ``doing`` is what is done to it: `UPGRADED` or `RESTORED`.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(expected, doing)) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _handler(expected: float | None, doing: str) -> type[BaseHTTPRequestHandler]:
    until = time.monotonic() + (expected or 0)

    class Handler(BaseHTTPRequestHandler):
        """Answers that it takes a while: in JSON to programs, as a page to people."""

        protocol_version = "HTTP/1.1"
        timeout = CLIENT_SECONDS

        def _answer(self) -> None:
            left = math.ceil(until - time.monotonic())
            text = f"It takes about {left} more seconds." if left > 0 else "It takes a few more seconds."
            seconds = left if left > 0 else SOON_SECONDS
            for_programs = "/api" in self.path or "text/html" not in self.headers.get("Accept", "text/html")
            if for_programs:
                kind = "application/json"
                body = json.dumps({"status": 503, "message": f"JupyterHub is being {doing}. {text}"})
            else:
                kind = "text/html; charset=utf-8"
                body = _PAGE.format(doing=doing, text=html.escape(text), seconds=seconds)
            data = body.encode()
            self.send_response(503)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After", str(seconds))
            self.send_header("Cache-Control", "no-store")
            # What a request has sent besides is not read.
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)
            self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

        def log_message(self, *_: Any) -> None:
            """Users' requests are nobody's business here."""

    return Handler
