"""A recovery point: a folder that says what the old state is and holds what is needed to be there again.

    <state folder>/recovery/<id>/
        manifest.json          written last: a folder without it is no recovery point
        database-access.json   how a server is reached that has the database
        database.sqlite        or sealed.sqlite, once the hub has stopped
        files/<absolute path>  config and what it includes, unit, environment files, secrets
        environments/<n>.txt   every package of each environment, as ``name==version``, or as conda has it
        homes/<n>.tar.gz       when asked for
        replaced/              what a restore has taken out of the way; nothing is destroyed

docs/recovery-point.md has the manifest's fields, what a restore does, and how to do it manually.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterable

from ..databases.facts import DatabaseBackup
from ..deployment.database import database_of, keep_access
from ..deployment.holding import holding
from ..deployment.lifecycle import start, take_down
from ..deployment.model import Deployment
from ..environments.kept import KeptEnvironment
from ..environments.kinds import environment_of
from ..errors import HubError
from ..hub import hold_page, logs
from ..planning.plan import Plan
from ..services.kinds import service_of
from ..system import files, state
from . import kept_database, kept_environments, kept_files, reserved_space, restore_test
from . import manifest as manifests
from .manifest import Manifest

#: How long a restore waits for the server of a database.
SERVER_SECONDS = 300


@dataclass(frozen=True)
class Difference:
    """One thing on the host that is not as a recovery point says."""

    path: str
    now: str
    then: str


def state_folder_of(point: Path) -> Path:
    """The state folder that a recovery point lies in."""
    return point.parents[1]


def create(
    deployment: Deployment,
    plan: Plan | None,
    base: str | None,
    homes: Iterable[str],
    lock_timeout: float,
    purpose: str = "",
    run: dict[str, str] | None = None,
) -> Path:
    """Make a recovery point of a hub that serves, and return its folder.

    ``plan`` is None where no change follows. ``purpose`` is ``upgrade``, ``move``, ``rollback`` or
    ``backup``; by default what the plan does, and the last where there is none. ``run`` says who makes it:
    ``{id, user, controller}``. ``lock_timeout`` is in seconds. After a failure nothing is left.
    """
    folder = state.recovery_folder(state.state_folder(deployment.name, base))
    from_version = deployment.jupyterhub
    to_version = plan.to_version if plan else ""
    point = folder / manifests.new_id(folder, from_version, to_version, datetime.now(timezone.utc))
    state.make_private(point)
    try:
        keep_access(deployment, point)
        manifest = Manifest(
            format=manifests.FORMAT,
            id=point.name,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            purpose=purpose or (plan.action if plan else "backup"),
            run=run or {},
            from_version=from_version,
            to_version=to_version,
            deployment=deployment,
            environments=kept_environments.keep(point, deployment, plan),
            files=tuple(kept_files.keep(point, path) for path in kept_files.of_deployment(deployment)),
            homes=tuple(kept_files.keep_home(point, number, Path(home)) for number, home in enumerate(homes)),
            database=database_of(deployment, point).back_up(point, lock_timeout),
        )
        manifests.write(point, manifest)
    except (OSError, HubError) as error:
        shutil.rmtree(point, ignore_errors=True)
        if isinstance(error, HubError):
            raise
        raise HubError(
            f"The recovery point {point} could not be written: {error.strerror or error}.",
            "Make space, or name another place in jupyterhub_state_folder.",
        ) from error
    return point


def seal(point: Path, lock_timeout: float) -> DatabaseBackup:
    """Take the database once more, now that the hub has stopped; returns the manifest's ``database``.

    The earlier copy stays until the manifest names the new one: the point is whole at any moment.
    """
    manifest = manifests.read(point)
    kept_database.forget_restore(point)
    on_host = kept_database.of_manifest(point, manifest)
    database = on_host.seal(point, manifest.database, lock_timeout)
    manifests.write(point, replace(manifest, database=database))
    on_host.remove_other_copies(point, database)
    return database


def verify(point: Path, environments: bool = False, homes: bool = True) -> Manifest:
    """Compare everything in ``point`` with its manifest, and return that.

    With ``environments`` also the old environments, which are kept beside the new ones; that takes seconds.
    Without ``homes`` not those. Raises HubError that lists all that is wrong.
    """
    manifest = manifests.read(point)
    wrong = manifests.damage(point, manifest, homes)
    wrong += kept_environments.changes(manifest) if environments else []
    if wrong:
        raise HubError(f"The recovery point {point} is damaged: {'; '.join(wrong)}.", "It was not used.")
    return manifest


def test_restore(point: Path) -> None:
    """Test the restore while the hub serves: checksums, the kept database, the old environments.

    Nothing is touched and nothing is left. Raises HubError that lists all that is wrong.
    """
    manifest = verify(point, environments=True)
    wrong = restore_test.try_database(point, manifest)
    if not wrong:
        wrong = restore_test.try_environments(point, manifest)
    if wrong:
        raise HubError(
            f"The recovery point {point} could not be restored: {'; '.join(wrong)}.", "Nothing was touched."
        )


def reserve(point: Path) -> None:
    """Take the disk space that sealing and restoring need; may be called again. HubError if there is none."""
    manifest = manifests.read(point)
    database, backup = kept_database.of_manifest(point, manifest), manifest.database
    try:
        database.prepare_seal(point, backup)
        reserved_space.reserve(state_folder_of(point), database, backup)
    except HubError:
        database.remove_other_copies(point, backup)
        raise


def release_reserve(point: Path) -> None:
    """Release the disk space that `reserve` has taken, if any."""
    manifest = manifests.read(point)
    database, backup = kept_database.of_manifest(point, manifest), manifest.database
    database.remove_other_copies(point, backup)
    reserved_space.release(state_folder_of(point), database, backup)


def foretell(point: Path) -> dict[str, Any]:
    """What `restore` would do, in the shape of its result. Raises HubError where it would refuse."""
    manifest = verify(point)
    kept_environments.require(manifest)
    different = differences(point, manifest)
    rests = service_of(manifest.deployment.service).state() not in ("starting", "running")
    return {"changed": bool(different) or rests, **_result(different)}


def restore(
    point: Path,
    timeout: float,
    stop_timeout: float,
    log_mark: str = "",
    before_start: Callable[[], object] = lambda: None,
    shut_down: Callable[[], None] | None = None,
    held: bool = False,
) -> dict[str, Any]:
    """Make the host equal to ``point``, and have the old hub serve.

    Safe to call from any half-way state, again and again. A hub that has not stopped after ``stop_timeout``
    seconds is killed; ``timeout`` is what the old one's start may take, in seconds. What the hub has logged
    since ``log_mark`` is kept with what is replaced. ``before_start`` is called once all is restored.
    ``shut_down`` as in `lifecycle.stop`; ``held`` says whether the hub's address is held already.
    Returns what was restored, also as a diff, whether anything was changed, and when the hub answered.
    """
    with contextlib.ExitStack() as kept:
        with _no_os_error(point):
            manifest = verify(point, homes=False)
            kept_environments.require(manifest)
            deployment = manifest.deployment
            base = str(state_folder_of(point).parent)
            kept_database.of_manifest(point, manifest).wait(SERVER_SECONDS)
            different = differences(point, manifest)
            if different or service_of(deployment.service).state() == "stopping":
                reserved_space.release_aside(state_folder_of(point))
                if not held:
                    kept.enter_context(holding(deployment, doing=hold_page.RESTORED))
                take_down(deployment, base, f"restoring {point.name}", stop_timeout, shut_down)
            if different:
                aside = point / "replaced" / datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
                if log_mark:
                    _keep_log(deployment, log_mark, aside)
                make_equal(point, manifest, aside)
            for entry in kept_environments.restorable(manifest):
                kept_environments.tidy(entry, point.parent)
            database = kept_database.of_manifest(point, manifest)
            reserved_space.release(state_folder_of(point), database, manifest.database)
            # Before the first row of the hub that serves again: it must survive another restore.
            kept_database.remember_restore(point)
        before_start()
        started = start(deployment, base, manifest.from_version, timeout)
        with contextlib.suppress(HubError):  # The hub serves.
            service_of(deployment.service).settle()
    return {
        **_result(different),
        "changed": bool(different) or started.changed,
        "answered_at": started.answered_at,
        "version": started.version,
    }


@contextlib.contextmanager
def _no_os_error(point: Path) -> Iterator[None]:
    """Report errors of the operating system as a failed restore, which may be tried again."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise HubError(
            f"{point} could not be restored: {what}.",
            "Fix that and restore it again: it continues from here.",
        ) from error


def _result(different: list[Difference]) -> dict[str, Any]:
    """Differences as a module returns them."""
    return {
        "restored": [each.path for each in different],
        "diff": {
            "before": "".join(f"{each.path}: {each.now}\n" for each in different),
            "after": "".join(f"{each.path}: {each.then}\n" for each in different),
        },
    }


def differences(point: Path, manifest: Manifest, afresh: bool = False) -> list[Difference]:
    """What on the host is not as the recovery point says: environments, database and files.

    A database that was restored already counts as equal, whatever was written since, unless ``afresh``.
    """
    found = [
        Difference(entry.path, _in_place(entry), _as_kept(entry))
        for entry in kept_environments.restorable(manifest)
        if kept_environments.state_of(entry) != kept_environments.HERE
    ]
    database, backup = kept_database.of_manifest(point, manifest), manifest.database
    if kept_database.differs(point, manifest, afresh):
        now, then = kept_database.described_on_host(database), kept_database.described(backup)
        found.append(Difference(database.name, now, then))
    elif not database.has_owner_of(backup):
        found.append(Difference(database.name, "another owner or mode", "as it was"))
    for file in manifest.files:
        now, then = kept_files.described_on_host(file), kept_files.described(file)
        found += [Difference(file.path, now, then)] if now != then else []
    return found


def make_equal(point: Path, manifest: Manifest, aside: Path) -> None:
    """Restore all that differs, and set aside what is replaced; the hub must be stopped."""
    for entry in kept_environments.restorable(manifest):
        kept_environments.restore(entry, point.parent)
    database, backup = kept_database.of_manifest(point, manifest), manifest.database
    if kept_database.differs(point, manifest):
        reserved_space.release_beside(database, backup)
        database.restore(point, backup, aside)
    database.give_owner_of(backup)
    for file in manifest.files:
        if kept_files.described_on_host(file) != kept_files.described(file):
            kept_files.restore(point, file, aside)
            if file.path == manifest.deployment.service.unit_file:
                service_of(manifest.deployment.service).reread()


def _in_place(entry: KeptEnvironment) -> str:
    """What stands in an environment's place."""
    try:
        found = environment_of(entry.kind, entry.path).facts()
    except HubError as error:
        return error.message
    return kept_environments.described(found.jupyterhub, found.python_version)


def _as_kept(entry: KeptEnvironment) -> str:
    return kept_environments.described(entry.jupyterhub, entry.python_version)


def _keep_log(deployment: Deployment, mark: str, aside: Path) -> None:
    """Keep what the hub has logged since ``mark``, without secrets."""
    lines = [f"{logs.scrub(line)}\n" for line in service_of(deployment.service).log_since(mark)]
    state.make_private(aside)
    files.write(aside / "hub.log", "".join(lines).encode())
