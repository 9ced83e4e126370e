from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import files


def test_a_file_is_written_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "a file"
    files.write(path, b"content")
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files.sha256(path) == "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    assert os.listdir(tmp_path) == ["a file"]


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.scratch(path) as part:
        part.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_killed_writer_has_left_goes_with_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    killed = os.fork()
    if not killed:
        with files.scratch(path) as part:
            part.with_name(f"{part.name}-journal").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(killed, 0)
    assert len(os.listdir(tmp_path)) == 2
    with files.scratch(path) as living:
        files.write(path, b"content")
        assert living.exists()
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("/nonexistent", "Cannot write into /nonexistent: No such file or directory."),
        # Not even root makes files there.
        ("/sys", "Cannot write into /sys: Permission denied."),
    ],
)
def test_a_folder_that_cannot_be_written_is_named(folder: str, message: str) -> None:
    with pytest.raises(HubError, match=message):
        files.write(Path(folder, "file"), b"")


def test_owner_and_mode_are_compared_and_given(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    path.chmod(0o644)
    mine = (os.getuid(), os.getgid())
    assert files.own(path, mine, 0o600)
    assert not files.own(path, mine, 0o600)
    assert not files.own(path, (-1, -1), 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_free_space_is_what_the_file_system_says(tmp_path: Path) -> None:
    figures = os.statvfs(tmp_path)
    assert files.free_space(tmp_path) == pytest.approx(figures.f_bavail * figures.f_frsize, rel=0.1)


def test_only_an_ordinary_file_has_a_beginning(tmp_path: Path) -> None:
    """In a folder of another user's: what is read there must not wait for that user, nor be without end."""
    (tmp_path / "file").write_text("text\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    assert files.beginning(tmp_path / "file") == "text\n"
    assert files.beginning(tmp_path / "file", 2) == "te"
    for name in ("pipe", "endless", "nothing"):
        with pytest.raises(FileNotFoundError):
            files.beginning(tmp_path / name)
