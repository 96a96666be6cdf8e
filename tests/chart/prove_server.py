"""The chart before a real API server: every values file, both modes, and the life of a release."""

import json
from pathlib import Path

import yaml

from cluster import TENANT, Cluster
from conftest import CHART, SETS, SIZES
from figures import Table
from manifests import Document, example_files, loaded, releases, rendered_application
from releases import RELEASE, Namespace, Refused, pods
from schemas import make

# What a gateway has to say in any case.
LEAST = {
    "config": {"clients": {"anonymous": "free"}},
    "keys": {"openai": {"values": {"only": "sk-of-the-pool"}}},
}
# What a running process follows by itself, and what it can't follow.
FOLLOWED = {"config": {"log": {"slow": "30s"}}}
RESTARTED = {"config": {"listen": {"workers": 3}}}


def prove(table: Table, tools: Path, folder: Path) -> None:
    """Starts the API server and asks it."""
    with Cluster(folder, tools) as cluster:
        table.tell("kube-apiserver", cluster.version())
        bare(table, cluster, folder)
        cluster.apply(*definitions())
        cluster.kubectl("wait", "--for=condition=Established", "customresourcedefinitions", "--all", "--timeout=60s")
        every_release(table, cluster)
        life(table, cluster, folder)
        sidecars(table, cluster)
        check(table, cluster)


def definitions() -> list[Document]:
    """Of other projects' kinds, as those projects release them."""
    return [document for name, file in make.CUSTOM.values() for document in loaded(make.module(name) / file)]


def written(folder: Path, name: str, *values: dict[str, object]) -> list[str]:
    """Flags for these values, each before the ones ahead of it."""
    flags = []
    for number, value in enumerate(values):
        file = folder / f"{name}-{number}.yaml"
        file.write_text(yaml.safe_dump(value))
        flags += ["--values", str(file)]
    return flags


def taken(table: Table, what: str, namespace: Namespace, flags: list[str]) -> None:
    """One release, from `helm install --dry-run=server` to its end."""
    try:
        one = namespace.take(*flags)
    except Refused as refused:
        table.hold(what, str(refused)[:300], "taken", False)
        return
    figure = f"{one.objects} objects, {one.pods} pods, {len(one.warnings)} warnings, {len(one.left)} left"
    table.hold(what, figure, "0 warnings, 0 left", not one.warnings and not one.left)
    for remark in [*one.warnings[:3], *one.left[:3]]:
        table.tell("", remark[:160])


def bare(table: Table, cluster: Cluster, folder: Path) -> None:
    """Where nothing but Kubernetes itself is installed."""
    flags = written(folder, "bare", LEAST)
    taken(table, "the defaults, where no custom resource is known", Namespace(cluster, "bare"), flags)
    taken(table, "the defaults, by an `admin` of the namespace alone", Namespace(cluster, "tenant", TENANT), flags)


def every_release(table: Table, cluster: Cluster) -> None:
    """Each set of values, and each size, in a namespace to itself."""
    for number, (name, files) in enumerate(releases().items()):
        taken(table, name, Namespace(cluster, f"release-{number}"), [word for file in files for word in ("--values", str(file))])


def life(table: Table, cluster: Cluster, folder: Path) -> None:
    """Install, change, take back, remove."""
    namespace = Namespace(cluster, "life")

    def upgraded(*values: dict[str, object]) -> tuple[str, object]:
        namespace.helm("upgrade", "--install", RELEASE, CHART, *written(folder, "life", LEAST, *values))
        return state(namespace)

    text, template = upgraded()
    followed, same = upgraded(FOLLOWED)
    table.hold("an upgrade of what is followed: the ConfigMap", "changed" if followed != text else "the same", "changed", followed != text)
    table.hold("… and the pods", "the same" if same == template else "replaced", "the same", same == template)
    _, replaced = upgraded(RESTARTED)
    table.hold("an upgrade of what needs a restart: the pods", "replaced" if replaced != same else "the same", "replaced", replaced != same)
    namespace.helm("rollback", RELEASE, "1")
    back = state(namespace) == (text, template)
    table.hold("`helm rollback`: ConfigMap and pods", "as at first" if back else "not as at first", "as at first", back)
    for name in ("small", "medium", "large", "xlarge", "small"):
        namespace.helm("upgrade", RELEASE, CHART, "--values", str(SETS["gateway"]), "--values", str(SIZES[name]))
    table.hold("from each size to the next, by `helm upgrade`", "taken", "taken", True)
    namespace.helm("uninstall", RELEASE)
    left = [f"{document['kind']} {document['metadata']['name']}" for document in namespace.objects()]
    table.hold("left after `helm uninstall`", ", ".join(left) or 0, "0", not left)


def state(namespace: Namespace) -> tuple[str, object]:
    """What the pods are made of, and what they mount."""
    deployment = namespace.one("deployments")
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    [name] = [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
    config = namespace.cluster.get("configmap", name, "--namespace", namespace.name)
    return config["data"]["proxy.yaml"], deployment["spec"]["template"]


def sidecars(table: Table, cluster: Cluster) -> None:
    """What has no pods of its own: the chart's sidecar in an application's chart, and the plain manifests for those who do without Helm."""
    files = {name: path for name, path in SETS.items() if name.startswith("sidecar")}
    made = {f"{name}, in an application's chart": rendered_application(yaml.safe_load(path.read_text())) for name, path in files.items()}
    made |= {f"examples/kubernetes/{file.name}": [one for one in loaded(file) if one["kind"] != "Namespace"] for file in example_files()}
    for number, (name, documents) in enumerate(made.items()):
        try:
            warnings = Namespace(cluster, f"pods-{number}").admit([*documents, *pods(documents)])
        except Refused as refused:
            table.hold(name, str(refused)[:300], "taken", False)
            continue
        figure = f"{len(documents)} objects, {len(pods(documents))} pod, {len(warnings)} warnings"
        table.hold(name, figure, "1 pod, 0 warnings", not warnings and len(pods(documents)) == 1)


def check(table: Table, cluster: Cluster) -> None:
    """That the server refuses what it must, and that a warning is seen: else all this says nothing."""
    namespace = Namespace(cluster, "check")
    container = {"name": "one", "image": "one", "securityContext": {"privileged": True}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": {"containers": [container]}}
    misspelt = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "one"}, "spec": {"prots": []}}
    for what, document in {"a privileged pod": pod, "a field that does not exist": misspelt}.items():
        try:
            namespace.admit([document])
            table.hold(f"the check: {what}", "taken", "refused", False)
        except Refused:
            table.hold(f"the check: {what}", "refused", "refused", True)
    flags = ["--values", str(SETS["gateway"]), "--set", "securityContext.allowPrivilegeEscalation=true"]
    said, by_helm = namespace.helm("install", RELEASE, CHART, "--output", "json", *flags)
    manifests = [one for one in yaml.safe_load_all(json.loads(said)["manifest"]) if one and one["kind"] == "Deployment"]
    namespace.helm("uninstall", RELEASE)
    by_kubectl = namespace.admit(manifests)
    figure = f"{len(by_helm)} of Helm, {len(by_kubectl)} of kubectl"
    table.hold("the check: a Deployment whose pods would be refused", figure, "warnings of both", bool(by_helm and by_kubectl))
