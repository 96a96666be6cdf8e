"""The program reads what the chart has rendered: `sidegate check` on every set of values and every size."""

import pytest
import yaml

from conftest import FITTING, template

@pytest.fixture
def check(sidegate, tmp_path):
    """Lays the ConfigMap and the Secrets out as a pod has them, below a folder of the test's, and checks the config."""

    def lay_out(made):
        entries = made.one("ConfigMap", made.name() + "-config")["data"]
        for name, text in entries.items():
            (tmp_path / name).write_text(text.replace("/var/run/secrets", str(tmp_path / "secrets")))
        for provider in made.config()["providers"]:
            folder = tmp_path / "secrets" / "sidegate" / provider
            folder.mkdir(parents=True)
            (folder / "org-a").write_text(f"sk-{provider}\n")
        admin = tmp_path / "secrets" / "sidegate-admin"
        admin.mkdir()
        (admin / "token").write_text("0123456789abcdef0123456789abcdef\n")
        return sidegate("check", tmp_path / "proxy.yaml")

    return lay_out


def without_tls(name):
    """Certificates are another matter."""
    return {"tls": {"existingSecret": "", "clientCa": False}} if name == "everything" else None


@pytest.mark.parametrize("name, size", FITTING)
def test_the_rendered_config_is_one_that_sidegate_takes(name, size, check):
    ran = check(template(name, without_tls(name), size=size))
    assert ran.returncode == 0, ran.stderr
    assert ": fine: " in ran.stdout


def test_a_mistake_in_it_is_found(check):
    routes = {"config": {"routes": [{"path": "/v1", "targets": ["openai"]}, {"path": "/v1", "targets": ["openai"]}]}}
    ran = check(template("gateway", routes))
    assert ran.returncode == 64 and "never reached" in ran.stderr


def test_what_the_chart_asks_for_the_program_asks_for_too(check):
    """Else the chart refuses what would run."""
    made = template("gateway")
    [entry] = [document for document in made.all if "proxy.yaml" in document.get("data", {})]
    config = yaml.safe_load(entry["data"]["proxy.yaml"])
    del config["clients"]
    entry["data"]["proxy.yaml"] = yaml.safe_dump(config)
    ran = check(made)
    assert ran.returncode == 64 and "nothing says who may call" in ran.stderr
