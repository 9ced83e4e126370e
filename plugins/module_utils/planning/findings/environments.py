"""The Python environments of hub and users: whether they can be upgraded to the target."""

from __future__ import annotations

import fnmatch
import shlex
from typing import Iterator

from ...environments import links
from ...environments.conda_tool import NONE_FOUND_FIX
from ...environments.facts import ENVIRONMENTS_INSIDE, NO_CONDA, OWNER, PINNED, EnvironmentFacts
from ...environments.kinds import environment_of, upgradable
from ...environments.planned import REBUILD, PlannedEnvironment
from ...hub import logs
from ...releases.requirements import satisfies
from ..upgrade import Upgrade, environments_of, interpreter_for
from .finding import BLOCKER, WARNING, Finding, Kind

NO_JUPYTERHUB_FOR_USERS = Kind(
    "no-jupyterhub-for-users",
    WARNING,
    "An environment of single-user servers has no jupyterhub.",
    "Single-user servers cannot start from it.",
    "The upgrade installs it there.",
)
VERSION_MISMATCH = Kind(
    "version-mismatch",
    WARNING,
    "An environment of single-user servers has another version than the hub.",
    "The hub does not refuse such servers, but log-ins may end in a loop of redirects.",
    "The upgrade installs the same version in both.",
)
ENVIRONMENT_NOT_SUPPORTED = Kind(
    "environment-not-supported",
    BLOCKER,
    "An environment belongs to the system.",
    "Only venvs and conda environments can be exchanged and restored as a whole.",
    "Move the hub into its own venv.",
)
NO_SUCH_PYTHON = Kind(
    "no-such-python",
    BLOCKER,
    "The interpreter of jupyterhub_python does not exist on the host or does not run.",
    "The new environments cannot be built with it.",
    "Name another one in jupyterhub_python.",
)
PYTHON_TOO_OLD = Kind(
    "python-too-old",
    BLOCKER,
    "The Python of an environment is older than the target's Requires-Python.",
    "The target cannot be installed there; the hub and the single-user servers both need it.",
    "Name a newer interpreter of the host in jupyterhub_python.",
)
INTERPRETER_GONE = Kind(
    "interpreter-gone",
    BLOCKER,
    "The interpreter of an environment is not there or does not run.",
    "An upgrade of the operating system does that to a venv; nothing can be installed into it.",
    "Rebuild it at its own version first (rebuild.yml), or for the upgrade: name an interpreter in "
    "jupyterhub_python.",
)
INTERPRETER_CHANGED = Kind(
    "interpreter-changed",
    BLOCKER,
    "The interpreter of an environment is another Python than the one that the environment was made for.",
    "An upgrade of the operating system does that to a venv; Python does not find the packages in it.",
    "Rebuild it at its own version first (rebuild.yml), or for the upgrade: name an interpreter in "
    "jupyterhub_python.",
)
ENVIRONMENT_LEFT_OUT = Kind(
    "environment-left-out",
    WARNING,
    "A single-user environment cannot be upgraded; jupyterhub_environment_failures says to go on without it.",
    "Servers that are started from it have another version than the hub, and may not work.",
    "Remove the obstacle, and run the upgrade again: it upgrades what is missing, without an outage.",
)
IN_PLACE = Kind(
    "in-place",
    WARNING,
    "An environment is upgraded in place, as requested, or because there is no space for a copy.",
    "The outage includes the installation.",
    "Make space beside it, or leave out jupyterhub_environment_strategy.",
)
LINK_LEADS_OUT = Kind(
    "link-leads-out",
    BLOCKER,
    "A folder in which packages of an environment have files is a link that leads out of the environment.",
    "A copy of the environment has the same link, so the installation would change the serving hub.",
    links.REMEDY,
)
NAMED_INSIDE = Kind(
    "named-inside",
    BLOCKER,
    "A file that the hub is started with is in the packages' folder of an environment that is rebuilt for "
    "another Python.",
    "That folder has another name then, so the new hub would not find the file.",
    "Move the file out of the environment and name it there in the service; or leave out jupyterhub_python.",
)
WRITTEN_INSIDE = Kind(
    "written-inside",
    BLOCKER,
    "The hub's database, or another file that is written while it serves, is within an environment.",
    "An earlier copy replaces the environment: what was written since that copy would be lost, at the "
    "upgrade or at a rollback.",
    "Stop the hub, move them to their own folder, and name that in the settings; where the service's "
    "WorkingDirectory leads into the environment, change it.",
)
MOUNTED_INSIDE = Kind(
    "mounted-inside",
    BLOCKER,
    "An environment is a mount point, or a file system is mounted within it.",
    "A mount point cannot be exchanged, and what is mounted within would go away with the old environment.",
    "Mount it elsewhere, with a link to it; an environment must be a folder of the file system around it.",
)
NOT_IN_PLACE = Kind(
    "not-in-place",
    BLOCKER,
    "A conda environment would be upgraded in place, as requested, or because there is no space for a copy.",
    "conda writes into files that the kept environment would share, so it could not be restored.",
    "Make space beside it, or leave out jupyterhub_environment_strategy.",
)
NO_CONDA_FOUND = Kind(
    NO_CONDA,
    BLOCKER,
    "No conda, mamba or micromamba was found for a conda environment.",
    "What conda has installed has to be upgraded by it.",
    NONE_FOUND_FIX,
)
CONDA_PINNED = Kind(
    PINNED,
    BLOCKER,
    "A conda environment is pinned to another version of a package that is to be installed.",
    "conda would refuse the target.",
    "Remove the line, or change it to the target's version.",
)
NESTED_ENVIRONMENTS = Kind(
    ENVIRONMENTS_INSIDE,
    BLOCKER,
    "Other environments are within an environment, which is the base of an installation of conda.",
    "They would be exchanged and restored with it: what their users install in between would be lost.",
    "Make an environment of its own for the hub (conda create --clone base), and change its service.",
)
OF_UNCLEAR_OWNER = Kind(
    OWNER,
    BLOCKER,
    "An environment that is not root's has an owner as whom it cannot be upgraded.",
    "What is in it is executed and written by its owner alone: that one has to be known on the host, be the "
    "only one who can replace it, and be able to write where the new one has to be.",
    "Give the environment and the folders around it to one user, or to root.",
)
KINDS = (
    NO_JUPYTERHUB_FOR_USERS,
    VERSION_MISMATCH,
    ENVIRONMENT_NOT_SUPPORTED,
    NOT_IN_PLACE,
    NO_CONDA_FOUND,
    CONDA_PINNED,
    NESTED_ENVIRONMENTS,
    OF_UNCLEAR_OWNER,
    NO_SUCH_PYTHON,
    PYTHON_TOO_OLD,
    INTERPRETER_GONE,
    INTERPRETER_CHANGED,
    ENVIRONMENT_LEFT_OUT,
    IN_PLACE,
    LINK_LEADS_OUT,
    NAMED_INSIDE,
    WRITTEN_INSIDE,
    MOUNTED_INSIDE,
)


#: Where the steps out of the system's Python lead, and the packages that people have chosen there: all others
#: come with them.
_HUBS_PLACE, _USERS_PLACE = "/opt/jupyterhub", "/opt/jupyter"
_CHOSEN_PACKAGES = (
    *("jupyterhub", "jupyterhub-*", "*authenticator*", "*spawner*", "configurable-http-proxy"),
    *("jupyterlab", "notebook", "jupyter-server", "ipykernel", "psycopg*", "pymysql", "mysqlclient"),
)
_OBSTACLES = {kind.id: kind for kind in (NO_CONDA_FOUND, CONDA_PINNED, NESTED_ENVIRONMENTS, OF_UNCLEAR_OWNER)}
_NEWER_PYTHON_BY_CONDA = (
    "Take a newer Python in a clone of it (conda create --clone, conda install python=...), try the hub with "
    "that, and change its service."
)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What prevents environments from the upgrade, and where those of hub and users differ now."""
    yield from _single_user(upgrade)
    for left in upgrade.left_out:
        yield ENVIRONMENT_LEFT_OUT.found(f"{left.path} stays as it is. {left.why}")
    known = {entry.path: entry.facts for entry in environments_of(upgrade.deployment)}
    for entry in upgrade.environments:
        environment = known[entry.path]
        if environment.kind not in upgradable():
            yield ENVIRONMENT_NOT_SUPPORTED.found(
                f"{entry.path} is a {environment.kind} environment; "
                f"what can be staged is: {', '.join(upgradable())}.",
                _own_environment(upgrade, entry),
            )
        yield from _python(upgrade, environment)
        if not interpreter_for(environment, upgrade.policy):
            yield from _interpreter(upgrade, entry.path, environment)
        if entry.in_place and not environment_of(entry.kind, entry.path).can_be_upgraded_in_place:
            yield NOT_IN_PLACE.found(f"{entry.path} would be upgraded in place.")
        elif entry.in_place:
            yield IN_PLACE.found(f"{entry.path} is upgraded in place.")
        resolution = upgrade.host.resolved.get(entry.path)
        for obstacle in resolution.obstacles if resolution else []:
            yield _OBSTACLES[obstacle.id].found(obstacle.found, obstacle.fix)
        yield from _files_of_the_site(upgrade, entry)
        yield from _named_inside(upgrade, environment)
        if entry.strategy != REBUILD:
            for path, target in upgrade.host.links.get(entry.path, []):
                yield LINK_LEADS_OUT.found(f"{path} leads out of the environment, to {target}.")


def _own_environment(upgrade: Upgrade, entry: PlannedEnvironment) -> str:
    """The steps by which what uses the system's Python gets an environment of its own, at its own version."""
    installed = upgrade.host.installed.get(entry.path, {})
    place = _USERS_PLACE if entry.role == "user" else _HUBS_PLACE
    names = [name for name in installed if any(fnmatch.fnmatchcase(name, each) for each in _CHOSEN_PACKAGES)]
    packages = " ".join(f"{name}=={installed[name]}" for name in sorted(names))
    service = upgrade.deployment.service
    used_by = (
        "c.Spawner.cmd"
        if entry.role == "user"
        else f"the command of {service.name}, now `{logs.scrub(shlex.join(service.command))}`,"
    )
    return (
        f"As root: `{entry.path}/bin/python3 -m venv {place}`, `{place}/bin/pip install {packages}`; "
        f"have {used_by} start from {place}/bin, and that folder in its PATH; restart the hub, check it, and "
        "upgrade it then. The database stays where it is."
    )


def _single_user(upgrade: Upgrade) -> Iterator[Finding]:
    """An environment whose servers do not match the present hub."""
    for user in upgrade.deployment.user_environments:
        if user.jupyterhub is None:
            yield NO_JUPYTERHUB_FOR_USERS.found(f"{user.path} has no jupyterhub.")
        elif user.jupyterhub != upgrade.current:
            yield VERSION_MISMATCH.found(
                f"{user.path} has jupyterhub {user.jupyterhub}, the hub {upgrade.current}."
            )


def _files_of_the_site(upgrade: Upgrade, entry: PlannedEnvironment) -> Iterator[Finding]:
    """Files that are no part of the environment, but would be exchanged with it."""
    path = entry.path
    written = upgrade.host.written.get(path, {})
    if written:
        files = ", ".join(f"{file} ({setting})" for file, setting in written.items())
        yield WRITTEN_INSIDE.found(f"{path} has files that are written while the hub serves: {files}.")
    points = upgrade.host.mounts.get(path, [])
    if points:
        yield MOUNTED_INSIDE.found(f"{', '.join(points)} of the environment {path} is a mount point.")


def _named_inside(upgrade: Upgrade, environment: EnvironmentFacts) -> Iterator[Finding]:
    """Files of config and unit in ``lib/python3.<n>``, where a rebuild makes another number of it."""
    new = upgrade.host.python_versions.get(interpreter_for(environment, upgrade.policy))
    old = environment.python_version
    if not new or not old or _minor(new) == _minor(old):
        return
    deployment = upgrade.deployment
    folder = f"{environment.path.rstrip('/')}/lib/python{_minor(old)}/"
    named = [*deployment.service.command, deployment.config.file or "", deployment.service.unit_file]
    inside = list(dict.fromkeys(word for word in named if word.startswith(folder)))
    if inside:
        yield NAMED_INSIDE.found(
            f"{', '.join(inside)} would be gone from Python {_minor(new)}'s {environment.path}."
        )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _python(upgrade: Upgrade, environment: EnvironmentFacts) -> Iterator[Finding]:
    asked_for, target = interpreter_for(environment, upgrade.policy), upgrade.target
    path, own = environment.path.rstrip("/"), environment.python_version
    python = upgrade.host.python_versions.get(asked_for) if asked_for else own
    if asked_for and not python:
        yield NO_SUCH_PYTHON.found(f"The interpreter {asked_for} does not exist on the host or does not run.")
    elif (
        target.requires_python
        and not environment_of(environment.kind, path).comes_with_python
        and not satisfies(str(python), target.requires_python)
    ):
        yield PYTHON_TOO_OLD.found(
            f"JupyterHub {target.version} needs Python {target.requires_python}, {path} has {python}.",
            _NEWER_PYTHON_BY_CONDA if environment_of(environment.kind, path).has_own_python else "",
        )


def _interpreter(upgrade: Upgrade, path: str, environment: EnvironmentFacts) -> Iterator[Finding]:
    """What an upgrade of the operating system does to a venv."""
    python, made_for = environment.python, environment.python_version
    says = upgrade.host.python_versions.get(python) if python else ""
    if says == "":
        yield INTERPRETER_GONE.found(f"{path}/bin/python is not there or does not run.")
    elif says and made_for and _minor(says) != _minor(made_for):
        yield INTERPRETER_CHANGED.found(f"{path} was made for Python {made_for}, and {python} is {says}.")
