"""What there is to be run and proved: the chart's renderings and the plain manifests of the examples, as lists of objects."""

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from conftest import CHART, ROOT, SETS, SIZES, template

Document = dict[str, Any]


def rendered(values: Document) -> list[Document]:
    """The chart with these values alone."""
    return template(None, values).all


def rendered_application(values: Document) -> list[Document]:
    """An application's chart with the sidecar in its pods, and these values for `sidegate`."""
    with tempfile.TemporaryDirectory() as folder:
        parent = Path(folder) / "parent"
        shutil.copytree(ROOT / "tests" / "chart" / "parent", parent)
        # Where `helm dependency build` would bring it.
        shutil.copytree(CHART, parent / "charts" / "sidegate")
        return template(None, {"sidegate": values}, chart=parent).all


def loaded(file: Path) -> list[Document]:
    """The manifests of a file."""
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def example_files() -> list[Path]:
    """The plain manifests for those who do without Helm."""
    files = sorted((ROOT / "examples" / "kubernetes").glob("**/*.yaml"))
    assert files, "there are no examples"
    return files


def releases() -> dict[str, list[Path]]:
    """The values files of every release that is proved: each complete set, and each size on top of what it needs."""
    sets = {f"ci/{path.name}": [path] for path in SETS.values()}
    return sets | {path.name: [SETS["sidecar" if name == "sidecar" else "gateway"], path] for name, path in SIZES.items()}


@functools.cache
def renderings() -> dict[str, list[Document]]:
    """Everything with pods in it, by its name."""
    charts = {name: template(name).all for name in SETS} | {f"size {name}": template(size=name).all for name in SIZES if name != "sidecar"}
    parents = {f"parent {name}": rendered_application(yaml.safe_load(SETS[name].read_text())) for name in SETS if name.startswith("sidecar")}
    return charts | parents | {file.name: loaded(file) for file in example_files()}
