"""The guard of an upgrade, seen from the controller: armed before it, disarmed on acceptance.

What it is made of, all in the release's namespace: a service account with a Role that has what a restore
touches and nothing more, a ConfigMap in which both meet, a Secret with the program, the Job that watches,
and a suspended Job that puts the database back. What it does is in `guard_program`.
"""

from __future__ import annotations

import calendar
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import HubError
from ..system.source import source_of
from . import forgotten_servers, guard_program
from .cluster import Access, CommandError, Kubectl
from .databases import database_of_backup
from .guard_program import KEPT_KINDS, record_name
from .hub_database import HubDatabase
from .pods import FOLDER, hub_container, job, labelled, own_name, shared, why_waiting
from .recovery import Object, RecoveryPoint, choose, hub_object, kept, read_kept_objects
from .release import Release

HEARTBEAT_SECONDS = 5.0
LOOK_SECONDS = 1.0
READY_SECONDS = 180.0
#: Revisions that a failed upgrade, or what somebody tries beside it, may add to Helm's history.
MORE_REVISIONS = 8
TOLD = (
    "Where no new hub has started since, it is what it was. Then, or once it is restored, run z2jh_rollback "
    "with z2jh_database_restored: true; the old hub starts."
)
OBJECT_VERBS = ("get", "update", "patch", "delete")


@dataclass(frozen=True)
class Names:
    """Names of a guard's objects."""

    release: str

    @property
    def guard(self) -> str:
        return own_name(self.release, "guard")

    @property
    def database(self) -> str:
        return own_name(self.release, "database")


def manifests(
    point: RecoveryPoint,
    objects: Sequence[Object],
    added: Sequence[dict[str, str]],
    newest_revision: int,
    patience: float,
    mark: str,
    database: HubDatabase,
) -> list[dict[str, Any]]:
    """All objects of a guard but the ConfigMap, in the order in which they are made."""
    names = Names(point.release)
    settings = {
        "namespace": point.namespace,
        "config_map": names.guard,
        "hub": point.hub,
        "release": point.release,
        "database_job": names.database,
        "pods_in_the_way": database.pods_in_the_way(),
        "by_hand": database.by_hand(),
        "patience": patience,
        "mark": mark,
        "added": list(added),
        "records": [record_name(point.release, number) for number in revisions(point, newest_revision)],
        "newer_records": [record_name(point.release, newest_revision + 1)],
    }
    hub = hub_object(objects, point.hub)
    return [
        labelled("v1", "ServiceAccount", names.guard, automountServiceAccountToken=False),
        labelled(
            "rbac.authorization.k8s.io/v1", "Role", names.guard, rules=rules(point, objects, added, settings)
        ),
        labelled(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            names.guard,
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": names.guard},
            subjects=[{"kind": "ServiceAccount", "name": names.guard, "namespace": point.namespace}],
        ),
        labelled(
            "v1",
            "Secret",
            names.guard,
            stringData={
                "settings.json": json.dumps(settings),
                "guard.py": source_of(guard_program),
            },
        ),
        *database.restoring(point.database, hub, names.database),
        _guard_job(point, hub, names),
    ]


def revisions(point: RecoveryPoint, newest: int) -> range:
    """Revisions of Helm's history that a restore may have to end, the old one's included."""
    return range(point.revision, max(newest, point.revision) + MORE_REVISIONS + 1)


def rules(
    point: RecoveryPoint,
    objects: Sequence[Object],
    added: Sequence[dict[str, str]],
    settings: dict[str, Any],
) -> list[dict[str, Any]]:
    """What the guard may do: by name wherever Kubernetes can, and reading no Secret but the release's own.

    An account can only give rights that it has: so the rules of the release's own Roles are among them.
    """
    wanted: dict[tuple[str, str], set[str]] = {}
    kept: dict[tuple[str, str], set[str]] = {}
    for path, collection, kind in [
        *((each.path, each.collection, each.kind) for each in objects if each.namespaced),
        *((each["path"], each["collection"], each["kind"]) for each in added),
    ]:
        chosen = kept if kind in KEPT_KINDS else wanted
        chosen.setdefault(_resource(collection), set()).add(path.rpartition("/")[2])
    found = [
        _rule(group, resource, OBJECT_VERBS, sorted(names)) for (group, resource), names in wanted.items()
    ]
    found += [_rule(group, resource, ("get",), sorted(names)) for (group, resource), names in kept.items()]
    # A name cannot be given for what does not exist yet.
    found += [_rule(group, resource, ("create",)) for group, resource in {**wanted, **kept}]
    found += [
        _rule("", "configmaps", ("get", "update", "patch"), [settings["config_map"]]),
        _rule("", "secrets", ("get", "patch"), settings["records"]),
        _rule("", "secrets", ("create",)),
        _rule("", "pods", ("list",)),
        _rule("batch", "jobs", ("get", "patch"), [settings["database_job"]]),
        *(_rule("", "pods", ("get", "delete"), [name]) for name in settings["pods_in_the_way"]),
    ]
    for each in objects:
        if each.kind == "Role" and each.namespaced:
            found += each.object.get("rules") or []
    return found


def _rule(
    group: str, resource: str, verbs: Sequence[str], names: Sequence[str] | None = None
) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
    return {**rule, "resourceNames": list(names)} if names else rule


def _resource(collection: str) -> tuple[str, str]:
    """Group and resource of a collection's path."""
    parts = collection.strip("/").split("/")
    return (parts[1] if parts[0] == "apis" else "", parts[-1])


def _guard_job(point: RecoveryPoint, hub: dict[str, Any], names: Names) -> dict[str, Any]:
    sources = [names.guard, point.secret, point.record_secret]
    pod = {
        **shared(hub),
        "serviceAccountName": names.guard,
        "automountServiceAccountToken": True,
        "restartPolicy": "OnFailure",
        "containers": [
            hub_container(
                hub,
                ["python3", f"{FOLDER}/guard.py", FOLDER],
                [{"name": "hubops", "mountPath": FOLDER, "readOnly": True}],
            )
        ],
        "volumes": [
            {"name": "hubops", "projected": {"sources": [{"secret": {"name": name}} for name in sources]}}
        ],
    }
    # Whatever happens to its pods, there is another one.
    return job(names.guard, pod, backoffLimit=1000)


@dataclass(frozen=True)
class State:
    """What the ConfigMap of a guard says."""

    state: str
    ready: bool
    reason: str = ""
    step: str = ""
    problem: str = ""
    recovery_point: str = ""
    database: str = ""
    heartbeat: str = ""
    #: Which run has armed it.
    run: str = ""
    #: Whether a person has said that the database is restored, for whom it waits.
    told: bool = False

    @property
    def waits(self) -> bool:
        """Whether a person has to restore the database."""
        return self.state == "waiting" and not self.told


class Meeting:
    """The ConfigMap in which guard and controller meet."""

    def __init__(self, access: Access, release: str) -> None:
        self.kubectl = Kubectl(access)
        self.names = Names(release)

    def read(self) -> State | None:
        """What it says; None where no guard has been armed, or it was removed."""
        found = self.kubectl.one("configmap", self.names.guard)
        return _state(found["data"]) if found else None

    def change(self, expected: str, **data: str) -> bool:
        """Write into it if it is in the ``expected`` state; whether it was."""
        found = self.kubectl.one("configmap", self.names.guard)
        if found is None or found["data"].get("state") != expected:
            return False
        found["data"].update(data)
        try:
            self.kubectl.run("replace", "--filename", "-", stdin=json.dumps(found).encode())
        except CommandError as error:
            if "Conflict" in error.output or "has been modified" in error.output:
                return self.change(expected, **data)
            raise
        return True

    def beat(self, text: str) -> State:
        """Give a heartbeat; what the ConfigMap says."""
        patch = json.dumps({"data": {"heartbeat": text}})
        argv = (
            "patch",
            "configmap",
            self.names.guard,
            "--type",
            "merge",
            "--patch",
            patch,
            "--output",
            "json",
        )
        return _state(json.loads(self.kubectl.run(*argv, timeout=20))["data"])


def _state(data: dict[str, str]) -> State:
    return State(
        state=data.get("state", ""),
        ready="ready" in data,
        reason=data.get("reason", ""),
        step=data.get("step", ""),
        problem=data.get("problem", ""),
        recovery_point=data.get("recovery-point", ""),
        database=data.get("database", ""),
        heartbeat=data.get("heartbeat", ""),
        run=data.get("run", ""),
        told=bool(data.get("database-restored")),
    )


class Heartbeats:
    """Heartbeats of this process to a guard; ``lost`` says why the work must stop, once it must."""

    def __init__(self, meeting: Meeting, run: str, patience: float) -> None:
        self.meeting = meeting
        self.run = run
        self.patience = patience
        self.lost = ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Heartbeats:
        self._beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        reached = time.monotonic()
        while not self._done.wait(min(HEARTBEAT_SECONDS, self.patience / 4)):
            try:
                self._beat()
                reached = time.monotonic()
            except HubError as error:
                # Well before the guard loses its patience: nothing of ours is at work when it restores.
                if time.monotonic() - reached > self.patience / 2:
                    self.lost = self.lost or f"The cluster cannot be reached: {error.message}"
            if self.lost:
                return

    def require(self) -> None:
        """Raise HubError where the work must stop."""
        if self.lost:
            raise HubError(self.lost, "Run the playbook again.")

    def _beat(self) -> None:
        state = self.meeting.beat(f"{time.time():.3f}")
        if state.run != self.run:
            self.lost = f"The guard is one of another run, {state.run}."
        elif state.state != "armed":
            self.lost = f"The guard restores the old release: {state.reason or state.state}."


def arm(
    access: Access,
    point: RecoveryPoint,
    added: Callable[[Sequence[Object]], Sequence[dict[str, str]]],
    newest_revision: int,
    patience: float,
) -> str:
    """Arm a guard, and see that it watches; the id of the run that it belongs to.

    Raises HubError when there is one already, and when it does not begin to watch, with nothing left behind.
    """
    kubectl = Kubectl(access)
    meeting = Meeting(access, point.release)
    objects = read_kept_objects(kubectl, point)
    mark = f"{point.id}-{int(time.time())}"
    database = database_of_backup(access, point.release, point.hub, point.database)
    made = manifests(point, objects, added(objects), newest_revision, patience, mark, database)
    data = {"state": "armed", "run": mark, "recovery-point": point.id, "heartbeat": f"{time.time():.3f}"}
    config_map = labelled("v1", "ConfigMap", meeting.names.guard, data=data)
    try:
        # Created and not applied: of two runs at once, one gets it.
        kubectl.run("create", "--filename", "-", stdin=json.dumps(config_map).encode())
    except CommandError as error:
        if "AlreadyExists" in error.output or "already exists" in error.output:
            raise HubError(
                f"Another run works on the release {point.release}: there is a guard, {meeting.names.guard}.",
                "Wait for it. One that was cut off is ended by the next run.",
            ) from None
        raise
    try:
        kubectl.apply(made)
        with Heartbeats(meeting, mark, patience):
            _await(meeting, lambda state: state.ready, READY_SECONDS, "did not begin to watch")
    except HubError:
        remove(access, point.release)
        raise
    return mark


def accept(access: Access, release: str, run: str) -> None:
    """Keep the new release, and remove the guard. Raises HubError where it restores the old one already."""
    meeting = Meeting(access, release)
    state = meeting.read()
    if state is None or state.run != run or not meeting.change("armed", state="accepted"):
        state = meeting.read()
        raise HubError(
            f"The new release cannot be accepted: {state.reason if state else 'its guard is gone'}.",
            "The old release is what counts. Run the upgrade again when the reason is gone.",
        )
    remove(access, release)


def restore(
    access: Access, release: str, reason: str, timeout: float, progress: Callable[[str], None]
) -> State:
    """Have the guard restore the old release, and wait for it (seconds); what it says at the end.

    Raises HubError where it cannot, or takes longer: it goes on by itself.
    """
    meeting = Meeting(access, release)
    meeting.change("armed", state="restoring", reason=reason)
    state = _await(
        meeting,
        lambda each: each.state in ("restored", "failed") or each.waits,
        timeout,
        "is not done",
        progress,
    )
    if state.waits:
        raise HubError(state.problem, TOLD)
    if state.state == "failed":
        raise HubError(
            f"The guard could not restore the old release: {state.problem}",
            f"See kubectl --namespace {access.namespace} logs job/{meeting.names.guard}. "
            f"The recovery point is {state.recovery_point}.",
        )
    return state


def is_watched(access: Access, release: str, seconds: float = 2.5 * HEARTBEAT_SECONDS) -> bool:
    """Whether another controller gives heartbeats to the guard."""
    meeting = Meeting(access, release)
    first = meeting.read()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = meeting.read()
        if state is None or state.state != "armed":
            return False
        if first is not None and state.heartbeat != first.heartbeat:
            return True
        time.sleep(LOOK_SECONDS)
    return False


def remove(access: Access, release: str) -> None:
    """Remove everything of a guard; the ConfigMap last, which tells that there is one."""
    kubectl = Kubectl(access)
    names = Names(release)
    for kind, name in (
        ("job", names.guard),
        ("job", names.database),
        ("rolebinding", names.guard),
        ("role", names.guard),
        ("serviceaccount", names.guard),
        ("secret", names.guard),
        ("secret", names.database),
        ("configmap", names.guard),
    ):
        kubectl.delete(kind, name)


def complete(access: Access, point: RecoveryPoint) -> list[str]:
    """Put back what is outside of namespaces, where the guard has no rights; paths of what changed."""
    kubectl = Kubectl(access)
    changed = []
    for each in read_kept_objects(kubectl, point):
        if each.namespaced or each.kind in KEPT_KINDS:
            continue
        present = None
        with contextlib.suppress(CommandError):
            present = json.loads(kubectl.run("get", "--raw", each.path))
        if present is not None and guard_program.is_same(present, each.object):
            continue
        sent = json.dumps(guard_program.without_server_fields(each.object)).encode()
        kubectl.run("create" if present is None else "replace", "--filename", "-", stdin=sent)
        changed.append(each.path)
    return changed


def _await(
    meeting: Meeting,
    done: Callable[[State], bool],
    timeout: float,
    failing: str,
    progress: Callable[[str], None] = lambda _line: None,
) -> State:
    deadline = time.monotonic() + timeout
    shown = ""
    while True:
        state = meeting.read()
        if state is None:
            raise HubError(f"The guard {meeting.names.guard} is gone.", "Somebody has removed it.")
        if done(state):
            return state
        line = state.problem or state.step
        if line and line != shown:
            shown = line
            progress(line)
        if time.monotonic() > deadline:
            namespace = meeting.kubectl.access.namespace
            why = why_waiting(meeting.kubectl.get("pods", selector=f"hubops-job={meeting.names.guard}"))
            raise HubError(
                f"The guard {meeting.names.guard} {failing} within {timeout:.0f} s"
                f"{f': {line}' if line else ''}. {why}".strip(),
                f"See kubectl --namespace {namespace} describe job {meeting.names.guard}.",
            )
        time.sleep(LOOK_SECONDS)


@contextlib.contextmanager
def heartbeats(access: Access, release: str, run: str, patience: float) -> Iterator[Heartbeats]:
    """Heartbeats while something is done. Raises HubError where the run has no guard that watches."""
    with Heartbeats(Meeting(access, release), run, patience) as beating:
        if beating.lost:
            raise HubError(beating.lost, "Run the upgrade again.")
        yield beating


@dataclass(frozen=True)
class Resumed:
    """What became of a run that was cut off: "", ``restored``, ``accepted`` or ``healed``."""

    outcome: str
    reason: str = ""
    recovery_point: str = ""
    database: dict[str, Any] = field(default_factory=dict)
    #: Paths of what was put back outside of namespaces, by the controller.
    outside: tuple[str, ...] = ()
    #: Whose servers were stopped, because the old hub does not know them.
    stopped: tuple[str, ...] = ()


def finish(
    access: Access,
    release: str,
    run: str,
    reason: str,
    timeout: float,
    progress: Callable[[str], None] = lambda _line: None,
) -> Resumed:
    """Have the old release restored by the guard of this run, and remove the guard.

    Servers that were started since, which the old hub does not know, are stopped. There is nothing to do
    where there is no such guard. Raises HubError as `restore` does.
    """
    meeting = Meeting(access, release)
    state = meeting.read()
    if state is None or state.run != run:
        return Resumed("")
    if state.state == "accepted":
        remove(access, release)
        return Resumed("accepted", recovery_point=state.recovery_point)
    state = restore(access, release, reason, timeout, progress)
    point = choose(kept(Kubectl(access), release), release, state.recovery_point)
    changed = complete(access, point)
    stopped: tuple[str, ...] = ()
    # The old release serves: servers that nobody reaches are no reason to say that it does not.
    with contextlib.suppress(HubError):
        stopped = forgotten_servers.remove(access, point)
    remove(access, release)
    database = json.loads(state.database) if state.database else {}
    return Resumed("restored", state.reason, state.recovery_point, database, tuple(changed), stopped)


def resume(
    access: Access,
    release: Release,
    timeout: float,
    pending_seconds: float,
    now: float,
    database_restored: bool = False,
) -> Resumed:
    """End a run that was cut off, whoever began it: the old release, unless the new one was accepted.

    ``database_restored``: whether a person says that the database is restored for which a guard waits.
    Raises HubError while another controller is at work, and where a guard could not restore.
    """
    meeting = Meeting(access, release.name)
    state = meeting.read()
    if state is None:
        return heal(access, release, pending_seconds, now)
    if state.state == "armed" and is_watched(access, release.name):
        raise HubError(
            f"Another run works on the release {release.name}: {state.run}.", "Wait until it has ended."
        )
    if database_restored:
        meeting.change("waiting", **{"database-restored": "yes"})
    return finish(access, release.name, state.run, "its controller was lost", timeout)


def heal(access: Access, release: Release, pending_seconds: float, now: float) -> Resumed:
    """End a revision that a killed Helm has left pending, so that Helm takes the release again.

    Nothing that runs is changed. Raises HubError where that Helm may still be at work: ``pending_seconds``
    have not passed since.
    """
    if not release.pending:
        return Resumed("")
    kubectl = Kubectl(access)
    secret = kubectl.one("secrets", record_name(release.name, release.revision))
    if secret is None:
        return Resumed("")
    since = now - float(secret["metadata"]["labels"].get("modifiedAt") or created_at(secret))
    if since < pending_seconds:
        raise HubError(
            f"Helm has been at work on {release.name} for {since:.0f} s ({release.state}), or was killed.",
            f"Wait for it. After {pending_seconds:.0f} s its revision is ended (z2jh_pending_seconds).",
        )
    record = guard_program.unpacked_record(secret["data"]["release"])
    record["info"]["status"] = guard_program.ended_status(release.state)
    secret["metadata"]["labels"]["status"] = record["info"]["status"]
    secret["data"]["release"] = guard_program.packed_record(record)
    kubectl.run("replace", "--filename", "-", stdin=json.dumps(secret).encode())
    return Resumed("healed", f"the revision {release.revision} was {release.state}")


def created_at(secret: dict[str, Any]) -> float:
    """When an object was created, in seconds since the epoch."""
    return calendar.timegm(time.strptime(secret["metadata"]["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ"))
