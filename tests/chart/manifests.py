"""What the chart makes of values, as data."""

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "sidegate"
# Somebody's chart, with the sidecar in its pods.
APPLICATION = ROOT / "tests" / "chart" / "application"
RELEASE = "ai"


def helm() -> str:
    """Helm, as scripts/chart-tests installs it."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return os.environ.get("HELM") or str(target / "tools" / "bin" / "helm")


def rendered(values: Document | None = None, *files: Path) -> list[Document]:
    """`helm template` with these values files, and these values before all."""
    return _template(CHART, values or {}, list(files))


def _template(chart: Path, values: Document, files: list[Path]) -> list[Document]:
    flags = [word for file in files for word in ("--values", str(file))]
    words = [helm(), "template", RELEASE, str(chart), "--namespace", "apps", *flags, "--values", "-"]
    done = subprocess.run(words, input=yaml.safe_dump(values), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def rendered_application(values: Document) -> list[Document]:
    """An application's chart with the sidecar in it, and these values for `sidegate`."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder) / "chat"
        shutil.copytree(APPLICATION, chart)
        # Where `helm dependency build` would bring it.
        shutil.copytree(CHART, chart / "charts" / "sidegate")
        return _template(chart, {"sidegate": {"mode": "sidecar"} | values}, [])


def loaded(file: Path) -> list[Document]:
    """The manifests of a file."""
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def values_files() -> list[Path]:
    """The values files that the chart comes with, and those it is tested with."""
    files = sorted([*CHART.glob("values-*.yaml"), *CHART.glob("ci/*.yaml")])
    assert len(files) >= 5, f"found only {files}"
    return files


def example_files() -> list[Path]:
    """The plain manifests for those who do without Helm."""
    return sorted((ROOT / "examples" / "kubernetes").glob("**/*.yaml"))


@functools.cache
def renderings() -> dict[str, list[Document]]:
    """The chart with each of its values files, by the file's name."""
    return {file.name: rendered(None, file) for file in values_files()}
