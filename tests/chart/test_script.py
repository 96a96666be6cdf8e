"""Where there is no Go, `scripts/chart-tests` says so and tests nothing; in continuous integration that is a failure."""

import shutil
import subprocess

import pytest

from conftest import ROOT


@pytest.fixture
def machine(tmp_path):
    """A machine with an empty target directory, and without Go."""
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "cat", "dirname", "env", "mkdir", "realpath"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))

    def run(**environment):
        environment |= {"PATH": str(tmp_path / "bin"), "CARGO_TARGET_DIR": str(tmp_path / "target")}
        return subprocess.run([ROOT / "scripts" / "chart-tests"], env=environment, capture_output=True, text=True, timeout=20)

    return run


@pytest.mark.parametrize("environment", [{}, {"CI": "false"}])
def test_it_is_skipped_loudly_on_a_machine_without_go(machine, environment):
    ran = machine(**environment)
    assert ran.returncode == 0, ran.stderr
    assert "SKIPPED, nothing was tested" in ran.stderr and "Go is not installed" in ran.stderr


def test_it_is_never_skipped_in_continuous_integration(machine):
    ran = machine(CI="true")
    assert ran.returncode == 1 and "SKIPPED, nothing was tested" in ran.stderr
