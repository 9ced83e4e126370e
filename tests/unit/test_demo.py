"""The demo refuses places where it could not work, and its end is the end of its own processes only."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import REPOSITORY

DEMO = REPOSITORY / "demo"


def checkout(folder: Path) -> Path:
    """A checkout with nothing but the demo in it."""
    shutil.copytree(DEMO, folder / "demo")
    return folder


def run(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "demo" / script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("my checkout", "Scripts do not run from a path such as '", id="blank"),
        pytest.param("50%", "Scripts do not run from a path such as '", id="percent sign"),
        pytest.param("x" * 100, "supervisor.sock is too long for a socket: move the checkout", id="long"),
    ],
)
def test_refuses_a_path_at_once(tmp_path: Path, name: str, message: str) -> None:
    folder = checkout(tmp_path / name)
    result = run(folder, "run")
    assert result.returncode == 2
    assert "make demo cannot run here:" in result.stderr
    assert message in result.stderr
    assert not (folder / "build").exists()


def test_clean_ends_what_the_demo_left_running_and_nothing_else(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "checkout")
    programs = folder / "build" / "demo" / "hub" / "bin", folder / "elsewhere"
    processes = []
    for place in programs:
        place.mkdir(parents=True)
        (place / "sleep").symlink_to(shutil.which("sleep") or "")
        processes.append(subprocess.Popen([place / "sleep", "600"]))
    left, other = processes
    try:
        result = run(folder, "clean")
        assert result.returncode == 0
        assert "the folder is gone" in result.stdout
        assert left.wait(timeout=5) != 0
        assert other.poll() is None
        assert not (folder / "build" / "demo").exists()
    finally:
        other.kill()
        other.wait()
        left.kill()


def test_clean_finds_nothing_to_do(tmp_path: Path) -> None:
    result = run(checkout(tmp_path / "checkout"), "clean")
    assert result.returncode == 0
    assert "Nothing to clean" in result.stdout
