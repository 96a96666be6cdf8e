"""Rules and dashboards reach the cluster as they are in the chart's files, whatever braces they hold."""

import json
import shutil

import pytest
import yaml

from conftest import CHART, SETS, rendered, Manifests, template

RULES = {
    "groups": [
        {
            "name": "one",
            "interval": "30s",
            "rules": [
                {"alert": "First", "expr": "up == 0", "annotations": {"summary": '{{ $labels.pod }} has {{ $value | humanize }} "{{ .x }}"'}},
                {"record": "sidegate:up", "expr": "sum(up)"},
            ],
        },
        {"name": "two", "rules": [{"alert": "Second", "expr": "up == 1"}]},
    ]
}


@pytest.fixture
def chart(tmp_path):
    """The chart with other rules and dashboards."""
    shutil.copytree(CHART, tmp_path / "sidegate")
    files = tmp_path / "sidegate" / "files"
    shutil.rmtree(files, ignore_errors=True)
    (files / "dashboards").mkdir(parents=True)
    (files / "alerts.yaml").write_text("# Rules\n" + yaml.safe_dump(RULES))
    (files / "dashboard.json").write_text(json.dumps({"title": "{{instance}} {{`x`}}"}, indent=2))
    (files / "dashboards" / "keys.json").write_text(json.dumps({"title": "keys"}))
    return tmp_path / "sidegate"


def made(chart, more=None):
    return Manifests(rendered(chart, (SETS["everything"],), yaml.safe_dump(more or {}), ()))


def test_rules_are_passed_on_word_for_word(chart):
    rule = made(chart).one("PrometheusRule")
    assert rule["spec"] == RULES
    assert rule["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_an_alert_that_is_not_wanted_is_left_out_and_no_other(chart):
    groups = made(chart, {"rules": {"disabled": ["Second"]}}).one("PrometheusRule")["spec"]["groups"]
    assert groups == RULES["groups"][:1]
    [group, _] = made(chart, {"rules": {"disabled": ["First"]}}).one("PrometheusRule")["spec"]["groups"]
    assert group == RULES["groups"][0] | {"rules": RULES["groups"][0]["rules"][1:]}


def test_each_dashboard_has_a_config_map_that_grafana_finds(chart):
    found = [config for config in made(chart).every("ConfigMap") if config["metadata"]["labels"].get("grafana_dashboard") == "1"]
    assert {name: json.loads(text)["title"] for config in found for name, text in config["data"].items()} == {
        "sidegate-dashboard.json": "{{instance}} {{`x`}}",
        "sidegate-keys.json": "keys",
    }
    assert all(config["metadata"]["annotations"] == {"grafana_folder": "AI"} for config in found)


def test_the_charts_own_rules_and_dashboards_are_there():
    everything = template("everything")
    own = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    assert everything.one("PrometheusRule")["spec"] == {"groups": own["groups"]}
    assert len([rule for group in own["groups"] for rule in group["rules"] if "alert" in rule]) >= 8
    dashboards = [config for config in everything.every("ConfigMap") if "grafana_dashboard" in config["metadata"]["labels"]]
    assert dashboards and all(json.loads(text)["panels"] for config in dashboards for text in config["data"].values())
    # What an API server takes as one object.
    assert all(len(text) < 1_000_000 for config in dashboards for text in config["data"].values())
