"""A provider that a story directs: it tells which keys it was asked with, and its streams go on when they may."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FIRST = 'data: {"choices":[{"index":0,"delta":{"content":"first"}}]}\n\n'
REST = 'data: {"choices":[{"index":0,"delta":{"content":"last"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
REPLY = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "served"}}]}


class Provider(ThreadingHTTPServer):
    """Use as a context. `keys` are those of all requests so far, in their order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.keys: list[str] = []
        self.go_on = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        """What a config calls it by."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def __exit__(self, *raised: object) -> None:
        self.go_on.set()
        self.shutdown()
        self._thread.join()
        super().__exit__(*raised)


class Exchange(BaseHTTPRequestHandler):
    """One connection from Sidegate."""

    protocol_version = "HTTP/1.1"
    server: Provider

    def do_POST(self) -> None:
        """A chat completion, whatever the path."""
        ask = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.keys.append(self.headers.get("authorization", "").removeprefix("Bearer "))
        self.send_response(200)
        if ask.get("stream"):
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self._chunk(FIRST)
            self.server.go_on.wait(60)
            self._chunk(REST)
            self._chunk("")
        else:
            body = json.dumps(REPLY).encode()
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _chunk(self, text: str) -> None:
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """What it was asked is in `keys`."""
