"""What a real API server says of the chart: installed, changed, taken back and removed."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster import OPERATOR, TENANT, Cluster
from conftest import CHART
from manifests import Document
from pod import pod_templates

RELEASE = "ai"
# What `kubectl` and Helm print of a header `Warning` of the API server: a removed version, a field that does nothing, a pod that the
# namespace would not admit.
WARNING = re.compile(r"^(?:Warning: .*|[WI]\d{4} .*warnings\.go.*|.*level=WARN.*)$", re.MULTILINE)


class Refused(Exception):
    """The API server, or Helm before it, did not take something."""


@dataclass
class Taken:
    """What was taken, what the server remarked on it, and what is left of it."""

    objects: int
    pods: int
    warnings: list[str]
    left: list[str]


class Namespace:
    """A namespace that admits nothing below the strictest Pod Security Standard, and the release in it."""

    def __init__(self, cluster: Cluster, name: str, user: str = OPERATOR) -> None:
        self.cluster, self.name, self.user = cluster, name, user
        modes = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": modes}})
        # A controller would make it.
        cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})
        # All that `admin` stands for; a controller would put it together.
        for role in ("admin", "edit", "view"):
            self._grant(f"system:aggregate-to-{role}")

    def _grant(self, role: str) -> None:
        group = "rbac.authorization.k8s.io"
        binding = {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": role, "namespace": self.name}}
        subject = {"kind": "User", "apiGroup": group, "name": TENANT}
        self.cluster.apply(binding | {"roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role}, "subjects": [subject]})

    def helm(self, *words: str | Path) -> tuple[str, list[str]]:
        """Helm's output, and what it was warned of."""
        done = self.cluster.run("helm", *words, "--namespace", self.name, user=self.user)
        if done.returncode:
            raise Refused(f"helm {' '.join(map(str, words))}: {done.stderr}")
        return done.stdout, WARNING.findall(done.stderr)

    def take(self, *flags: str | Path) -> Taken:
        """`helm install --dry-run=server`, and every object of it before all admission that a real one meets; then the release itself, its
        pods, and its removal."""
        said, warnings = self.helm("install", RELEASE, CHART, "--dry-run=server", "--output", "json", *flags)
        documents = [document for document in yaml.safe_load_all(json.loads(said)["manifest"]) if document]
        warnings += self.admit(documents)
        warnings += self.helm("install", RELEASE, CHART, *flags)[1]
        found = len(self.objects())
        if found < len(documents):
            raise Refused(f"only {found} of {len(documents)} objects have the release's label")
        # Now that there is their service account.
        warnings += self.admit(pods(documents))
        self.helm("uninstall", RELEASE)
        return Taken(len(documents), len(pods(documents)), warnings, [f"{left['kind']} {left['metadata']['name']}" for left in self.objects()])

    def admit(self, documents: list[Document]) -> list[str]:
        """Whether the server would create these. Its warnings."""
        return [warning for document in documents for warning in self._would_create(document)]

    def _would_create(self, document: Document) -> list[str]:
        document = document | {"metadata": document["metadata"] | {"namespace": self.name}}
        words = ["kubectl", "create", "--namespace", self.name, "--dry-run=server", "--validate=strict", "--filename", "-"]
        done = self.cluster.run(*words, given=yaml.safe_dump(document), user=self.user)
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


def pods(documents: list[Document]) -> list[Document]:
    """The pods that controllers would make of these: the only way to have them admitted where no controller runs."""
    named = {"apiVersion": "v1", "kind": "Pod"}
    return [named | {"metadata": {"name": "bare"} | template["metadata"], "spec": template["spec"]} for template in pod_templates(documents)]
