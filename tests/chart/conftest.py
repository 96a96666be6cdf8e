"""What the tests of the chart share: Helm, what it renders, and the program that has to read it."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "sidegate"
# The oldest that the chart is for. Without it Helm would judge by the version it was built with.
KUBERNETES = "1.29.0"
# Complete sets of values, by name. The sizes are none: they go on top of one.
SETS = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}
SIZES = {path.name.removeprefix("values-").removesuffix(".yaml"): path for path in sorted(CHART.glob("values-*.yaml"))}
# Each set as it is, and each size on top of the smallest set of its mode.
FITTING = [(name, None) for name in SETS] + [("sidecar" if size == "sidecar" else "gateway", size) for size in SIZES]


class Refused(Exception):
    """Helm rendered nothing; the text says why."""


# Programs in Go that live for a tenth of a second have no use for its garbage collector.
BRIEF = os.environ | {"GOGC": "off"}


def helm(*arguments, stdin=None):
    """Runs Helm and returns what it has printed."""
    ran = subprocess.run(["helm", *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60, env=BRIEF)
    if ran.returncode:
        raise Refused(ran.stderr + ran.stdout)
    return ran.stdout


@functools.cache
def rendered(chart, files, more, arguments):
    values = [part for file in files for part in ("--values", file)]
    return helm("template", "test", chart, "--namespace", "ai", "--kube-version", KUBERNETES, *values, *arguments, *(["--values", "-"] if more else []), stdin=more)


class Manifests:
    """What was rendered, by kind and name."""

    def __init__(self, text):
        self.text = text
        # The loader in C: ten times as fast.
        self.all = [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]

    def kinds(self):
        return sorted(document["kind"] for document in self.all)

    def every(self, kind):
        return [document for document in self.all if document["kind"] == kind]

    def one(self, kind, name=None):
        found = [document for document in self.every(kind) if name in (None, document["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} of kind {kind}, in {self.kinds()}"
        return found[0]

    def pod(self):
        return self.one("Deployment")["spec"]["template"]["spec"]

    def container(self):
        return self.pod()["containers"][0]

    def config(self):
        return yaml.safe_load(self.one("ConfigMap", self.name() + "-config")["data"]["proxy.yaml"])

    def name(self):
        found = [document["metadata"]["name"] for document in self.every("ConfigMap") if "proxy.yaml" in document["data"]]
        return found[0].removesuffix("-config")


def template(name="gateway", more=None, *, size=None, chart=CHART, arguments=()):
    """The chart with a set of values, a size on top, and more values on top of that."""
    files = [SETS[name]] if name else []
    files += [SIZES[size]] if size else []
    return Manifests(rendered(chart, tuple(files), yaml.safe_dump(more) if more else "", tuple(arguments)))


def refusal(name="gateway", more=None, **how):
    """Why these values are refused."""
    with pytest.raises(Refused) as refused:
        template(name, more, **how)
    return str(refused.value)


@pytest.fixture(scope="session")
def sidecar_pod(tmp_path_factory):
    """What a chart renders that has this one as a dependency: its pod, with the sidecar in it. Called with the values of `sidegate`."""
    parent = tmp_path_factory.mktemp("parent")
    shutil.copytree(ROOT / "tests" / "chart" / "parent", parent, dirs_exist_ok=True)
    shutil.copytree(CHART, parent / "charts" / "sidegate")
    return lambda values: template(None, {"sidegate": values}, chart=parent)


@pytest.fixture(scope="session")
def sidegate():
    """Runs the program."""
    binary = os.environ["SIDEGATE_BIN"]
    return lambda *arguments: subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, timeout=20)
