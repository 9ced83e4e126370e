"""What runs for another user has that user's rights and nothing of root's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.as_user import Person, Work, call
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import account

from tests import REPOSITORY, people


@pytest.fixture(autouse=True)
def _as_root() -> None:
    people.account("games")


def done(function: Any, *arguments: Any, **more: Any) -> Any:
    return call(account("games"), Work(function, arguments, **more), Progress())


def _who(person: Person, progress: Progress) -> dict[str, Any]:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    umask = os.umask(0o77)
    return {
        "users": [*os.getresuid(), *os.getresgid()],
        "groups": os.getgroups(),
        "capabilities": int(status["CapEff"], 16) + int(status["CapPrm"], 16),
        "variables": dict(os.environ),
        "open": sorted(os.readlink(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")[:-1]),
        "place": os.getcwd(),
        "umask": umask,
        "terminal": os.getsid(0) == os.getpid(),
    }


def test_it_has_the_rights_of_its_user_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET", "of root")
    games = account("games")
    with (tmp_path / "secret").open("w"):
        found = done(_who, variables={"LANG": "C"})
    assert found["users"] == [games.uid] * 3 + [games.gid] * 3
    assert found["groups"] == list(games.groups)
    assert found["capabilities"] == 0
    assert found["variables"].keys() == {"HOME", "USER", "LOGNAME", "LANG", "TMPDIR"}
    assert found["variables"]["USER"] == "games"
    assert not os.path.exists(found["variables"]["TMPDIR"])
    assert [each for each in found["open"] if not each.startswith("socket:")] == ["/dev/null"] * 3
    assert (found["place"], found["umask"], found["terminal"]) == ("/", 0o22, True)


def _read(person: Person, progress: Progress, path: str) -> str:
    return Path(path).read_text()


def test_it_reads_what_its_user_reads_and_an_open_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(HubError, match=r"worked as games has failed: PermissionError: .*/file'\."):
        done(_read, str(tmp_path / "file"))
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        tmp_path.chmod(0o755)
        assert done(_read, "file", descriptor=folder) == "text"
    finally:
        os.close(folder)


def _refuse(person: Person, progress: Progress) -> None:
    progress("begun")
    raise HubError("The disk is full.", "Make space.")


def _kill(person: Person, progress: Progress) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _count(person: Person, progress: Progress, number: int) -> int:
    return number + 1


def test_it_ends_with_a_result_or_a_reason(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    with pytest.raises(HubError) as caught:
        call(account("games"), Work(_refuse, ()), Progress(str(lines)))
    assert (caught.value.message, caught.value.hint) == ("The disk is full.", "Make space.")
    assert lines.read_text() == "begun\n"
    with pytest.raises(HubError, match="A process that worked as games has ended before its work."):
        done(_kill)
    assert done(_count, 1) == 2


def _ask(person: Person, progress: Progress) -> Any:
    answers = [person.ask("rename", "a", "b")]
    try:
        person.ask("remove", "c")
    except OSError as error:
        answers.append(f"{type(error).__name__} {error.filename}")
    return answers


def test_root_answers_what_it_asks() -> None:
    asked: list[tuple[str, ...]] = []

    def answer(*words: str) -> bool:
        asked.append(words)
        if words[0] == "remove":
            raise PermissionError(1, "Operation not permitted", "c")
        return True

    assert call(account("games"), Work(_ask, ()), Progress(), answer) == [True, "PermissionError c"]
    assert asked == [("rename", "a", "b"), ("remove", "c")]


PROGRAM = """
import os, signal, sys
from pathlib import Path
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.as_user import Work, call
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import account
from tests.unit.system.test_as_user import _stay
call(account("games"), Work(_stay, (sys.argv[1],)), Progress())
"""


def _stay(person: Person, progress: Progress, told: str) -> None:
    Path(told).write_text(str(os.getpid()))
    signal.pause()


@pytest.fixture
def open_place() -> Iterator[Path]:
    with people.place_for_all() as folder:
        folder.chmod(0o777)
        yield folder


def test_it_ends_with_the_process_that_wanted_it(open_place: Path) -> None:
    told = open_place / "told"
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / ".collections")])
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(told)], env={**os.environ, "PYTHONPATH": paths}
    )
    try:
        _wait(lambda: told.exists() and told.read_text())
        number = told.read_text()
        assert f"Uid:\t{account('games').uid}\t" in Path("/proc", number, "status").read_text()
    finally:
        process.kill()
        process.wait()
    _wait(lambda: not Path("/proc", number).exists())


def _wait(is_so: Any) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
