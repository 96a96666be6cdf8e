"""The plain YAML of `examples/kubernetes` is what an API server takes, and a pod in it is what the restricted standard allows."""

import pytest
import yaml

from conftest import ROOT
from test_kinds import KUBERNETES, strange

EXAMPLES = sorted((ROOT / "examples" / "kubernetes").glob("*.yaml"))


def pods(path):
    documents = [document for document in yaml.safe_load_all(path.read_text()) if document["kind"] == "Deployment"]
    return [document["spec"]["template"]["spec"] for document in documents]


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_what_kubernetes_knows(path, kubernetes):
    assert strange(path.read_text(), kubernetes) == ""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_volume_that_a_container_mounts_is_one_of_its_pod_and_none_is_left_over(path):
    for pod in pods(path):
        containers = pod.get("initContainers", []) + pod["containers"]
        mounted = {mount["name"] for container in containers for mount in container.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_pod_waits_for_its_drain(path):
    documents = {document["kind"]: document for document in yaml.safe_load_all(path.read_text())}
    drain = yaml.safe_load(documents["ConfigMap"]["data"]["proxy.yaml"])["drain"]
    seconds = {"s": 1, "m": 60}
    timeout = int(drain["timeout"][:-1]) * seconds[drain["timeout"][-1]]
    [pod] = pods(path)
    assert pod["terminationGracePeriodSeconds"] > timeout


def test_there_are_examples():
    assert {path.stem for path in EXAMPLES} == {"gateway", "sidecar-loopback", "sidecar-unix-socket"}
