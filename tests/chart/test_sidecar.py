"""The sidecar in the pods of another chart: it starts before the application, ends after it, and is reached by it alone."""

import pytest
import yaml

from conftest import CHART, SETS, SIZES, Refused, helm, refusal, template


def values(name):
    return yaml.safe_load(SETS[name].read_text())


@pytest.fixture(params=["sidecar", "sidecar-socket"])
def pod(request, sidecar_pod):
    return sidecar_pod(values(request.param)).pod()


def test_it_is_a_native_sidecar_that_the_application_waits_for(pod):
    [proxy] = pod["initContainers"]
    assert (proxy["name"], proxy["restartPolicy"]) == ("sidegate", "Always")
    # Without a startup probe the application would start as soon as the process has.
    assert proxy["startupProbe"]["httpGet"]["path"] == "/livez"
    assert [container["name"] for container in pod["containers"]] == ["application"]


def test_it_has_no_hook_that_would_end_it_before_the_application(pod):
    assert "lifecycle" not in pod["initContainers"][0]
    assert "the hooks of all containers run at once" in refusal("sidecar", {"drain": {"preStop": True}})


def test_nobody_is_left_to_wait_for_when_it_ends():
    assert template("sidecar").config()["drain"] == {"delay": "0s", "timeout": "20s"}


def test_other_pods_do_not_reach_its_listener():
    assert template("sidecar").config()["listen"]["address"] == "127.0.0.1:8080"
    moved = template("sidecar", {"listen": {"port": 18080}, "admin": {"port": 18081}})
    assert moved.config()["listen"]["address"] == "127.0.0.1:18080"
    assert moved.config()["admin"]["address"] == "0.0.0.0:18081"


def test_a_shared_socket_is_in_a_directory_that_both_containers_mount(sidecar_pod):
    made = sidecar_pod(values("sidecar-socket"))
    assert made.config()["listen"]["address"] == "unix:/run/sidegate/sidegate.sock"
    [proxy], [application] = made.pod()["initContainers"], made.pod()["containers"]
    mount = {"name": "sidegate-socket", "mountPath": "/run/sidegate"}
    assert mount in proxy["volumeMounts"] and mount in application["volumeMounts"]
    assert {"name": "sidegate-socket", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}} in made.pod()["volumes"]
    # Others than its own user can't open it.
    assert proxy["securityContext"]["runAsUser"] == 1000
    assert [port["name"] for port in proxy["ports"]] == ["sidegate-admin"]


def test_without_a_socket_the_application_mounts_nothing(sidecar_pod):
    made = sidecar_pod(values("sidecar"))
    assert "volumeMounts" not in made.pod()["containers"][0]
    assert not [volume for volume in made.pod()["volumes"] if "emptyDir" in volume]


def test_its_container_and_its_config_come_from_one_set_of_values(sidecar_pod):
    made = sidecar_pod(values("sidecar"))
    [config] = made.every("ConfigMap")
    volumes = {volume["name"]: volume for volume in made.pod()["volumes"]}
    assert volumes["sidegate-config"]["configMap"]["name"] == config["metadata"]["name"]


def test_a_change_that_needs_a_restart_replaces_the_applications_pods_and_no_other_does(sidecar_pod):
    def annotations(config):
        made = sidecar_pod(values("sidecar") | {"config": config})
        return made.one("Deployment")["spec"]["template"]["metadata"]["annotations"]

    assert annotations({"log": {"level": "debug"}}) == annotations({})
    assert annotations({"listen": {"workers": 7}}) != annotations({})


def test_a_chart_that_forgot_the_mode_is_told(sidecar_pod):
    with pytest.raises(Refused, match="needs `mode: sidecar`"):
        sidecar_pod(values("gateway"))


def test_a_bad_sidecar_is_refused_in_the_other_chart_too(sidecar_pod):
    with pytest.raises(Refused, match="has no key: write"):
        sidecar_pod({"mode": "sidecar", "keys": {"openai": {}}})


def test_an_application_may_go_without_it(sidecar_pod):
    without = sidecar_pod(values("sidecar-socket") | {"enabled": False})
    assert without.kinds() == ["Deployment"]
    assert set(without.pod()) == {"automountServiceAccountToken", "containers", "securityContext", "terminationGracePeriodSeconds"}
    assert without.one("Deployment")["spec"]["template"]["metadata"] == {"labels": {"app": "application"}}
    assert sidecar_pod(values("sidecar-socket") | {"enabled": True}).text == sidecar_pod(values("sidecar-socket")).text


def test_the_notes_show_the_container_to_those_who_write_manifests():
    told = helm("install", "test", CHART, "--dry-run=client", "--namespace", "ai", "--values", SETS["sidecar-socket"])
    notes = yaml.safe_load("spec:" + told.split("NOTES:")[1].split("\nspec:")[1].split("\n\nA change of the config")[0])
    pod = notes["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["restartPolicy"] == "Always" and pod["volumes"]


@pytest.mark.parametrize("name", ["sidecar", "sidecar-socket"])
def test_the_size_of_a_sidecar_fits_the_sets(name, sidecar_pod):
    made = template(name, size="sidecar")
    assert made.config()["trust"]["proxies"]
    assert yaml.safe_load(SIZES["sidecar"].read_text())["mode"] == "sidecar"
