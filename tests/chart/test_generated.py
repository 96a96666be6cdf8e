"""What is made of the values' comments and of the config's schema is up to date. `UPDATE_DOCS=1 scripts/chart-tests` writes it anew."""

import json
import os

import pytest
import yaml

import generated
from conftest import CHART, ROOT, SETS, template

VALUES = (CHART / "values.yaml").read_text()


def same(path, made):
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(made)
    assert path.read_text() == made, f"{path.name} differs: run `UPDATE_DOCS=1 scripts/chart-tests`"


def test_the_table_in_the_readme_is_that_of_the_values():
    path = CHART / "README.md"
    same(path, generated.readme(path.read_text(), VALUES))


def test_the_schema_has_the_words_of_the_values_and_the_schema_of_the_config():
    path = CHART / "values.schema.json"
    proxy = json.loads((ROOT / "docs" / "proxy.schema.json").read_text())
    same(path, generated.schema(path.read_text(), VALUES, proxy))


def test_every_value_has_its_words():
    found = generated.values(VALUES)
    assert len(found) > 80
    assert [value.path for value in found if not value.comment] == []


def test_a_value_is_found_with_its_comment_and_its_default():
    found = generated.values("# One\n# and more.\na: 1\nb:\n  # Two.\n  c: [x]\n  d: {}\n# All of it.\ne:\n  f:\n    g: 1\n")
    assert [(value.path, value.default, value.comment) for value in found] == [
        ("a", 1, "One and more."),
        ("b.c", ["x"], "Two."),
        ("b.d", {}, ""),
        ("e", {"f": {"g": 1}}, "All of it."),
    ]


@pytest.mark.parametrize("name", ["gateway", "sidecar"])
def test_the_smallest_charts_look_as_they_did(name):
    """To be read in a review. `UPDATE_SNAPSHOTS=1 scripts/chart-tests` writes it anew."""
    path = ROOT / "tests" / "chart" / "snapshots" / f"{name}.yaml"
    made = yaml.safe_dump_all(template(name).all, sort_keys=False, width=120)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(made)
    assert path.read_text() == made, f"{path.name} differs: look at it, and run `UPDATE_SNAPSHOTS=1 scripts/chart-tests`"


def test_every_set_of_values_says_what_it_is_for():
    for path in [*SETS.values(), *sorted(CHART.glob("values*.yaml"))]:
        assert path.read_text().startswith("# "), path.name
