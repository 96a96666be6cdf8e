"""Pods end by the rules of a cluster, under load, and nobody is lost: a rolling update of the gateway, and a sidecar's pod."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from manifests import rendered
from pod import containers, pod_templates, program
from rollout import Crowd, end_together, roll_out, simulated
from shapes import ADMIN_TOKEN, GATEWAY, SIDECARS, Shape, secret, values

# In seconds, and fewer than in service. What lies between the first two is for a machine that is slow.
DELAY, HEARD_AFTER, TIMEOUT = 5, 2, 30
# Streams of two to four seconds.
CROWD = Crowd(kept=6, fresh=3, streams=6, tokens=80)
TOKENS_PER_SECOND = 20
KEYS = {"only": "sk-of-the-pool"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """One whose name leaves room for that of a Unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize("hook", [False, True], ids=["by the signal alone", "by the hook and the signal"])
def test_a_rolling_update_under_load_loses_nobody(hook: bool, folder: Path) -> None:
    drain = {"delay": f"{DELAY}s", "timeout": f"{TIMEOUT}s", "preStop": hook}
    with simulated(program(), tokens_per_second=TOKENS_PER_SECOND) as base_url:
        chosen = values(base_url) | {"drain": drain, "admin": {"token": {"value": ADMIN_TOKEN}}}
        rollout = roll_out([*rendered(chosen), secret(GATEWAY.keys, KEYS)], program(), folder, CROWD, HEARD_AFTER)
    assert rollout.lost == []
    assert rollout.requests > 50 and rollout.streams >= CROWD.streams and rollout.open_streams > 0, rollout
    assert rollout.after > 0, "those who had not heard of it were served"
    end = rollout.end
    assert (end.code, end.killed, end.hook) == (0, False, 0 if hook else None), end
    assert end.seconds < TIMEOUT < end.grace, end


def test_a_node_that_hears_too_late_loses_requests(folder: Path) -> None:
    """The check that these clients see a loss where there is one."""
    with simulated(program(), tokens_per_second=TOKENS_PER_SECOND) as base_url:
        chosen = values(base_url) | {"drain": {"delay": "0s", "timeout": f"{TIMEOUT}s"}}
        rollout = roll_out([*rendered(chosen), secret(GATEWAY.keys, KEYS)], program(), folder, CROWD, HEARD_AFTER)
    assert any("ConnectionRefused" in lost for lost in rollout.lost), rollout


@pytest.mark.parametrize("shape", SIDECARS, ids=lambda shape: shape.name)
def test_a_sidecar_serves_its_application_to_the_end_and_goes_after_it(shape: Shape, folder: Path) -> None:
    with simulated(program(), tokens_per_second=TOKENS_PER_SECOND) as base_url:
        end, load = end_together(shape.documents(base_url, KEYS), program(), folder, CROWD, works_on=1)
    assert (load.lost, end.code, end.killed) == ([], 0, False), end
    assert load.requests > 20 and load.streams >= CROWD.streams
    assert end.seconds - end.signalled < 10, f"it stayed behind: {end}"


def test_a_sidecar_that_drains_in_a_hook_leaves_its_application_alone(folder: Path) -> None:
    """Why no sidecar has one: hooks run before anybody's turn to end."""
    hook = {"preStop": {"exec": {"command": ["/sidegate", "drain", "--config", "/etc/sidegate/proxy.yaml"]}}}
    [loopback] = [shape for shape in SIDECARS if shape.name == "example-sidecar-loopback"]
    with simulated(program(), tokens_per_second=TOKENS_PER_SECOND) as base_url:
        documents = loopback.documents(base_url, KEYS)
        [sidecar] = [one for template in pod_templates(documents) for one in containers(template["spec"]) if one["name"] == "sidegate"]
        sidecar["lifecycle"] = hook
        end, load = end_together(documents, program(), folder, CROWD, works_on=1)
    assert end.hook == 0 and any("ConnectionRefused" in lost for lost in load.lost), (end, load.lost)
