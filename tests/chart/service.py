"""A Service as kube-proxy makes it of pods, and clients that use it: what a rollout means to callers.

A new connection goes to one of the endpoints that this node has heard of; one that is open stays where it is. Nothing is sent a second
time: a request that fails in any way is lost.
"""

import contextlib
import http.client
import json
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

PATH = "/v1/chat/completions"
LOOPBACK = "127.0.0.1"
Endpoint = int | str


class Service:
    """The endpoints: ports of loopback, or paths of Unix sockets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._endpoints: list[Endpoint] = []

    def add(self, endpoint: Endpoint) -> None:
        """A pod is ready."""
        with self._lock:
            self._endpoints.append(endpoint)

    def remove(self, endpoint: Endpoint) -> None:
        """This node has heard that a pod is leaving."""
        with self._lock:
            self._endpoints.remove(endpoint)

    def pick(self) -> Endpoint:
        """Where a new connection goes."""
        with self._lock:
            return random.choice(self._endpoints)


class Connection(http.client.HTTPConnection):
    """A client's connection. It looks before it sends, as HTTP clients do: one that was closed while idle is replaced."""

    def __init__(self, service: Service) -> None:
        super().__init__(LOOPBACK, timeout=30)
        self.service = service

    def connect(self) -> None:
        """Where the Service says."""
        endpoint = self.service.pick()
        if isinstance(endpoint, int):
            self.sock = socket.create_connection((LOOPBACK, endpoint), 30)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(30)
            self.sock.connect(endpoint)

    def ask(self, body: dict[str, object], headers: dict[str, str] | None = None, path: str = PATH) -> http.client.HTTPResponse:
        """Sends a request and returns the head of its reply."""
        if self.sock and select.select([self.sock], [], [], 0)[0]:
            self.close()
        self.request("POST", path, json.dumps(body), {"content-type": "application/json"} | (headers or {}))
        return self.getresponse()


class Load:
    """Steady traffic to a Service until `stop`: kept-alive clients, clients that connect for each request, and streams."""

    def __init__(self, service: Service, *, kept: int, fresh: int, streams: int, tokens: int) -> None:
        self.service = service
        self.requests = 0
        self.streams = 0
        self.lost: list[str] = []
        self.open_streams = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        kinds: list[tuple[Callable[[], None], int]] = [(self._kept, kept), (self._fresh, fresh), (lambda: self._streams(tokens), streams)]
        self._threads = [threading.Thread(target=kind, daemon=True) for kind, number in kinds for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Everybody finishes what is under way, and nobody asks again."""
        self._over.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a client hangs"

    def _kept(self) -> None:
        connection = Connection(self.service)
        while not self._over.is_set():
            with self._counted("kept alive"):
                self._request(connection)
            time.sleep(random.uniform(0.02, 0.12))
        connection.close()

    def _fresh(self) -> None:
        while not self._over.is_set():
            connection = Connection(self.service)
            with self._counted("fresh"):
                self._request(connection, {"connection": "close"})
            connection.close()
            time.sleep(random.uniform(0.02, 0.12))

    def _streams(self, tokens: int) -> None:
        while not self._over.is_set():
            # Of all lengths up to the longest, so that they begin and end at all times.
            length = random.randint(tokens // 2, tokens)
            connection = Connection(self.service)
            with self._counted("stream"):
                self._stream(connection, length)
            connection.close()

    @contextlib.contextmanager
    def _counted(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError, AssertionError) as error:
            with self._lock:
                self.lost.append(f"{what}: {error!r}")
            # Somebody who is refused does not ask again at once.
            time.sleep(0.1)

    def _request(self, connection: Connection, headers: dict[str, str] | None = None) -> None:
        try:
            reply = connection.ask({"model": "gpt-4o", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}, headers)
            body = reply.read()
        except BaseException:
            connection.close()
            raise
        assert reply.status == 200, f"{reply.status} {body[:200]!r}"
        assert json.loads(body)["choices"], body
        with self._lock:
            self.requests += 1

    def _stream(self, connection: Connection, tokens: int) -> None:
        ask = {"model": "gpt-4o", "stream": True, "max_tokens": tokens, "messages": [{"role": "user", "content": "hi"}]}
        reply = connection.ask(ask, {"connection": "close"})
        assert reply.status == 200, f"{reply.status} {reply.read()[:200]!r}"
        with self._lock:
            self.open_streams += 1
        try:
            # A reply that is cut has no last chunk, and `read` says so.
            body = reply.read()
        finally:
            with self._lock:
                self.open_streams -= 1
        assert body.endswith(b"data: [DONE]\n\n"), f"it ended with {body[-80:]!r}"
        with self._lock:
            self.streams += 1
