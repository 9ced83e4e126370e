"""What a refusal is: a red job with a reason, and a hub that has noticed nothing."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.testbed import Hub
from tests.testbed.judge import entries, untouched
from tests.testbed.staged import TARGET


def refusal(hub: Hub, **variables: Any) -> str:
    """`attempt`, and assert that nothing has changed and that the hub kept serving: see `untouched`."""
    with untouched(hub):
        said = attempt(hub, **variables)
    assert said.endswith("\nNothing was changed.")
    return said


def failed_staging(hub: Hub, **variables: Any) -> str:
    """The same for what shows only once the new environments are staged: such a run leaves its record.

    What is staged is removed, also where it was there before.
    """
    staged = tuple(f"{path}.staged-" for path in hub.layout.environments)
    with untouched(hub, apart_from=(hub.layout.state_folder, *staged)):
        said = attempt(hub, **variables)
    assert [path for path in entries(hub) if path.startswith(staged)] == []
    assert said.endswith("\nNothing was changed.")
    return said


def attempt(hub: Hub, **variables: Any) -> str:
    """Try to upgrade to 6.1.1, or as the variables define; return the reason with which the job fails."""
    finished = hub.playbook("upgrade.yml", {"jupyterhub_version": TARGET, **variables}, expect_rc=2)
    return reason(finished.stdout)


def reason(output: str) -> str:
    """The message of the last task that failed, as the administrator sees it at the end of the run."""
    failures = re.findall(r"^fatal: \[[^\]]+\]: FAILED! => (\{.*\})$", output, re.MULTILINE)
    assert failures, f"no task has failed:\n{output}"
    return str(json.loads(failures[-1])["msg"])


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
