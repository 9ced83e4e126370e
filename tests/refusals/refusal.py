"""What a refusal is: a red job with a reason, and a hub that has noticed nothing."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.testbed import Hub, Probe

TARGET = "6.1.1"
# A hub needs longer than this to stop and start; a busy machine may keep it from answering for a moment.
SHORTEST_OUTAGE_SECONDS = 2
# Where an upgrade leaves things, and where it could forget some.
FOLDERS = ("/opt", "/srv/jupyterhub", "/etc/jupyterhub", "/etc/systemd/system", "/var/lib", "/tmp")


def refusal(hub: Hub, **variables: Any) -> str:
    """`attempt`, and assert that nothing has changed and that nobody could have noticed: see `untouched`."""
    with untouched(hub):
        said = attempt(hub, **variables)
    assert said.endswith("\nNothing was changed.")
    return said


def failed_staging(hub: Hub, **variables: Any) -> str:
    """The same for what shows only once the new environments are staged: such a run leaves its record."""
    with untouched(hub, apart_from=hub.layout.state_folder):
        said = attempt(hub, **variables)
    assert said.endswith("\nNothing was changed.")
    return said


def attempt(hub: Hub, **variables: Any) -> str:
    """Try to upgrade to 6.1.1, or as the variables say; return the reason with which the job ends red."""
    finished = hub.playbook("upgrade.yml", {"jupyterhub_version": TARGET, **variables}, expect_rc=2)
    return reason(finished.stdout)


def reason(output: str) -> str:
    """The message of the last task that failed, as the administrator sees it at the end of the run."""
    failures = re.findall(r"^fatal: \[[^\]]+\]: FAILED! => (\{.*\})$", output, re.MULTILINE)
    assert failures, f"no task has failed:\n{output}"
    return str(json.loads(failures[-1])["msg"])


@contextlib.contextmanager
def untouched(hub: Hub, apart_from: str = "/nothing") -> Iterator[None]:
    """Assert that the same process serves on, and that afterwards all is what it was, to each file.

    What is new below ``apart_from`` is left out.
    """
    before, files, process = hub.fingerprint(), leftovers(hub), main_process(hub)
    with Probe(hub) as probe:
        yield
    assert main_process(hub) == process
    assert {sample.version for sample in probe.samples} <= {hub.layout.version, None}
    assert probe.longest_silence() < SHORTEST_OUTAGE_SECONDS
    assert hub.fingerprint() == before
    assert {path for path in leftovers(hub) ^ files if not path.startswith(apart_from)} == set()


def main_process(hub: Hub) -> str:
    """Which start of the hub this is; systemd gives each another id."""
    return hub.exec(["systemctl", "show", "--property=InvocationID", hub.layout.systemd_unit]).stdout


def leftovers(hub: Hub) -> set[str]:
    """Files and folders where an upgrade works, without those of a transaction that is under way."""
    found = hub.exec(["find", *FOLDERS, "-maxdepth", "2", "-not", "-name", "*.sqlite-*", "-print"]).stdout
    return set(found.splitlines())


@contextlib.contextmanager
def rewritten(hub: Hub, path: str, text: str) -> Iterator[None]:
    """Have another text in a file for a while; owner and mode stay."""
    original = hub.read(path)
    hub.exec(["tee", path], stdin=text)
    try:
        yield
    finally:
        hub.exec(["tee", path], stdin=original)


@contextlib.contextmanager
def database_url(hub: Hub, url: str) -> Iterator[None]:
    """Have another database in the hub's config; the running hub keeps its own."""
    config = hub.read(hub.layout.config_file)
    with rewritten(hub, hub.layout.config_file, f"{config}\nc.JupyterHub.db_url = {url!r}\n"):
        yield
