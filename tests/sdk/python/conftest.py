"""Every scenario runs straight to the provider and through Sidegate, in each way its client knows: all outcomes must be the same.

A folder is one client, with an environment of its own. Its `client.py` has

    connect(way, **options)   a client for one way
    failure(error)            everything that a program can tell about an error
    ERRORS                    the errors that are an outcome
    WAYS                      the ways through Sidegate
"""

import importlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from both import DIRECT, Scenario, counters, outcome


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """For what can't be compared: each way in turn."""
    if "way" in metafunc.fixturenames:
        ways = [DIRECT, *importlib.import_module("client").WAYS]
        metafunc.parametrize("way", ways, ids=lambda way: way.name)


@pytest.fixture(scope="session")
def client() -> Any:
    """What there is to know about the client at hand."""
    return importlib.import_module("client")


@pytest.fixture
def same(client: Any) -> Callable[..., Any]:
    """Runs a scenario in all ways, compares, and returns the outcome for a closer look.

    The requests that the provider has seen are a part of it, unless `count` says that they depend on time.
    """

    def run(scenario: Scenario, count: bool = True, **options: Any) -> Any:
        direct = outcome(scenario, DIRECT, client, **options)
        for way in client.WAYS:
            through = outcome(scenario, way, client, **options)
            assert through.returned == direct.returned, f"by the way {way.name}"
            assert not count or through.requests == direct.requests, f"attempts by the way {way.name}"
        return direct.returned

    return run


@pytest.fixture
def cancels() -> Callable[[Callable[[], Any]], None]:
    """Runs something and waits, with a deadline, until the provider has seen one cancel more."""

    def run(leave: Callable[[], Any]) -> None:
        before = counters()["cancelled"]
        leave()
        deadline = time.monotonic() + 5
        while counters()["cancelled"] == before:
            assert time.monotonic() < deadline, "the provider was not told that the client had left"

    return run
