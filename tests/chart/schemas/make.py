#!/usr/bin/env python3
"""Makes the schemas of this folder, by which kubeconform judges what the chart renders, from the Go modules that define the kinds:

    tests/chart/schemas/make.py

Of Kubernetes there are two versions: the oldest that the chart is for, and a new one. A field that is none is an error. Needs Go, the
network and PyYAML; what it writes is kept in the repository, so that tests need neither.
"""

import json
import subprocess
from pathlib import Path

import yaml

HERE = Path(__file__).parent
KUBERNETES = {"v1.29": "v1.29.15", "v1.37": "v1.37.2"}
KINDS = {
    "Namespace": "v1",
    "Pod": "v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "Secret": "v1",
    "ServiceAccount": "v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
CUSTOM = {
    "ServiceMonitor": (OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"),
    "PodMonitor": (OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"),
    "PrometheusRule": (OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"),
    "ScaledObject": ("github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml"),
    "VerticalPodAutoscaler": ("k8s.io/autoscaler/vertical-pod-autoscaler@v1.8.1", "deploy/vpa-v1-crd-gen.yaml"),
}
PREFIX = "#/definitions/"
# What an API server reads as text, and may be written as a number.
TEXT_OR_NUMBER = {"io.k8s.apimachinery.pkg.util.intstr.IntOrString", "io.k8s.apimachinery.pkg.api.resource.Quantity"}


def module(name):
    """The folder of a module's source."""
    told = subprocess.run(["go", "mod", "download", "-json", name], check=True, capture_output=True, text=True, cwd="/").stdout
    return Path(json.loads(told)["Dir"])


def bare(node):
    """Without words for people, and closed: an object has the properties that it names, or those of one kind."""
    if isinstance(node, list):
        return [bare(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    kept = {}
    for key, value in node.items():
        if key == "properties":
            kept[key] = {name: bare(inner) for name, inner in value.items()}
        elif key not in ("description", "default", "example", "format", "title") and not key.startswith("x-kubernetes"):
            kept[key] = bare(value)
    if "properties" in kept and not node.get("x-kubernetes-preserve-unknown-fields"):
        kept.setdefault("additionalProperties", False)
    # What is nullable is left out here, never null.
    kept.pop("nullable", None)
    return kept


def references(node):
    """The names of all definitions that a node points to."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].removeprefix(PREFIX)
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def definition(all_of_them, name):
    if name in TEXT_OR_NUMBER:
        return {"type": ["string", "number"]}
    # A time is written as text, and a JSON schema of a custom resource may be anything.
    return bare(all_of_them[name])


def built_in(all_of_them, kind, version):
    """One kind, with the definitions that it needs and no others."""
    group = version.split("/")[0] if "/" in version else ""
    entry = {"group": group, "version": version.split("/")[-1], "kind": kind}
    name = next(name for name, found in all_of_them.items() if entry in found.get("x-kubernetes-group-version-kind", []))
    needed, left = {}, [name]
    while left:
        next_one = left.pop()
        if next_one not in needed:
            needed[next_one] = definition(all_of_them, next_one)
            left += references(needed[next_one])
    whole = needed.pop(name)
    # Short names: the long ones would be half of the file.
    short = {long: f"d{number}" for number, long in enumerate(sorted(needed))}
    whole["definitions"] = {short[long]: found for long, found in sorted(needed.items())}
    whole["properties"] |= {"apiVersion": {"enum": [version]}, "kind": {"enum": [kind]}}
    whole["required"] = sorted({"apiVersion", "kind", "metadata", *whole.get("required", [])})
    text = json.dumps(whole, separators=(",", ":"))
    for long, brief in short.items():
        text = text.replace(f'"{PREFIX}{long}"', f'"{PREFIX}{brief}"')
    return json.loads(text)


def custom(module_name, path):
    """One custom resource, in the version that is stored."""
    documents = yaml.safe_load_all((module(module_name) / path).read_text())
    return {crd["spec"]["names"]["kind"]: crd["spec"] for crd in documents if crd}


def write(folder, kind, version, schema):
    """By the name that kubeconform asks for: the kind, the last part of the group, the version."""
    folder.mkdir(parents=True, exist_ok=True)
    group, _, number = version.rpartition("/")
    parts = [kind.lower(), group.split(".")[0], number] if group else [kind.lower(), number]
    path = folder / f"{'-'.join(parts)}.json"
    path.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n")


def main():
    for folder, version in KUBERNETES.items():
        swagger = module(f"k8s.io/kubernetes@{version}") / "api/openapi-spec/swagger.json"
        all_of_them = json.loads(swagger.read_text())["definitions"]
        for kind, api_version in KINDS.items():
            write(HERE / folder, kind, api_version, built_in(all_of_them, kind, api_version))
    for kind, (module_name, path) in CUSTOM.items():
        spec = custom(module_name, path)[kind]
        stored = next(version for version in spec["versions"] if version["storage"])
        schema = bare(stored["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        write(HERE / "custom", kind, f"{spec['group']}/{stored['name']}", schema)


main()
