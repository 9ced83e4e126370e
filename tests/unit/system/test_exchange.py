"""Two folders take each other's place, and no interruption leaves them half-way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import exchange as subject
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.exchange import (
    exchange,
    finish_exchange,
    move,
)

from tests import REPOSITORY


@pytest.fixture(params=["at once", "by renames"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The file system of the tests can exchange; one that cannot is had by not asking it."""
    if request.param == "by renames":
        monkeypatch.setattr(subject, "_exchange_at_once", lambda place, other: False)
    return str(request.param)


def pair(folder: Path) -> tuple[Path, Path]:
    place, other = folder / "place", folder / "other"
    for path in (place, other):
        path.mkdir()
        (path / "name").write_text(path.name)
    return place, other


def contents(*paths: Path) -> list[str]:
    return [(path / "name").read_text() for path in paths]


def test_exchanges_and_exchanges_back(tmp_path: Path, how: str) -> None:
    place, other = pair(tmp_path)
    exchange(place, other)
    assert contents(place, other) == ["other", "place"]
    exchange(place, other)
    assert contents(place, other) == ["place", "other"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "place"]


def test_this_file_system_exchanges_in_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, other = pair(tmp_path)
    monkeypatch.setattr(subject, "_exchange_by_renames", None)
    exchange(place, other)
    assert contents(place, other) == ["other", "place"]


def test_a_link_to_a_folder_changes_places_itself(tmp_path: Path, how: str) -> None:
    place, other = pair(tmp_path)
    real = place.rename(tmp_path / "real")
    place.symlink_to(real)
    exchange(place, other)
    assert contents(place, other) == ["other", "place"]
    assert other.is_symlink() and not place.is_symlink()


@pytest.mark.parametrize(
    ("renames", "expected"),
    [(0, ["place", "other"]), (1, ["place", "other"]), (2, ["other", "place"]), (3, ["other", "place"])],
)
def test_an_exchange_by_renames_is_finished_from_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int, expected: list[str]
) -> None:
    place, other = pair(tmp_path)
    left = renames
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        return rename(self, target)

    monkeypatch.setattr(subject, "_exchange_at_once", lambda place, other: False)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        if renames < 3:
            with pytest.raises(KeyboardInterrupt):
                exchange(place, other)
        else:
            exchange(place, other)
    finish_exchange(place, other)
    assert contents(place, other) == expected
    finish_exchange(place, other)
    assert contents(place, other) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "place"]


def test_a_killed_process_leaves_one_or_the_other(tmp_path: Path) -> None:
    place, other = pair(tmp_path)
    program = (
        "import sys; from pathlib import Path\n"
        "from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.exchange import exchange\n"
        "print('ready', flush=True)\n"
        "while True: exchange(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    root = REPOSITORY / ".collections"
    for _each in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", program, place, other],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        with process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            process.send_signal(signal.SIGKILL)
        assert sorted(contents(place, other)) == ["other", "place"]


def test_refuses_two_file_systems(tmp_path: Path) -> None:
    place, other = pair(tmp_path)
    proc = Path("/proc/self/fd")
    with pytest.raises(HubError) as refusal:
        exchange(place, proc)
    assert str(refusal.value) == (
        f"{place} and {proc} are on different file systems and cannot be exchanged. "
        "Upgrade this environment in place."
    )
    assert contents(place, other) == ["place", "other"]


def test_names_what_is_missing(tmp_path: Path, how: str) -> None:
    place, other = pair(tmp_path)
    gone = tmp_path / "gone"
    with pytest.raises(HubError) as refusal:
        exchange(place, gone)
    assert refusal.value.message == f"{place} and {gone} cannot be exchanged: No such file or directory."
    assert contents(place, other) == ["place", "other"]


def test_move_never_replaces_a_folder_with_something_in_it(tmp_path: Path) -> None:
    place, other = pair(tmp_path)
    with pytest.raises(HubError, match=f"{place} cannot be renamed to {other}: Directory not empty"):
        move(place, other)
    assert contents(place, other) == ["place", "other"]
