"""A new hub is rehearsed on a copy that a pod of the database's own image serves: without the pod."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import urls
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub_scripts import migrator, rehearsed_app
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import rehearsal, rehearsal_program
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.hub_database import Copy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.server_programs import program_of

from tests.hubs.databases.pods import Pod, pod_of
from tests.hubs.databases.servers import KINDS, PASSWORD
from tests.hubs.real_hub import environment, fill_database
from tests.testbed.databases import Server

OLD, NEW = "4.1.6", "6.1.1"
HUB = {"spec": {"template": {"spec": {"containers": [{"name": "hub", "args": ["jupyterhub"]}]}}}}


class Place(NamedTuple):
    """A hub's database of the old version, the pod beside it, and the new hub's programs."""

    server: Server
    pod: Pod
    url: str
    programs: Path
    shared: Path


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    # `tests/clusters` has PostgreSQL.
    kind = KINDS["mariadb-10.11"]
    started: AbstractContextManager[Server] = kind.start()
    with started as server:
        server.make_role("hub", PASSWORD, may_copy=False)
        server.make_database("jupyterhub", "hub")
        url = server.url("hub", PASSWORD, "jupyterhub")
        fill_database(environment(OLD, *kind.packages), url)
        with pod_of(server, url, kind.programs) as pod:
            yield Place(server, pod, url, environment(NEW, *kind.packages) / "bin", pod.claim)


@pytest.fixture
def folder() -> Iterator[Path]:
    # A socket's path has an end, which pytest's folders come near to.
    made = Path(tempfile.mkdtemp(prefix="hub", dir="/tmp"))
    yield made
    shutil.rmtree(made)


def rehearse(place: Place, folder: Path) -> dict[str, Any]:
    """What the hub's container says, while the other one runs."""
    program = program_of(place.url)
    assert program is not None
    copied = program.copy_of(program.of_hub(urls.parse(place.url)), str(place.shared))
    database = Copy(urls.of_server(copied, ""), shared=str(place.shared))
    request = rehearsal.request_of(HUB, database, "/", rehearsal.Seconds())
    (folder / "request.json").write_text(json.dumps({**request, "folder": str(folder)}))
    for each in (migrator, rehearsed_app):
        shutil.copy(str(each.__file__), folder)
    argv = [sys.executable, str(rehearsal_program.__file__), str(folder)]
    path = {"PATH": f"{place.programs}:/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(argv, env=path, cwd=folder, capture_output=True, text=True, check=True)
    [line] = [each for each in done.stdout.splitlines() if each.startswith(rehearsal_program.RESULT)]
    return dict(json.loads(line[len(rehearsal_program.RESULT) :]))


def beside(place: Place) -> subprocess.Popen[str]:
    """The container that serves the copy."""
    for left in ("ready", "done", "alive", "message"):
        (place.shared / left).unlink(missing_ok=True)
    environment = {**place.pod.environment, "HUBOPS_MESSAGE": str(place.shared / "message")}
    argv = ["sh", "-c", 'eval "$HUBOPS_PROGRAM"', "hubops", "rehearse", str(place.shared)]
    return subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True)


def test_the_new_hub_serves_on_a_copy_and_the_database_is_as_it_was(place: Place, folder: Path) -> None:
    before = place.server.content("jupyterhub")
    with beside(place) as container:
        result = rehearse(place, folder)
        _out, error = container.communicate(timeout=60)
    assert "failed" not in result, "\n".join([result.get("problem", ""), *result["log"][-15:]])
    assert result["version"] == NEW
    assert result["rows"]["users"] == {"before": 5, "after": 5}
    assert result["rows"]["api_tokens"] == {"before": 5, "after": 5}
    assert container.returncode == 0, error
    assert place.server.content("jupyterhub") == before
    assert [*Path(place.pod.environment["HUBOPS_SCRATCH"]).iterdir()] == []


def test_a_database_that_cannot_be_dumped_is_told_and_the_rehearsal_ends(place: Place, folder: Path) -> None:
    program = program_of(place.url)
    assert program is not None
    place.pod.environment.update(program.variables(urls.parse(place.url), "another"))
    with beside(place) as container:
        result = rehearse(place, folder)
        container.communicate(timeout=60)
    assert result["failed"] == "dump"
    assert "hub" in result["problem"]
    assert "another" not in json.dumps(result)
