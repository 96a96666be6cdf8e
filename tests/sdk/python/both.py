"""The ways to the provider, and what is compared between them: the same for every client."""

import dataclasses
import json
import os
import urllib.request
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to the provider."""

    name: str
    origin: str
    http2: bool = False
    # Where the proxy's operator asks; nobody does on the way straight to the provider.
    admin: str | None = None

    def url(self, path: str) -> str:
        """The base URL that a client is given."""
        return self.origin + path


DIRECT = Way("direct", os.environ["DIRECT_URL"])
# Without the proxy there is one way, and every scenario is compared with itself.
PLAIN = Way("sidegate", os.environ.get("SIDEGATE_URL") or DIRECT.origin, admin=os.environ.get("SIDEGATE_ADMIN_URL"))
TLS = Way("sidegate-tls", os.environ.get("SIDEGATE_TLS_URL") or DIRECT.origin, admin=os.environ.get("SIDEGATE_TLS_ADMIN_URL"))
# Python's clients speak HTTP/2 over TLS alone.
H2 = Way("sidegate-h2", TLS.origin, http2=True, admin=TLS.admin)

Scenario = Callable[[Any], Any]


def plain(value: Any) -> Any:
    """What a client returned, as data that can be compared."""
    if hasattr(value, "model_dump"):
        return value.model_dump(warnings=False)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def fetched(url: str, method: str = "GET") -> Any:
    """What the provider, or a proxy's operator, is told there."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as reply:
        return json.load(reply)


def counters() -> dict[str, int]:
    """What the provider has counted so far."""
    return fetched(DIRECT.url("/simulator/counters"))


def forget_refusals(way: Way) -> None:
    """Makes the proxy's keys sound again. One that a scenario had refused would be asked once a second, and the next one wait for it."""
    if way.admin:
        for key in fetched(f"{way.admin}/keys")["keys"]:
            if key["last_error"]:
                fetched(f"{way.admin}/keys/{key['id']}/reset", "POST")


@dataclasses.dataclass
class Outcome:
    """What a program gets from one scenario, and what it cost the provider."""

    returned: Any
    requests: int


def outcome(scenario: Scenario, way: Way, client: Any, connect: Callable[..., Any] | None = None, **options: Any) -> Outcome:
    """What the scenario returned, or how it failed. `client` is the module that knows the client at hand."""
    before = counters()["requests"]
    try:
        returned = plain(scenario((connect or client.connect)(way, **options)))
    except client.ERRORS as error:
        returned = client.failure(error)
    finally:
        forget_refusals(way)
    return Outcome(returned, counters()["requests"] - before)
