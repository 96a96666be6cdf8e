"""Values that make no sense are refused before anything is installed, in words that say what to write instead."""

import json
import re

import pytest
import yaml

from conftest import CHART, FITTING, KUBERNETES, SETS, SIZES, Refused, helm, refusal, template

# Values on top of the least that a gateway needs, and what has to stand in the refusal.
WRONG = {
    "an exposed listener without clients": ({"config": {"clients": None}}, "add `config.clients`"),
    "clients of whom there are none": ({"config": {"clients": {"anonymous": "deny", "keys": []}}}, "nobody may call: `config.clients` has no `keys`"),
    "no key": ({"keys": {"openai": {"existingSecret": ""}}}, "`keys.openai` has no key: write `existingSecret`"),
    "keys made and existing": ({"keys": {"openai": {"values": {"a": "b"}}}}, "both `existingSecret` and `values`"),
    "keys of nobody": ({"keys": {"azure": {"existingSecret": "s"}}}, "`keys.azure`: there is no provider of this name"),
    "a routed provider without keys": (
        {"config": {"providers": {"vllm": {"dialect": "vllm", "base_url": "http://vllm/v1"}}, "routes": [{"path": "/v1", "targets": ["openai", {"provider": "vllm"}]}]}},
        "the provider `vllm` of `config.routes[0]` has no key",
    ),
    "two providers and no route": ({"keys": {"groq": {"existingSecret": "s"}}}, "several providers (groq, openai): write `config.routes`"),
    "an address of its own": ({"config": {"listen": {"address": "0.0.0.0:80"}}}, "`config.listen.address` is the chart's: write `listen.host`"),
    "an admin address of its own": ({"config": {"admin": {"address": "0.0.0.0:80"}}}, "`config.admin.address` is the chart's: write `admin.port`"),
    "a token in the config": ({"config": {"admin": {"token": "${TOKEN}"}}}, "`config.admin.token` is the chart's: write `admin.token`"),
    "a drain in the config": ({"config": {"drain": {"delay": "5s"}}}, "`config.drain` is the chart's: write `drain.delay`"),
    "too short a grace": ({"drain": {"timeout": "60s", "grace": 60}}, "`drain.grace` is 60 s and `drain.timeout` 60 s"),
    "a delay that leaves nothing": ({"drain": {"delay": "20s", "timeout": "20s"}}, "leaves nothing for streams"),
    "a hook without a token": ({"drain": {"preStop": True}}, "`drain.preStop` needs `admin.token`"),
    "a mount that never changes": ({"extraVolumeMounts": [{"name": "v", "mountPath": "/prices.yaml", "subPath": "prices.yaml"}]}, "`/prices.yaml` is mounted by `subPath`"),
    "two autoscalers for cpu": ({"vpa": {"enabled": True, "updateMode": "Auto", "controlledResources": ["cpu"]}}, "`vpa` and `autoscaling` both go by cpu"),
    "two autoscalers for memory": ({"vpa": {"enabled": True, "updateMode": "Initial"}}, "`vpa` and `autoscaling` both go by memory"),
    "a share of nothing": ({"resources": {"requests": {"cpu": None}}}, "`autoscaling.cpu` is a share of `resources.requests.cpu`"),
    "nothing to scale by": ({"autoscaling": {"cpu": 0, "memory": 0}}, "has nothing to go by"),
    "fewer at most than at least": ({"autoscaling": {"min": 5, "max": 4}}, "`autoscaling.min` is 5 and `autoscaling.max` 4"),
    "keda without prometheus": ({"autoscaling": {"inFlight": {"enabled": True, "source": "keda"}}}, "keda.serverAddress"),
    "both bounds of a disruption": ({"pdb": {"minAvailable": 2, "maxUnavailable": 2}}, "`pdb` has both"),
    "nodes that are never emptied": ({"pdb": {"maxUnavailable": 0}}, "would keep every node from being emptied"),
    "everything collected twice": ({"monitor": {"service": True, "pod": True}}, "collect everything twice"),
    "metrics that nobody reaches": ({"monitor": {"pod": True}, "admin": {"expose": False}}, "leave `admin.expose` on"),
    "a token twice": ({"admin": {"token": {"existingSecret": "s", "value": "0123456789abcdef"}}}, "`admin.token` has both"),
    "one port for both": ({"listen": {"port": 8081}}, "never share the admin port"),
    "a socket for other pods": ({"sidecar": {"socket": "/run/s/s.sock"}}, "`sidecar.socket` is for `mode: sidecar`"),
    "a second config": ({"configFiles": {"proxy.yaml": "{}"}}, "`configFiles` can't hold `proxy.yaml`"),
    "a load balancer that nobody gets through": ({"service": {"type": "LoadBalancer"}}, "`service.type` is LoadBalancer, but `networkPolicy.clients`"),
    "a port of the nodes that nobody gets through": ({"service": {"type": "NodePort"}}, "write there who may reach it"),
    "a Service of other pods": ({"service": {"extraSpec": {"selector": {"app": "other"}}}}, "`service.extraSpec.selector` is the chart's"),
    "a type past the check of it": ({"service": {"extraSpec": {"type": "LoadBalancer"}}}, "`service.extraSpec.type` is the chart's: write `service.type`"),
    "a key in the config": (
        {"config": {"providers": {"openai": {"keys": [{"env": "KEY"}, {"value": "sk-literal"}]}}}},
        "`config.providers.openai.keys[1].value` holds the secret itself, which would stand in the ConfigMap: write `keys.openai.existingSecret`",
    ),
    "a proxy's password in the config": (
        {"config": {"providers": {"openai": {"proxy": "http://me:secret@proxy.internal"}}}},
        "`config.providers.openai.proxy` holds the secret itself",
    ),
    "an issuer's secret in the config": (
        {"config": {"clients": {"jwt": {"issuer": "https://issuer.example.com", "audience": ["ai"], "secret": {"value": "0123456789abcdef0123456789abcdef"}}}}},
        "`config.clients.jwt.secret.value` holds the secret itself",
    ),
    "a collector's key in the config": (
        {"config": {"trace": {"otlp": {"endpoint": "http://otel:4318", "headers": [{"name": "authorization", "value": "Bearer literal"}]}}}},
        "`config.trace.otlp.headers[0].value` holds the secret itself",
    ),
    "a cache larger than the pod": (
        {"config": {"cache": {}}},
        "`resources.limits.memory` is 256Mi, but the cache (`config.cache.max_size`, 256MiB, and as much again for calls under way) and bodies"
        " (`config.body.buffer_total`, 64MiB) may take 576 MiB",
    ),
    "a route's cache larger than the pod": ({"config": {"routes": [{"path": "/v1", "targets": ["openai"], "cache": {"ttl": "1h"}}]}}, "may take 576 MiB"),
    "an authority without certificates": ({"tls": {"clientCa": True}}, "`tls.clientCa` needs `tls.existingSecret`"),
}

# What the schema says by itself: the path of the value, as Helm writes it.
MISSHAPEN = {
    "an unknown value": ({"replica": 3}, "replica"),
    "an unknown value further down": ({"autoscaling": {"minReplicas": 3}}, "minReplicas"),
    "another mode": ({"mode": "daemon"}, "/mode"),
    "a duration without a unit": ({"drain": {"timeout": "300"}}, "/drain/timeout"),
    "a port that is none": ({"listen": {"port": 80800}}, "/listen/port"),
    "a token that can be tried out": ({"admin": {"token": {"value": "short"}}}, "/admin/token/value"),
    "a digest that is cut off": ({"image": {"digest": "sha256:00"}}, "/image/digest"),
    "a socket that is no path": ({"sidecar": {"socket": "sidegate.sock"}}, "/sidecar/socket"),
    "a socket with no directory of its own": ({"sidecar": {"socket": "/sidegate.sock"}}, "/sidecar/socket"),
    "root": ({"sidecar": {"runAsUser": 0}}, "/sidecar/runAsUser"),
    "an object that is none": ({"extraObjects": [{"kind": "ConfigMap"}]}, "/extraObjects/0"),
    "keys that are no Secret": ({"keys": {"openai": {"secret": "s"}}}, "secret"),
    "an unknown field of the config": ({"config": {"retries": {"attempts": 3}}}, "retries"),
    "a unit that is none in the config": ({"config": {"listen": {"header_timeout": "10 seconds"}}}, "/config/listen/header_timeout"),
    "a dialect that is none": ({"config": {"providers": {"openai": {"dialect": "opanai"}}}}, "/config/providers/openai/dialect"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_together_is_refused(what):
    values, words = WRONG[what]
    said = refusal("gateway", values)
    assert words in said and "values do not fit together" in said


@pytest.mark.parametrize("what", MISSHAPEN)
def test_what_has_another_shape_is_refused(what):
    values, words = MISSHAPEN[what]
    said = refusal("gateway", values)
    assert words in said and "don't meet the specifications of the schema" in said


def sections(node, path=()):
    """The path of each value of the whole, and of each section in it."""
    for key, inner in node.items():
        if not path or isinstance(inner, dict):
            yield (*path, key)
        if isinstance(inner, dict) and key != "config":
            yield from sections(inner, (*path, key))


def null_at(path):
    return {path[0]: null_at(path[1:])} if path else None


def test_a_value_that_is_taken_away_is_refused_in_words_or_not_needed():
    """`--set resources=null`: there are no limits then, and no reason to stop in the midst of a template."""
    for path in sections(yaml.safe_load((CHART / "values.yaml").read_text())):
        try:
            template("gateway", null_at(path))
        except Refused as refused:
            assert "values do not fit together" in str(refused) or "meet the specifications" in str(refused), path
    assert "resources" not in template("gateway", {"resources": None, "autoscaling": {"cpu": 0, "memory": 0, "inFlight": {"enabled": True}}}).container()
    assert "missing property 'port'" in refusal("gateway", {"listen": {"port": None}})


def test_all_that_is_wrong_is_told_at_once():
    said = refusal("gateway", {"config": {"clients": None}, "keys": {"openai": {"existingSecret": ""}}, "drain": {"grace": 1}})
    assert all(words in said for words in ("`config.clients`", "`keys.openai` has no key", "`drain.grace` is 1 s"))


def test_without_values_it_says_what_is_needed():
    said = refusal(None)
    assert "there is no provider: write `keys.openai.existingSecret`" in said and "`config.clients`" in said


def test_callers_may_bring_keys_of_their_own():
    own = {"config": {"providers": {"openai": {}}, "routes": [{"path": "/v1", "targets": ["openai"], "credentials": "client"}]}}
    made = template("gateway", own | {"keys": {"openai": None}})
    assert made.config()["routes"][0]["credentials"] == "client" and "keys" not in made.config()["providers"]["openai"]
    assert [volume["name"] for volume in made.pod()["volumes"]] == ["sidegate-config"]


def test_what_fits_is_let_in():
    """The like of what is refused above, with the one thing changed that was wrong."""
    template("gateway", {"drain": {"timeout": "60s", "grace": 61}})
    template("gateway", {"vpa": {"enabled": True, "updateMode": "Off"}})
    template("gateway", {"vpa": {"enabled": True, "updateMode": "Auto"}, "autoscaling": {"enabled": False}})
    template("gateway", {"vpa": {"enabled": True, "updateMode": "Auto", "controlledResources": ["memory"]}, "autoscaling": {"memory": 0}})
    template("gateway", {"extraVolumeMounts": [{"name": "v", "mountPath": "/prices"}]})
    template("gateway", {"config": {"listen": {"workers": "${WORKERS}", "header_timeout": "10 s"}}})


@pytest.mark.parametrize("text", ["${KEY}", "${file:/keys/one}", "sealed:2026-11:AQRwG0Wo"])
def test_a_secret_that_stands_elsewhere_is_let_in(text):
    provider = {"keys": [{"value": text}], "proxy": text}
    jwt = {"issuer": "https://issuer.example.com", "audience": ["ai"], "secret": {"value": text}}
    template("gateway", {"config": {"providers": {"openai": provider}, "clients": {"jwt": jwt}}})


def test_what_is_no_secret_may_stand_in_the_config():
    own = {"vllm": {"dialect": "vllm", "base_url": "http://vllm/v1", "keys": [{"value": "unused"}], "proxy": "http://proxy.internal:3128"}}
    headers = [{"name": "authorization", "value": "Bearer ${OTLP_TOKEN}"}]
    routes = [{"path": "/v1", "targets": ["vllm"]}]
    template("gateway", {"config": {"providers": own, "routes": routes, "trace": {"otlp": {"endpoint": "http://otel:4318", "headers": headers}}}})


def test_a_load_balancer_with_a_word_on_who_may_come_is_let_in():
    balanced = {"service": {"type": "LoadBalancer"}}
    for policy in ({"enabled": False}, {"clients": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, {"clients": []}, {"extraIngress": [{"ports": [{"port": 8080}]}]}):
        template("gateway", balanced | {"networkPolicy": policy})


def cached(size, total, limit):
    return {"config": {"cache": {"max_size": size}, "body": {"buffer_total": total}}, "resources": {"limits": {"memory": limit}}}


# Two caches and the bodies, and a limit that is just enough.
JUST_ENOUGH = [
    ("64MiB", "128MiB", "256Mi"),
    ("64 MiB", "131072KiB", 268435456),
    ("500MB", "1GB", "2G"),
    ("512MiB", "512MiB", "1.5Gi"),
    ("500KB", "1000 B", "1001k"),
    ("500MB", "1GB", "2e9"),
    ("500MB", "1GB", "2000000000000m"),
]


@pytest.mark.parametrize("size, total, limit", JUST_ENOUGH)
def test_sizes_of_the_config_and_of_kubernetes_are_compared_to_the_byte(size, total, limit):
    template("gateway", cached(size, total, limit))
    number, unit = re.fullmatch(r"([0-9]+) ?([A-Za-z]+)", total).groups()
    assert "may take" in refusal("gateway", cached(size, f"{int(number) + 1}{unit}", limit))


def test_a_pod_without_a_cache_without_a_limit_or_with_sizes_known_only_later_is_let_in():
    template("gateway", {"config": {"cache": "off", "routes": [{"path": "/v1", "targets": ["openai"], "cache": "off"}]}})
    template("gateway", {"config": {"cache": {}}, "resources": {"limits": None}})
    template("gateway", cached("${CACHE_SIZE}", "64MiB", "128Mi"))


def notes(name):
    return helm("install", "test", CHART, "--dry-run=client", "--namespace", "ai", "--values", SETS[name]).split("NOTES:")[1]


def test_the_notes_warn_of_secrets_that_stand_in_the_release():
    assert "WARNING" not in notes("gateway")
    assert "WARNING: the keys of `azure`" in notes("everything") and "WARNING: the admin token" in notes("everything")
    assert "azure-key-of-org-a" not in notes("everything")


def test_the_notes_say_where_it_serves_and_who_may_come():
    assert "http://test-sidegate.ai:8080" in notes("gateway") and "the pods of this namespace" in notes("gateway")
    assert "https://test-sidegate.ai:443" in notes("everything") and "get configmap test-sidegate-adapter-rule" in notes("everything")
    assert "nothing can be changed at the admin port" in notes("gateway")


def test_every_value_with_a_default_is_in_the_schema_and_the_other_way_round():
    def paths(node, schema, path=""):
        for key, inner in (node or {}).items():
            below = schema.get("properties", {})
            if path == "config." or not schema.get("properties"):
                continue
            assert key in below, f"{path}{key} is not in the schema"
            if isinstance(inner, dict):
                paths(inner, below[key], f"{path}{key}.")
        # What Kubernetes owns has more than there are defaults for.
        if path not in ("", "resources.") and not path.startswith("probes."):
            assert set(schema.get("properties", {})) <= set(node or {}), path

    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    paths(defaults, schema)
    # Two that only charts with this one as a dependency write.
    assert set(schema["properties"]) - {"enabled", "global"} == set(defaults)


@pytest.mark.parametrize("name, size", FITTING)
def test_lint_has_nothing_to_say(name, size):
    files = [part for file in [SETS[name], *([SIZES[size]] if size else [])] for part in ("--values", file)]
    said = helm("lint", "--strict", "--quiet", "--kube-version", KUBERNETES, *files, CHART)
    assert "[WARNING]" not in said and "[ERROR]" not in said


def test_lint_takes_the_defaults_which_say_neither_keys_nor_clients():
    assert "[ERROR]" not in helm("lint", "--strict", "--quiet", "--kube-version", KUBERNETES, CHART)


def test_an_older_kubernetes_is_told_why_not():
    with pytest.raises(Refused, match="1.29"):
        helm("template", "test", CHART, "--kube-version", "1.28.9", "--values", CHART / "ci" / "gateway-values.yaml")
