"""What is rendered is what an API server takes: by the schemas of the oldest Kubernetes that the chart is for, and of a new one."""

import subprocess

import pytest
import yaml

from conftest import BRIEF, FITTING, SETS, Refused, template

SCHEMAS = __file__.rpartition("/")[0] + "/schemas"
KUBERNETES = ["v1.29", "v1.37"]


def strange(text, kubernetes):
    """What kubeconform finds wrong. No schema is fetched, and a kind without one is an error."""
    name = "{{.ResourceKind}}{{.KindSuffix}}.json"
    places = [part for folder in (kubernetes, "custom") for part in ("-schema-location", f"{SCHEMAS}/{folder}/{name}")]
    ran = subprocess.run(["kubeconform", "-strict", "-summary", *places, "-"], input=text, capture_output=True, text=True, timeout=60, env=BRIEF)
    assert (ran.returncode == 0) == ("Invalid: 0, Errors: 0, Skipped: 0" in ran.stdout), ran.stdout + ran.stderr
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("name, size", FITTING)
def test_every_set_of_values_makes_what_kubernetes_knows(name, size, kubernetes):
    # A field of 1.31; older servers drop what they do not know.
    more = {"service": {"trafficDistribution": ""}} if (name, kubernetes) == ("everything", "v1.29") else None
    made = template(name, more, size=size)
    assert made.all and strange(made.text, kubernetes) == ""


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("name", ["sidecar", "sidecar-socket"])
def test_a_pod_with_the_sidecar_is_one_that_kubernetes_knows(name, kubernetes, sidecar_pod):
    made = sidecar_pod(yaml.safe_load(SETS[name].read_text()))
    assert made.one("Deployment")["spec"]["template"]["spec"]["initContainers"]
    assert strange(made.text, kubernetes) == ""


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize(
    "before, after",
    [
        ("automountServiceAccountToken: false", "automountServiceAccountTokens: false"),
        ("containerPort: 8080", "containerPort: http"),
        ("readOnly: true", "readonly: true"),
        ("unhealthyPodEvictionPolicy", "unhealthyPodsEvictionPolicy"),
        ("averageUtilization", "averageUtilisation"),
        ("podMetricsEndpoints", "endpoints"),
        ("minReplicaCount", "minReplicas"),
        ("metricType", "metrictype"),
    ],
)
def test_a_field_that_is_none_is_found(before, after, kubernetes):
    text = template("gateway").text + "\n---\n" + template("keda").text
    assert before in text and strange(text.replace(before, after), kubernetes)


def test_a_kind_without_a_schema_is_found():
    assert strange("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n", "v1.37")


def test_helm_says_so_when_it_can_render_nothing():
    with pytest.raises(Refused):
        template("gateway", {"mode": "daemon"})
