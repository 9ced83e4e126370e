"""A new release is verified as its users use it, and everybody finds their files in it, whatever their names.

The tests share a release and take place in their order.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import deletion, planner, report
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Chart
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.planner import Wanted

from tests.clusters.releases import NEW, OLD, access
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.release import VALUES, Release, State

#: Their claims get other names by KubeSpawner 7; so does that of a named server.
GRACE, KAY, ADA = ("grace.h", ""), ("kay.m", ""), ("ada", "work")
PEOPLE = (GRACE, KAY, ADA)
CHECK = "hubops-check"
#: Seconds in which a server starts or stops on a busy machine.
PATIENCE = 180


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, charts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """A release of chart 3 with files in three volumes, in which two servers run."""
    made = Release(cluster, charts, tmp_path_factory.mktemp("release"), f"verify-{os.getpid()}")
    made.install(OLD, {**VALUES, "hub": {**VALUES["hub"], "allowNamedServers": True}})
    for person in PEOPLE:
        if person != ADA:
            made.ask("POST", f"/users/{person[0]}")
        start(made, person)
        in_home(made, person, f"echo {person[0]} > ~/mine.txt")
    stop(made, ADA)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def before(release: Release) -> State:
    state = release.state()
    assert len(state.servers) == 2 and len(state.volumes) == 3
    return state


def path_of(person: tuple[str, str]) -> str:
    user, server = person
    return f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"


def is_ready(release: Release, person: tuple[str, str]) -> bool | None:
    """Whether a server is ready; None where there is none."""
    user, server = person
    found = release.ask("GET", f"/users/{user}")["servers"].get(server)
    return None if found is None else bool(found["ready"])


def start(release: Release, person: tuple[str, str]) -> None:
    release.ask("POST", path_of(person))
    wait(lambda: is_ready(release, person), f"The server of {person} is not ready.")


def stop(release: Release, person: tuple[str, str]) -> None:
    release.ask("DELETE", path_of(person))
    wait(lambda: is_ready(release, person) is None, f"The server of {person} has not stopped.")


def wait(is_so: Any, otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.5)


def in_home(release: Release, person: tuple[str, str], command: str) -> str:
    """What a command prints in the pod of a person's server, whatever its name is."""
    (name,) = [
        pod["metadata"]["name"]
        for pod in release.get("pods", "--selector", "component=singleuser-server")["items"]
        if pod["metadata"]["annotations"]["hub.jupyter.org/username"] == person[0]
        and pod["metadata"]["annotations"].get("hub.jupyter.org/servername", "") == person[1]
    ]
    return release.kubectl("exec", name, "--", "sh", "-c", command)


def test_servers_that_run_are_refused_where_the_administrator_wants_that(
    release: Release, before: State
) -> None:
    wanted = Wanted(Chart(str(release.charts[NEW]), version=NEW), running_servers="refuse", fix_volumes=True)
    made = planner.plan(access(release), "", wanted)
    assert [each.found for each in made.blockers] == ["Servers of these users run: grace.h, kay.m."]
    assert "2 running servers (refused), 3 claims of 3 users" in report.summary(made)
    assert release.state() == before


def test_a_new_hub_is_used_by_a_temporary_user_and_those_who_will_lose_their_files_are_named(
    release: Release, before: State
) -> None:
    status, printed = release.upgrade(
        NEW, z2jh_verify_user=CHECK, jupyterhub_accept=["homes-forgotten", "named-servers-homes"]
    )
    assert status == 0, printed
    assert "2 running servers answer" in printed
    assert f"the server of {CHECK} started in" in printed
    assert "and stopped, JupyterHub 5.4.6" in printed
    warning = "the hub will not use their claims again: ada/work (claim-adawork, then claim-ada--work), "
    assert f"{warning}grace.h (claim-grace-2eh, then claim-grace-h---" in printed
    # Nothing of the user stays.
    after = release.state()
    assert (after.users, after.volumes, after.servers) == (before.users, before.volumes, before.servers)


def test_links_that_are_lost_are_written_back(release: Release, before: State) -> None:
    stop(release, KAY)
    start(release, KAY)
    # This is what the test is about: with KubeSpawner 7 alone her home is empty now.
    assert in_home(release, KAY, "ls ~") == ""
    status, printed = release.playbook("z2jh_verify.yml")
    assert status != 0, printed
    assert "kay.m has got a second, empty volume, claim-kay-m---" in printed
    running = release.state().servers
    status, printed = release.playbook("z2jh_verify.yml", z2jh_fix_volumes=True)
    assert status == 0, printed
    assert "the claims of these were written back: ada/work, grace.h, kay.m" in printed
    assert release.state().servers == running
    for person in PEOPLE:
        if person != ADA:
            stop(release, person)
        start(release, person)
        assert in_home(release, person, "cat ~/mine.txt") == f"{person[0]}\n"
    # Again, it changes nothing; and a user of the hub's own stays.
    status, printed = release.playbook("z2jh_verify.yml", z2jh_fix_volumes=True, z2jh_verify_user="bob")
    assert status == 0 and "changed=0" in printed, printed
    assert "the server of bob started in" in printed
    assert "bob" in release.state().users


def test_a_broken_release_is_removed_only_with_a_confirmation(release: Release) -> None:
    with pytest.raises(HubError, match="serves: it is not broken"):
        deletion.require(deletion.look(access(release), ""), "")
    for person in PEOPLE:
        stop(release, person)
    release.kubectl("scale", "deployment/hub", "--replicas=0")
    release.kubectl("wait", "pod", "--selector=component=hub", "--for=delete", f"--timeout={PATIENCE}s")
    claims = {each["metadata"]["name"] for each in release.get("pvc")["items"]}
    confirmation = f"{release.namespace}/hub"
    status, printed = release.playbook("z2jh_delete.yml")
    assert status != 0 and f"z2jh_delete_confirm={confirmation}" in printed
    assert "Claims that are removed with all their data: hub-db-dir." in printed
    assert len(release.helm("list")) == 1
    status, printed = release.playbook("z2jh_delete.yml", z2jh_delete_confirm=confirmation)
    assert status == 0, printed
    assert release.helm("list") == []
    assert {each["metadata"]["name"] for each in release.get("pvc")["items"]} == claims - {"hub-db-dir"}
