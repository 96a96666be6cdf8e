"""Changes of ConfigMaps and Secrets reach a running pod through the volumes that are mounted: no restart, no stream lost."""

import contextlib
import copy
import http.client
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from manifests import rendered, renderings
from pod import Pod, containers, pod_templates, program, within
from provider import Provider
from service import PATH, Connection, Service
from shapes import GATEWAY, SHAPES, Shape, values

# A route more than there is at first.
MORE = {"routes": [{"path": path, "targets": ["openai"]} for path in ("/v1", "/other")]}
Started = Callable[..., Pod]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose name leaves room for that of a Unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def start(provider: Provider, short_path: Path) -> Iterator[Started]:
    """Starts a pod of some shape, with the key `sk-a`."""
    with contextlib.ExitStack() as stack:
        yield lambda shape: stack.enter_context(Pod(shape.documents(provider.base_url, {"a": "sk-a"}), program(), short_path))


class Caller(Connection):
    """A caller with a connection of its own, which it keeps."""

    def __init__(self, pod: Pod) -> None:
        service = Service()
        service.add(pod.endpoint())
        super().__init__(service)

    def head(self, path: str = PATH, **more: Any) -> http.client.HTTPResponse:
        """Sends a request and returns the head of its reply."""
        return self.ask({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], **more}, path=path)

    def status(self, path: str = PATH) -> int:
        """What a request is answered with."""
        reply = self.head(path)
        reply.read()
        return reply.status


def generation(pod: Pod) -> float:
    return pod.metric("sidegate_config_generation")


def test_no_volume_is_mounted_by_sub_path() -> None:
    """The kubelet never brings a change to such a mount."""
    seen = 0
    for name, documents in renderings().items():
        for template in pod_templates(documents):
            for container in containers(template["spec"]):
                for mount in container.get("volumeMounts", []):
                    seen += 1
                    assert "subPath" not in mount and "subPathExpr" not in mount, f"{name}: {container['name']}: {mount}"
    assert seen >= 10, f"found only {seen} mounts"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_new_config_is_in_force_without_a_restart_and_no_stream_is_lost(shape: Shape, provider: Provider, start: Started) -> None:
    pod = start(shape)
    caller, streaming = Caller(pod), Caller(pod)
    assert (caller.status(), caller.status("/other/chat/completions")) == (200, 404)
    stream = streaming.head(stream=True)
    assert b"first" in stream.readline()
    process, socket = pod.running.pid, caller.sock
    pod.apply(shape.documents(provider.base_url, {"a": "sk-a"}, **MORE))
    within("the new config is in force", lambda: generation(pod) == 2)
    assert caller.status("/other/chat/completions") == 200, "the new route"
    assert caller.sock is socket, "over the connection that was open before"
    provider.go_on.set()
    assert stream.read().endswith(b"data: [DONE]\n\n"), "the stream comes to its own end"
    assert (pod.running.pid, pod.running.poll()) == (process, None)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_key_that_is_added_carries_requests_and_one_that_is_removed_gets_no_more(shape: Shape, provider: Provider, start: Started) -> None:
    pod = start(shape)
    caller, streaming = Caller(pod), Caller(pod)
    stream = streaming.head(stream=True)
    assert b"first" in stream.readline()
    pod.apply(shape.documents(provider.base_url, {"a": "sk-a", "b": "sk-b"}))
    within("there are two keys", lambda: generation(pod) == 2)
    within("the new one is used", lambda: caller.status() == 200 and "sk-b" in provider.keys)
    pod.apply(shape.documents(provider.base_url, {"b": "sk-b"}))
    within("there is one key", lambda: generation(pod) == 3)
    before = len(provider.keys)
    assert {caller.status() for _ in range(10)} == {200}
    assert set(provider.keys[before:]) == {"sk-b"}
    provider.go_on.set()
    assert stream.read().endswith(b"data: [DONE]\n\n"), "what the removed key carried is finished"


def test_a_key_that_is_exchanged_under_its_name_is_taken_up(provider: Provider, start: Started) -> None:
    pod = start(GATEWAY)
    caller = Caller(pod)
    assert (caller.status(), provider.keys) == (200, ["sk-a"])
    pod.apply(GATEWAY.documents(provider.base_url, {"a": "sk-renewed"}))
    within("the new one is in force", lambda: generation(pod) == 2)
    assert (caller.status(), provider.keys) == (200, ["sk-a", "sk-renewed"])


def test_keys_that_stand_in_the_values_reach_the_pod_by_the_same_way(provider: Provider, short_path: Path) -> None:
    def written(**keys: str) -> dict[str, Any]:
        return values(provider.base_url) | {"keys": {"openai": {"values": keys}}}

    with Pod(rendered(written(a="sk-a")), program(), short_path) as pod:
        caller = Caller(pod)
        assert caller.status() == 200
        pod.apply(rendered(written(b="sk-b")))
        within("the other key is in force", lambda: generation(pod) == 2)
        assert (caller.status(), provider.keys) == (200, ["sk-a", "sk-b"])


def test_a_broken_config_is_refused_and_the_last_good_one_serves_until_it_is_mended(provider: Provider, start: Started) -> None:
    pod = start(GATEWAY)
    broken = copy.deepcopy(GATEWAY.documents(provider.base_url, {"a": "sk-a"}))
    [config] = [document for document in broken if "proxy.yaml" in document.get("data", {})]
    # By hand: the chart would not let it through.
    config["data"]["proxy.yaml"] = config["data"]["proxy.yaml"].replace("routes:", "rotues:")
    caller = Caller(pod)
    pod.apply(broken)
    within("it is refused", lambda: pod.metric("sidegate_config_last_reload_success") == 0)
    assert (generation(pod), pod.probe("readinessProbe"), caller.status()) == (1, True, 200)
    assert "rotues" in pod.get("/config", pod.admin())[1], "an operator is told why"
    pod.apply(GATEWAY.documents(provider.base_url, {"a": "sk-a"}, **MORE))
    within("the mended one is in force", lambda: pod.metric("sidegate_config_last_reload_success") == 1)
    assert (generation(pod), caller.status("/other/chat/completions")) == (2, 200)
