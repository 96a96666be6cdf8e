"""What the chart makes of its values."""

import copy
import re

import pytest
import yaml

from conftest import CHART, FITTING, ROOT, SETS, template

GATEWAYS = [name for name in SETS if not name.startswith("sidecar")]
SIDECARS = [name for name in SETS if name.startswith("sidecar")]


def restricted(pod):
    """What of Pod Security's level `restricted` a pod breaks."""
    found = [] if pod.get("securityContext", {}).get("runAsNonRoot") is not False else ["the pod may run as root"]
    found += [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    found += [f"volume {volume['name']}" for volume in pod.get("volumes", []) if not set(volume) - {"name"} <= allowed]
    for container in pod.get("initContainers", []) + pod["containers"]:
        context = container.get("securityContext", {})
        broken = {
            "runAsNonRoot": context.get("runAsNonRoot") is not True,
            "runAsUser": context.get("runAsUser") == 0,
            "privileged": context.get("privileged", False),
            "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is not False,
            "capabilities": context.get("capabilities", {}) != {"drop": ["ALL"]},
            "seccompProfile": context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"),
            "hostPort": any("hostPort" in port for port in container.get("ports", [])),
        }
        found += [f"{container['name']}: {name}" for name, is_broken in broken.items() if is_broken]
    return found


def proxy_of(pod):
    """The proxy's container, wherever it is."""
    return next(container for container in pod.get("initContainers", []) + pod["containers"] if container["name"] == "sidegate")


@pytest.fixture
def proxy_pods(sidecar_pod):
    """The pods of every set of values, by its name."""
    pods = {name: template(name).pod() for name in GATEWAYS}
    for name in SIDECARS:
        pod = sidecar_pod(yaml.safe_load(SETS[name].read_text())).pod()
        # What the application does is its own affair.
        pods[name] = pod | {"containers": []}
    return pods


# Every pod


def test_pod_security_restricted_holds(proxy_pods):
    assert {name: restricted(pod) for name, pod in proxy_pods.items()} == {name: [] for name in proxy_pods}


@pytest.mark.parametrize("key, value", [("runAsNonRoot", False), ("allowPrivilegeEscalation", True), ("capabilities", {}), ("seccompProfile", {"type": "Unconfined"})])
def test_what_restricted_forbids_is_seen(key, value):
    pod = copy.deepcopy(template().pod())
    pod["containers"][0]["securityContext"][key] = value
    assert restricted(pod) == [f"sidegate: {key}"]


def test_openshift_may_choose_the_user_by_the_values_of_the_readme():
    section = (CHART / "README.md").read_text().split("On OpenShift")[1]
    made = template("gateway", yaml.safe_load(section.split("```yaml\n")[1].split("```")[0]))
    chosen = {"runAsUser", "runAsGroup", "fsGroup"}
    assert chosen.isdisjoint(made.pod()["securityContext"]) and chosen.isdisjoint(made.container()["securityContext"])
    assert restricted(made.pod()) == []
    assert (5353, "UDP") in [port for rule in made.one("NetworkPolicy")["spec"]["egress"] for port in ports(rule)]


def test_the_root_is_read_only_and_nothing_but_sockets_is_written(proxy_pods):
    for name, pod in proxy_pods.items():
        proxy = proxy_of(pod)
        assert proxy["securityContext"]["readOnlyRootFilesystem"] is True, name
        writable = [mount["name"] for mount in proxy["volumeMounts"] if not mount.get("readOnly")]
        assert writable == (["sidegate-socket"] if name == "sidecar-socket" else []), name


def test_whole_directories_are_mounted_so_that_changes_arrive(proxy_pods):
    for name, pod in proxy_pods.items():
        mounts = proxy_of(pod)["volumeMounts"]
        assert {"/etc/sidegate", "/var/run/secrets/sidegate/openai"} <= {mount["mountPath"] for mount in mounts}, name
        assert not [mount for mount in mounts if "subPath" in mount or "subPathExpr" in mount], name
        assert {mount["name"] for mount in mounts} <= {volume["name"] for volume in pod["volumes"]}, name
        assert len({volume["name"] for volume in pod["volumes"]}) == len(pod["volumes"]), name


def test_the_token_of_the_service_account_is_mounted_nowhere():
    for name in GATEWAYS:
        assert template(name).pod()["automountServiceAccountToken"] is False
        account = template(name).one("ServiceAccount")
        assert account["automountServiceAccountToken"] is False
        assert template(name).pod()["serviceAccountName"] == account["metadata"]["name"]


def test_a_service_account_that_is_not_made_is_the_one_that_is_named():
    assert template("gateway", {"serviceAccount": {"create": False}}).pod()["serviceAccountName"] == "default"
    named = template("gateway", {"serviceAccount": {"create": False, "name": "ours"}})
    assert named.pod()["serviceAccountName"] == "ours" and not named.every("ServiceAccount")


def test_startup_and_liveness_ask_whether_it_runs_and_readiness_whether_it_serves(proxy_pods):
    for name, pod in proxy_pods.items():
        proxy = proxy_of(pod)
        asked = {kind: proxy[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}
        if name == "local-admin":
            # By address: a broken config in the volume is none of the process that runs.
            how = {kind: probe["exec"]["command"] for kind, probe in asked.items()}
            live, ready = (["/sidegate", "health", question, "--address", "127.0.0.1:8081"] for question in ("--live", "--ready"))
        else:
            how = {kind: probe["httpGet"]["path"] for kind, probe in asked.items()}
            live, ready = "/livez", "/readyz"
            named = {port["name"]: port["containerPort"] for port in proxy["ports"]}
            assert {named[probe["httpGet"]["port"]] for probe in asked.values()} == {8081}
        assert how == {"startup": live, "liveness": live, "readiness": ready}, name


def test_readiness_sees_a_drain_well_within_its_delay():
    probe = template().container()["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < 10


# The image


def test_the_image_is_of_the_charts_own_version_unless_another_is_named():
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert template().container()["image"] == f"sidegate:{version}"
    assert template("gateway", {"image": {"tag": "1.2.3"}}).container()["image"] == "sidegate:1.2.3"
    assert template("everything", {"image": {"tag": "1.2.3"}}).container()["image"] == f"registry.example.com/sidegate@sha256:{'0' * 64}"
    assert template("everything").pod()["imagePullSecrets"] == [{"name": "registry"}]


def test_chart_and_program_have_one_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    cargo = (ROOT / "Cargo.toml").read_text()
    assert f'\nversion = "{chart["appVersion"]}"\n' in cargo.split("[dependencies]")[0]


# Keys and tokens


def test_each_provider_has_its_own_secret_as_a_directory_of_keys():
    made = template("everything")
    secrets = {volume["name"]: volume["secret"]["secretName"] for volume in made.pod()["volumes"] if "secret" in volume}
    assert secrets["sidegate-keys-openai"] == "openai-keys"
    assert secrets["sidegate-keys-azure"] == "test-sidegate-keys-azure"
    assert made.config()["providers"]["azure"]["keys"] == [{"dir": "/var/run/secrets/sidegate/azure"}]
    assert sorted(made.one("Secret", "test-sidegate-keys-azure")["data"]) == ["org-a", "org-b"]
    assert not [secret for secret in made.every("Secret") if secret["metadata"]["name"] == "openai-keys"]


def test_sources_of_keys_that_the_config_names_are_left_alone():
    sources = [{"file": "/var/run/secrets/sidegate/openai/burst", "weight": 0.2}]
    made = template("gateway", {"config": {"providers": {"openai": {"keys": sources}}}})
    assert made.config()["providers"]["openai"]["keys"] == sources
    assert "/var/run/secrets/sidegate/openai" in {mount["mountPath"] for mount in made.container()["volumeMounts"]}


def test_names_of_providers_that_are_no_label_stay_apart():
    keys = {name: {"existingSecret": "s"} for name in ("Azure_EU", "azure-eu", "azure.eu")}
    providers = {name: {"dialect": "azure", "base_url": "https://example.com/openai/v1"} for name in keys}
    made = template("gateway", {"keys": keys, "config": {"providers": providers, "routes": [{"path": "/v1", "targets": list(keys)}]}})
    volumes = [volume["name"] for volume in made.pod()["volumes"]]
    assert len(set(volumes)) == len(volumes) == 5
    assert all(len(volume) <= 63 and volume == volume.lower() and set("_.").isdisjoint(volume) for volume in volumes)


def test_no_key_stands_in_the_config_or_the_pod():
    made = template("everything")
    for secret in ("azure-key-of-org-a", "0123456789abcdef0123456789abcdef"):
        assert secret not in made.text


def test_changes_over_the_admin_port_need_the_token():
    made = template("everything")
    assert made.config()["admin"] == {"address": "0.0.0.0:8081", "token": "${file:/var/run/secrets/sidegate-admin/token}"}
    mounts = {mount["mountPath"]: mount["name"] for mount in made.container()["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in made.pod()["volumes"]}
    assert volumes[mounts["/var/run/secrets/sidegate-admin"]]["secret"]["secretName"] == "test-sidegate-admin"
    assert list(made.one("Secret", "test-sidegate-admin")["data"]) == ["token"]
    existing = template("gateway", {"admin": {"token": {"existingSecret": "ours", "key": "bearer"}}})
    assert existing.config()["admin"]["token"] == "${file:/var/run/secrets/sidegate-admin/bearer}"
    assert "token" not in template().config()["admin"]


def test_files_of_secrets_can_be_read_by_the_proxy_and_not_by_all(sidecar_pod):
    """In its own pod the group may read. In another chart's pod there may be no `fsGroup`."""
    def modes(pod):
        return {volume["secret"]["defaultMode"] for volume in pod["volumes"] if "secret" in volume}

    assert modes(template("everything").pod()) == {0o440}
    assert template("everything").pod()["securityContext"]["fsGroup"] == template("everything").container()["securityContext"]["runAsGroup"]
    assert modes(sidecar_pod(yaml.safe_load(SETS["sidecar"].read_text())).pod()) == {0o444}


# The config


def test_numbers_of_the_config_stay_whole():
    cache = template("everything").config()["cache"]
    assert cache["max_entries"] == 1000000
    assert "max_entries: 1000000\n" in template("everything").text


def test_a_config_that_says_where_it_ends_does_so_in_its_first_field_and_last_line():
    text = template("everything").one("ConfigMap", "test-sidegate-config")["data"]["proxy.yaml"]
    assert text.startswith("require_end: true\n") and text.endswith("\n...\n")


def test_one_provider_that_is_well_known_needs_keys_alone():
    config = template().config()
    assert config["providers"] == {"openai": {"dialect": "openai", "keys": [{"dir": "/var/run/secrets/sidegate/openai"}]}}
    assert config["routes"] == [{"path": "/v1", "targets": ["openai"]}]


def provider_as_written(name, fields):
    keys = {"openai": None, name: {"existingSecret": "s"}}
    provider = template("gateway", {"keys": keys, "config": {"providers": {name: fields}}}).config()["providers"][name]
    return {field: value for field, value in provider.items() if field != "keys"}


@pytest.mark.parametrize("name", ["anthropic", "mistral", "gemini"])
def test_the_key_of_a_well_known_provider_goes_to_its_own_host_whatever_else_is_written_of_it(name):
    timeouts = {"timeouts": {"connect": "5s"}}
    assert provider_as_written(name, timeouts) == timeouts | {"dialect": name}
    assert provider_as_written(name, {}) == {"dialect": name}


def test_what_a_provider_says_of_itself_counts_more_than_its_name():
    spoken, placed = {"dialect": "vllm", "base_url": "http://vllm/v1"}, {"base_url": "https://proxy.example.com/v1"}
    assert provider_as_written("mistral", spoken) == spoken
    assert provider_as_written("mistral", placed) == placed
    assert provider_as_written("ours", placed) == placed


def test_tls_comes_from_its_secret():
    made = template("everything")
    assert made.config()["listen"]["tls"] == {
        "certificate": "/etc/sidegate-tls/tls.crt",
        "key": "/etc/sidegate-tls/tls.key",
        "client_ca": "/etc/sidegate-tls/ca.crt",
    }
    assert {"name": "sidegate-tls", "mountPath": "/etc/sidegate-tls", "readOnly": True} in made.container()["volumeMounts"]
    assert made.one("Service", "test-sidegate")["spec"]["ports"][0] == {"name": "https", "port": 443, "targetPort": "http", "protocol": "TCP"}


@pytest.mark.parametrize("name", ["gateway", "sidecar"])
def test_an_address_of_both_families_is_that_of_the_admin_listener_too(name):
    made = template(name, {"listen": {"host": "[::]"}})
    assert made.config()["admin"]["address"] == "[::]:8081"
    assert template(name, {"listen": {"host": "[::]"}, "admin": {"expose": False}}).config()["admin"]["address"] == "127.0.0.1:8081"


def test_further_files_stand_beside_the_config():
    entries = template("everything").one("ConfigMap", "test-sidegate-config")["data"]
    assert sorted(entries) == ["proxy.yaml", "unavailable.json"]
    assert entries["unavailable.json"].startswith('{"error":')


# A restart only where one is needed


def pod_template(more=None):
    return template("gateway", more).one("Deployment")["spec"]["template"]


def test_a_change_of_the_config_restarts_no_pod():
    limits = {"config": {"limits": [{"name": "all", "per": "all", "requests": "10/min"}]}}
    assert pod_template(limits) == pod_template()
    assert pod_template({"configFiles": {"prices.yaml": "{}"}}) == pod_template()
    assert pod_template(limits | {"restartOnConfigChange": True}) != pod_template({"restartOnConfigChange": True})


# By the name that docs/reload.md has for it.
NEEDS_RESTART = {
    "admin.address": {"admin": {"port": 9081}},
    "dns": {"config": {"dns": {"min_ttl": "1s"}}},
    "listen.address": {"listen": {"port": 9080}},
    "listen.connections": {"config": {"listen": {"connections": 7}}},
    "listen.tls": {"config": {"listen": {"tls": {"certificate": "a", "key": "b"}}}},
    "listen.workers": {"config": {"listen": {"workers": 7}}},
    "log.format": {"config": {"log": {"format": "human"}}},
}


def test_the_fields_that_need_a_restart_are_those_of_the_page():
    page = (ROOT / "docs" / "reload.md").read_text()
    listed = page.split("the fields are named:\n\n")[1].split("\n\n")[0]
    assert [field.strip(" .`") for field in listed.split(",")] == list(NEEDS_RESTART)


@pytest.mark.parametrize("field", NEEDS_RESTART)
def test_a_field_that_a_running_process_cannot_follow_replaces_the_pods(field):
    changed = pod_template(NEEDS_RESTART[field])["metadata"]["annotations"]["sidegate/restart-fields"]
    assert changed != pod_template()["metadata"]["annotations"]["sidegate/restart-fields"]


# The end of a pod


def seconds(duration):
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


@pytest.mark.parametrize("name, size", [(name, size) for name, size in FITTING if name in GATEWAYS])
def test_the_kubelet_waits_longer_than_the_drain(name, size):
    made = template(name, size=size)
    drain, grace = made.config()["drain"], made.pod()["terminationGracePeriodSeconds"]
    assert seconds(drain["delay"]) < seconds(drain["timeout"]) < grace


def test_the_drain_is_as_it_was_asked_for():
    assert template().config()["drain"] == {"delay": "10s", "timeout": "5m"}
    assert template().pod()["terminationGracePeriodSeconds"] == 330
    assert template("everything").pod()["terminationGracePeriodSeconds"] == 630
    short = template("gateway", {"drain": {"delay": "500ms", "timeout": "1500ms", "grace": 3}})
    assert short.config()["drain"] == {"delay": "500ms", "timeout": "1500ms"} and short.pod()["terminationGracePeriodSeconds"] == 3
    assert template("gateway", {"drain": {"timeout": "2h"}}).pod()["terminationGracePeriodSeconds"] == 7230


def test_a_hook_begins_the_drain_only_where_it_was_asked_for():
    assert "lifecycle" not in template().container()
    hook = template("everything").container()["lifecycle"]["preStop"]["exec"]["command"]
    assert hook[:2] == ["/sidegate", "drain"]


# Scaling


def test_it_scales_from_3_to_20_by_cpu_and_memory():
    made = template()
    spec = made.one("HorizontalPodAutoscaler")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 20)
    # Not of the pod: a container that a mesh puts there without requests would be the end of the metric.
    assert {(metric["type"], metric["containerResource"]["container"]) for metric in spec["metrics"]} == {("ContainerResource", "sidegate")}
    shares = [metric["containerResource"] for metric in spec["metrics"]]
    assert [(share["name"], share["target"]["averageUtilization"]) for share in shares] == [("cpu", 70), ("memory", 80)]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": made.one("Deployment")["metadata"]["name"]}
    # Who writes both would set the number of pods back with each upgrade.
    assert "replicas" not in made.one("Deployment")["spec"]


def test_neither_an_install_nor_an_upgrade_sets_how_many_pods_an_autoscaler_has():
    """What the install sets, the first upgrade would take away, and Kubernetes put its default in its place: 1."""
    for upgrade in ((), ("--is-upgrade",)):
        assert "replicas" not in template(arguments=upgrade).one("Deployment")["spec"]


def test_it_scales_up_at_once_and_down_one_pod_a_minute():
    behaviour = template().one("HorizontalPodAutoscaler")["spec"]["behavior"]
    assert behaviour["scaleDown"] == {"stabilizationWindowSeconds": 300, "selectPolicy": "Min", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    assert behaviour["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behaviour["scaleUp"]["selectPolicy"] == "Max"


def test_requests_in_flight_count_by_prometheus_adapter():
    made = template("everything")
    metric = made.one("HorizontalPodAutoscaler")["spec"]["metrics"][-1]
    assert metric == {"type": "Pods", "pods": {"metric": {"name": "sidegate_in_flight"}, "target": {"type": "AverageValue", "averageValue": "100"}}}
    [rule] = yaml.safe_load(made.one("ConfigMap", "test-sidegate-adapter-rule")["data"]["values.yaml"])["rules"]["custom"]
    assert rule["name"] == {"as": "sidegate_in_flight"}
    assert rule["seriesQuery"].startswith("sidegate_requests_in_flight{")
    assert rule["metricsQuery"] == "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"


def test_requests_in_flight_count_by_keda_with_the_same_bounds():
    made = template("keda")
    assert not made.every("HorizontalPodAutoscaler")
    spec = made.one("ScaledObject")["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (3, 20)
    assert [trigger["type"] for trigger in spec["triggers"]] == ["cpu", "memory", "prometheus"]
    asked = spec["triggers"][-1]["metadata"]
    assert [trigger["metadata"]["containerName"] for trigger in spec["triggers"][:-1]] == ["sidegate", "sidegate"]
    pods = re.fullmatch(r'sum\(sidegate_requests_in_flight\{namespace="ai", pod=~"(.+)"\}\)', asked["query"])[1]
    assert re.fullmatch(pods, "test-sidegate-7c5ddbdf54-x2v9q")
    # Other releases' whose names begin in the same way.
    assert not re.fullmatch(pods, "test-sidegate-two-7c5ddbdf54-x2v9q") and not re.fullmatch(pods, "test-sidegate-two-0")
    assert asked["threshold"] == "100"
    # An empty answer would count as no requests at all.
    assert asked["ignoreNullValues"] == "false"
    behaviour = template().one("HorizontalPodAutoscaler")["spec"]["behavior"]
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == behaviour
    assert "replicas" not in made.one("Deployment")["spec"]


def test_without_an_autoscaler_there_are_as_many_pods_as_were_asked_for():
    made = template("gateway", {"replicas": 4, "autoscaling": {"enabled": False}})
    assert made.one("Deployment")["spec"]["replicas"] == 4 and not made.every("HorizontalPodAutoscaler")


def test_a_vertical_autoscaler_is_there_if_it_is_wanted():
    assert not template().every("VerticalPodAutoscaler")
    spec = template("everything").one("VerticalPodAutoscaler")["spec"]
    assert spec["updatePolicy"] == {"updateMode": "Initial"}
    assert spec["resourcePolicy"]["containerPolicies"][0]["controlledResources"] == ["memory"]


def test_nodes_are_emptied_one_pod_at_a_time():
    spec = template().one("PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1 and "minAvailable" not in spec
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    least = template("gateway", {"pdb": {"minAvailable": "50%"}}).one("PodDisruptionBudget")["spec"]
    assert least["minAvailable"] == "50%" and "maxUnavailable" not in least


def test_pods_are_spread_over_zones_and_nodes():
    spread = template().pod()["topologySpreadConstraints"]
    assert [constraint["topologyKey"] for constraint in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    selector = template().one("Deployment")["spec"]["selector"]
    assert all(constraint["labelSelector"] == selector for constraint in spread)


class Once(yaml.SafeLoader):
    """Takes no name twice, which YAML forbids and most who read it let pass."""

    def construct_mapping(self, node, deep=False):
        names = [self.construct_object(key) for key, _ in node.value]
        assert len(set(names)) == len(names), f"twice in {sorted(names)}"
        return super().construct_mapping(node, deep)


# Each with one of the chart's own names, and one that several of them have.
TAKEN = {
    "commonLabels": {"app.kubernetes.io/name": "mine", "app.kubernetes.io/version": "mine", "sidegate/port": "mine", "team": "common"},
    "podLabels": {"app.kubernetes.io/instance": "mine", "team": "pod"},
    "podAnnotations": {"sidegate/restart-fields": "mine", "kubectl.kubernetes.io/default-container": "beside"},
    "monitor": {"labels": {"helm.sh/chart": "mine", "team": "monitor"}},
    "rules": {"labels": {"app.kubernetes.io/managed-by": "mine", "team": "rules"}},
    "dashboard": {"labels": {"app.kubernetes.io/name": "mine", "team": "dashboard"}},
}


@pytest.mark.parametrize("name", ["everything", "keda", "sidecar-socket"])
def test_a_name_that_the_chart_has_taken_is_not_written_twice(name):
    made, plain = template(name, TAKEN), template(name)
    list(yaml.load_all(made.text, Once))
    own = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart", "sidegate/port"}
    for one, before in zip(made.all, plain.all, strict=True):
        kept = {label: value for label, value in before["metadata"]["labels"].items() if label in own}
        assert one["metadata"]["labels"] | kept == one["metadata"]["labels"], one["kind"]
    monitor = next(document for document in made.all if document["kind"].endswith("Monitor"))
    assert monitor["metadata"]["labels"]["team"] == "monitor"


def test_labels_and_annotations_of_pods_are_the_charts_own_then_theirs_then_everybodys():
    made, plain = (template("everything", more).one("Deployment")["spec"] for more in (TAKEN, None))
    labels, annotations = made["template"]["metadata"]["labels"], made["template"]["metadata"]["annotations"]
    assert made["selector"] == plain["selector"] and plain["selector"]["matchLabels"].items() <= labels.items()
    assert labels["team"] == "pod"
    assert annotations["sidegate/restart-fields"] == plain["template"]["metadata"]["annotations"]["sidegate/restart-fields"]
    # Which container is looked at first is no affair of the chart's.
    assert annotations["kubectl.kubernetes.io/default-container"] == "beside"


def test_everything_selects_the_pods_of_the_deployment():
    made = template("everything")
    labels = made.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [made.one("Deployment")["spec"]["selector"]["matchLabels"], made.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
    selectors += [made.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
    selectors += [service["spec"]["selector"] for service in made.every("Service")]
    assert len(selectors) == 5 and all(selector.items() <= labels.items() for selector in selectors)
    # A name that YAML would read as a number.
    number = template("gateway", {"nameOverride": "123"}).one("Deployment")["spec"]
    assert number["selector"]["matchLabels"]["app.kubernetes.io/name"] == number["template"]["metadata"]["labels"]["app.kubernetes.io/name"] == "123"


# The network


def ports(rule):
    return [(port["port"], port["protocol"]) for port in rule["ports"]]


def test_only_chosen_peers_reach_the_ports():
    applications, monitoring = template().one("NetworkPolicy")["spec"]["ingress"]
    assert ports(applications) == [(8080, "TCP")] and applications["from"] == [{"podSelector": {}}]
    assert ports(monitoring) == [(8081, "TCP")]
    assert monitoring["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


def test_no_peers_means_nobody_and_not_everybody():
    spec = template("gateway", {"networkPolicy": {"clients": [], "monitoring": []}}).one("NetworkPolicy")["spec"]
    assert spec["ingress"] == [] and spec["policyTypes"] == ["Ingress", "Egress"]
    for nobody, port in (("clients", 8081), ("monitoring", 8080)):
        [rule] = template("gateway", {"networkPolicy": {nobody: []}}).one("NetworkPolicy")["spec"]["ingress"]
        assert rule["from"] and ports(rule) == [(port, "TCP")]


def test_pods_reach_name_servers_and_providers_and_what_is_added():
    names, providers, collector = template("everything").one("NetworkPolicy")["spec"]["egress"]
    assert ports(names) == [(53, "UDP"), (53, "TCP")]
    assert ports(providers) == [(443, "TCP")]
    assert ports(collector) == [(4318, "TCP")]
    # Where clouds hand out credentials.
    assert "169.254.0.0/16" in providers["to"][0]["ipBlock"]["except"]


# Monitoring


def test_a_monitor_finds_the_admin_port_and_only_that():
    made = template("everything")
    monitor = made.one("ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    wanted = monitor["spec"]["selector"]["matchLabels"]
    found = [service for service in made.every("Service") if wanted.items() <= service["metadata"]["labels"].items()]
    assert [service["metadata"]["name"] for service in found] == ["test-sidegate-admin"]
    assert [port["name"] for port in found[0]["spec"]["ports"]] == [endpoint["port"] for endpoint in monitor["spec"]["endpoints"]]
    assert found[0]["spec"]["publishNotReadyAddresses"] is True
    # Applications never see it.
    assert [port["port"] for port in made.one("Service", "test-sidegate")["spec"]["ports"]] == [443]


def test_a_pod_monitor_finds_the_pods_of_either_mode(sidecar_pod):
    gateway = template("keda")
    labels = gateway.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    monitor = gateway.one("PodMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert [endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]] == ["admin"]

    sidecar = sidecar_pod(yaml.safe_load(SETS["sidecar-socket"].read_text()))
    labels = sidecar.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    monitor = sidecar.one("PodMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["podMetricsEndpoints"][0]["port"] in [port["name"] for port in proxy_of(sidecar.pod())["ports"]]


def test_alerts_know_the_job_whatever_the_release_is_called():
    for name, endpoints in (("everything", "endpoints"), ("keda", "podMetricsEndpoints")):
        for values, job in ((None, "test-sidegate"), ({"fullnameOverride": "ai-proxy"}, "sidegate-ai-proxy")):
            [monitor] = [found for found in template(name, values).all if found["kind"] in ("ServiceMonitor", "PodMonitor")]
            assert monitor["spec"][endpoints][0]["relabelings"] == [{"targetLabel": "job", "replacement": job}]


def test_what_was_not_asked_for_is_not_made():
    assert template().kinds() == sorted(
        ["ConfigMap", "Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"]
    )
    bare = template("gateway", {"networkPolicy": {"enabled": False}, "pdb": {"enabled": False}, "serviceAccount": {"create": False}})
    assert bare.kinds() == ["ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Service"]
    assert template("sidecar").kinds() == ["ConfigMap"]
    assert template("sidecar-socket").kinds() == ["ConfigMap"] * len(template("sidecar-socket").every("ConfigMap")) + ["PodMonitor", "PrometheusRule"]


def test_what_pods_get_besides_reaches_them():
    pod = template("everything").one("Deployment")["spec"]["template"]
    assert pod["metadata"]["labels"] | {"example.com/tier": "edge", "team": "platform"} == pod["metadata"]["labels"]
    assert pod["metadata"]["annotations"]["example.com/owner"] == "platform"
    spec, proxy = pod["spec"], pod["spec"]["containers"][0]
    assert spec["priorityClassName"] == "system-cluster-critical"
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert [toleration["key"] for toleration in spec["tolerations"]] == ["dedicated"]
    assert "podAntiAffinity" in spec["affinity"] and spec["dnsConfig"]["options"][0]["name"] == "ndots"
    assert proxy["env"] == [{"name": "SIDEGATE_LOG", "value": "info"}] and proxy["envFrom"][0]["secretRef"]["name"] == "proxy-environment"
    assert {"name": "geoip", "mountPath": "/var/lib/GeoIP", "readOnly": True} in proxy["volumeMounts"]
    assert "geoip" in {volume["name"] for volume in spec["volumes"]}


def test_what_the_pods_have_besides_the_proxy_is_theirs_as_it_was_written():
    made = template("everything")
    deployment, spec = made.one("Deployment"), made.pod()
    assert deployment["metadata"]["annotations"] == {"example.com/ticket": "PLAT-1"}
    assert deployment["spec"]["minReadySeconds"] == 5
    assert [container["name"] for container in spec["initContainers"]] == ["ready"]
    assert spec["hostAliases"] == [{"ip": "10.1.2.3", "hostnames": ["vllm.internal"]}]
    assert template("gateway", {"runtimeClassName": "gvisor"}).pod()["runtimeClassName"] == "gvisor"
    bare = template()
    assert {"initContainers", "hostAliases", "runtimeClassName"}.isdisjoint(bare.pod()) and "minReadySeconds" not in bare.one("Deployment")["spec"]


def test_a_service_says_what_else_its_cluster_wants():
    spec = template("everything").one("Service", "test-sidegate")["spec"]
    assert (spec["ipFamilyPolicy"], spec["externalTrafficPolicy"], spec["allocateLoadBalancerNodePorts"]) == ("PreferDualStack", "Local", False)
    assert (spec["type"], spec["trafficDistribution"], spec["loadBalancerSourceRanges"]) == ("LoadBalancer", "PreferClose", ["10.0.0.0/8"])
    own = [{"name": "ai", "port": 80, "targetPort": "http", "nodePort": 30080}]
    spec = template("gateway", {"service": {"extraSpec": {"ports": own}}}).one("Service")["spec"]
    assert spec["ports"] == own and spec["selector"]


@pytest.mark.parametrize("name", ["gateway", "sidecar"])
def test_further_objects_are_made_as_they_are(name):
    ours = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"text": "{{ .Values.mode }}"}}
    other = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "x"}}
    made = template(name, {"extraObjects": [ours, other]})
    assert made.every("Widget") == [ours, other] and len(made.all) == len(template(name).all) + 2


def test_no_named_template_is_left_over():
    texts = [path.read_text() for folder in (CHART, ROOT / "tests" / "chart" / "parent") for path in folder.glob("templates/*.*")]
    named = {name for text in texts for name in re.findall(r'define "(.+?)"', text)}
    assert named == {name for text in texts for name in re.findall(r'include "(.+?)"', text)}
