"""What a real API server says of the chart: installed, changed, taken back and removed."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster import Cluster
from manifests import CHART, RELEASE, Document
from pod import pod_templates

# What `kubectl` and Helm print of a header `Warning` of the API server: a removed version, a field that does nothing, a pod that the
# namespace would not admit.
WARNING = re.compile(r"^(?:Warning: .*|[WI]\d{4} .*warnings\.go.*|.*level=WARN.*)$", re.MULTILINE)


class Refused(Exception):
    """The API server, or Helm before it, did not take something."""


@dataclass
class Taken:
    """What was taken, and what the server remarked on it."""

    objects: int
    warnings: list[str]


class Namespace:
    """A namespace that admits nothing below the strictest Pod Security Standard, and the release in it."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        modes = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": modes}})
        # A controller would make it.
        cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})

    def helm(self, *words: str | Path) -> tuple[str, list[str]]:
        """Helm's output, and what it was warned of."""
        done = self.cluster.run(self.cluster.tools / "helm", *words, "--namespace", self.name)
        if done.returncode:
            raise Refused(f"helm {' '.join(map(str, words))}: {done.stderr}")
        return done.stdout, WARNING.findall(done.stderr)

    def dry(self, *flags: str | Path) -> Taken:
        """`helm install --dry-run=server`, and every object of it before all admission that a real one meets."""
        said, warnings = self.helm("install", RELEASE, CHART, "--dry-run=server", "--output", "json", *flags)
        documents = [document for document in yaml.safe_load_all(yaml.safe_load(said)["manifest"]) if document]
        return Taken(len(documents), warnings + self.admit(documents))

    def admit(self, documents: list[Document]) -> list[str]:
        """Whether the server would create these, with the pods that their controllers would make. Its warnings."""
        warnings = []
        for document in [*documents, *map(bare_pod, pod_templates(documents))]:
            warnings += self._would_create(document)
        return warnings

    def _would_create(self, document: Document) -> list[str]:
        document = document | {"metadata": document["metadata"] | {"namespace": self.name}}
        words = ["kubectl", "create", "--namespace", self.name, "--dry-run=server", "--validate=strict", "--filename", "-"]
        done = self.cluster.run(*words, given=yaml.safe_dump(document))
        if done.returncode:
            raise Refused(f"{document['kind']} {document['metadata'].get('name')}: {done.stderr}")
        return WARNING.findall(done.stderr)

    def objects(self) -> list[Document]:
        """All there is of the release, of every kind that there is."""
        kinds = self.cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").stdout.split()
        listed = self.cluster.get(",".join(kinds), "--namespace", self.name, "--selector", f"app.kubernetes.io/instance={RELEASE}")
        return listed["items"]

    def one(self, kind: str) -> Any:
        """The release's one object of a kind."""
        found = self.cluster.get(kind, "--namespace", self.name, "--selector", f"app.kubernetes.io/instance={RELEASE}")["items"]
        assert len(found) == 1, f"{len(found)} of {kind}"
        return found[0]


def bare_pod(template: Document) -> Document:
    """The pod that a controller would make of its template: the only way to have it admitted where no controller runs."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "labels": template["metadata"].get("labels", {})}, "spec": template["spec"]}
