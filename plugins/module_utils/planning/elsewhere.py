"""Reads another host of single-user servers than the hub's: its environments, and what staging needs."""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ..deployment.compatibility import judge_environment
from ..environments import interpreter, links
from ..environments.discovery import environment_of_command, expand_environments
from ..environments.environment import read_environment
from ..environments.facts import EnvironmentFacts
from ..environments.kinds import environment_of
from ..environments.packages import all_packages
from ..errors import HubError
from ..releases.versions import FAIL, parse_release
from ..system import mounts
from .found_host import FoundHost
from .host import size_of, versions_of

#: Kinds of file systems that several hosts have.
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "fuse.glusterfs")


def find_environments(
    commands: Sequence[Sequence[str]], search_path: str, given: Sequence[str]
) -> list[EnvironmentFacts]:
    """Those of the spawner's commands, as the hub's PATH finds them on this host, and those that are named.

    Raises HubError where there is none.
    """
    paths = [*filter(None, (environment_of_command(each, search_path) for each in commands))]
    environments = {os.path.realpath(path): path for path in (*expand_environments(given), *paths)}
    if not environments:
        raise HubError(
            "No environment of single-user servers was found by the spawner's command, "
            f"`{', '.join(' '.join(each) for each in commands)}`.",
            "Name it in jupyterhub_user_environments of this host.",
        )
    return [read_environment(path) for path in environments.values()]


def describe_host(name: str, found: Sequence[EnvironmentFacts], python: str = "") -> FoundHost:
    """What a plan has to know of this host and its environments; ``python`` is a requested interpreter."""
    every = {entry.path.rstrip("/"): entry.kind for entry in found}
    environments = [path for path, kind in every.items() if environment_of(kind, path).can_be_upgraded]
    parents = {str(Path(path).parent) for path in environments}
    known_mounts = mounts.mounts()
    around = {path: mounts.of_path(Path(path), known_mounts) for path in environments}
    interpreters = [python, *(entry.python for entry in found)]
    return FoundHost(
        name=name,
        environments=tuple(found),
        user=getpass.getuser(),
        installed={path: all_packages(path) for path in every},
        free_bytes={path: shutil.disk_usage(path).free for path in parents},
        environment_bytes={path: size_of(Path(path)) for path in environments},
        not_writable=tuple(path for path in (*parents, *environments) if not os.access(path, os.W_OK)),
        python_versions=versions_of([each for each in interpreters if each]),
        links={path: [[link.path, link.target] for link in links.in_the_way(path)] for path in environments},
        mounts={path: mounts.within(path, known_mounts) for path in environments},
        shared={path: mount.kind for path, mount in around.items() if mount and mount.kind in NETWORK},
    )


def judge(paths: Sequence[str], hub: str, allow: Collection[str] = ()) -> list[dict[str, Any]]:
    """Whether servers that start here go with a hub of this version, as `compatibility.match` has it.

    One whose interpreter does not run fails as well.
    """
    release = parse_release(hub)
    found = [judge_environment(release, path, allow) for path in paths]
    return [_running(each) for each in found]


def _running(judged: dict[str, Any]) -> dict[str, Any]:
    fault = interpreter.fault(Path(judged["path"])) if judged["version"] else ""
    if not fault:
        return judged
    return {**judged, "verdict": FAIL, "reason": f"No server starts from it: {fault}."}
