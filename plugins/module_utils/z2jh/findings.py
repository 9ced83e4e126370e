"""Upgrades of the chart: what stands in the way of one, and what to know before it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, Iterator, Sequence

from ..errors import HubError
from ..planning.findings.finding import BLOCKER, NOTE, WARNING, Finding, Kind, listing
from ..planning.findings.kinds import judge
from ..planning.findings.security import NO_ALLOW_RULE
from ..planning.findings.services import SERVICE_WITHOUT_SCOPES
from ..releases.versions import FAIL, OK, compare, parse_release
from . import charts, rehearsal_findings
from .hub_database import Evidence
from .release import Release, Volume
from .rendering import REFUSED, REMOVED, Problem
from .server_programs import program_of
from .values import Values, forgotten, get, has, leaves

_UPGRADE = "https://z2jh.jupyter.org/en/stable/administrator/upgrading"

RELEASE_OWNED = Kind(
    "release-owned",
    BLOCKER,
    "Flux or Argo CD has put its labels on the release.",
    "What is upgraded beside it is undone by it, within minutes: the old hub on the new database.",
    "Upgrade it there; or suspend it, and give it the same chart and values before it is resumed.",
    accept=True,
)
RELEASE_PENDING = Kind(
    "release-pending",
    BLOCKER,
    "The newest revision of the release is pending: a Helm that upgrades it now, or was killed.",
    "Helm refuses every upgrade: another operation is in progress. Where the new hub has started, it may "
    "have migrated the database, which the old hub cannot use.",
    "When no Helm runs any more, and the database is the old hub's, roll back to the revision that serves.",
)
RELEASE_FAILED = Kind(
    "release-failed",
    WARNING,
    "The newest revision of the release has failed.",
    "Objects of it may be in the cluster beside those of the revision that serves.",
    "See why: helm history, kubectl get events.",
)
HUB_NOT_READY = Kind(
    "hub-not-ready",
    BLOCKER,
    "The hub's pod is not ready.",
    "Whether an upgrade has broken it could not be told, and what is put back would not serve either.",
    "Repair it first: kubectl logs deployment/hub.",
    accept=True,
)
CHART_OLDER = Kind(
    "chart-older",
    BLOCKER,
    "The release has a newer chart, or a newer JupyterHub, than the target.",
    "A database is never migrated down.",
    "Choose a newer chart. To undo an upgrade, roll back.",
)
CHART_PRERELEASE = Kind(
    "chart-prerelease",
    WARNING,
    "The target chart is a pre-release.",
    "It may change again, and the database's schema with it.",
    "Choose a release, unless this is a test.",
)
CLUSTER_TOO_OLD = Kind(
    "cluster-too-old",
    BLOCKER,
    "The cluster's version is none that the target chart allows.",
    "Helm refuses the chart.",
    "Upgrade the cluster first, or choose an older chart.",
)
VALUE_REFUSED = Kind(
    "value-refused",
    BLOCKER,
    "The target chart's schema refuses a value.",
    "Helm upgrades nothing.",
    "Correct it in the values: the chart's configuration reference has each key.",
)
VALUE_REMOVED = Kind(
    "value-removed",
    BLOCKER,
    "The target chart has taken a key away.",
    "Helm upgrades nothing.",
    "Set what the message names instead.",
)
VALUE_IGNORED = Kind(
    "value-ignored",
    WARNING,
    "A value is set that the present chart has and the target chart has not.",
    "Where no schema refuses it, it is ignored without a message.",
    "Look for it in the chart's changelog: https://z2jh.jupyter.org/en/stable/changelog.html.",
)
TEMPLATE_FAILS = Kind(
    "template-fails",
    BLOCKER,
    "The target chart's templates fail with the values.",
    "Helm upgrades nothing.",
    "Correct the values; see helm template.",
)
VALUES_DIFFER = Kind(
    "values-differ",
    NOTE,
    "The values file says something else than the release has.",
    "The upgrade makes these changes as well. Two changes at a time are harder to judge.",
    "Nothing, where they are meant.",
)
DATABASE_EXTERNAL = Kind(
    "database-external",
    WARNING,
    "The hub's database is on a server, the upgrade crosses a major, and hub.db.upgrade is not set.",
    "The new hub exits at its start, until its database is migrated; with SQLite it migrates by itself.",
    "Nothing for PostgreSQL, MySQL and MariaDB: z2jh_upgrade dumps them, sets hub.db.upgrade, and takes it "
    f"out again. Else set it for this upgrade, and back up the database before ({_UPGRADE}/index.html).",
)
DATABASE_NOT_DUMPED = Kind(
    "database-not-dumped",
    BLOCKER,
    "The hub's database is none that can be copied or dumped.",
    "A failed upgrade would have no way back: the old hub cannot use a migrated database.",
    "Name in z2jh_database_evidence what there is of it, if it is on a server: what, when, and how it is "
    "restored. Or set hub.db.type to sqlite-pvc.",
)
DATABASE_BY_HAND = Kind(
    "database-by-hand",
    BLOCKER,
    "The hub's database is not dumped; z2jh_database_evidence says what there is of it.",
    "After a failed upgrade, and in a rollback, the hub stays down until somebody has restored it, with the "
    "rows of then. Nothing proves the evidence, or rehearses the migration.",
    "Try its restore, and take the snapshot right before. Then accept this.",
    accept=True,
)
DATABASE_UPGRADE_STAYS = Kind(
    "database-upgrade-stays",
    WARNING,
    "hub.db.upgrade is set in the release's values.",
    "Any later start of a newer image migrates the database, unnoticed and without a backup.",
    "Take it out of the values after the upgrade.",
)
DATABASE_IN_POD = Kind(
    "database-in-pod",
    WARNING,
    "The hub's database is on no volume.",
    "It ends with the pod: users, tokens and which servers run are lost with each upgrade.",
    "Set hub.db.type to sqlite-pvc.",
)
ROLLING_UPDATE = Kind(
    "rolling-update",
    BLOCKER,
    "The hub's database is SQLite, and hub.deploymentStrategy.type is not Recreate.",
    "The new hub starts, and migrates, while the old one writes to the same file.",
    "Set hub.deploymentStrategy.type to Recreate.",
    accept=True,
)
EGRESS_WIDENED = Kind(
    "egress-widened",
    BLOCKER,
    "A network policy restricts egress, and the upgrade crosses 2.0 of the chart.",
    f"From 2.0 on egressAllowRules add to it, and allow most by default ({_UPGRADE}/upgrade-1-to-2.html).",
    "Set each rule of egressAllowRules to false there, or to true where that is meant.",
    accept=True,
)
ADMIN_ACCESS_OFF = Kind(
    "admin-access-off",
    BLOCKER,
    "admin_access is false, and the upgrade crosses 2.0 of the chart.",
    f"From 2.0 on admins have access to users' servers whatever it says ({_UPGRADE}/upgrade-1-to-2.html).",
    "Give these users a role in hub.loadRoles with only the scopes that they need, instead of admin.",
    accept=True,
)
PRIVILEGE_ESCALATION = Kind(
    "privilege-escalation",
    NOTE,
    "singleuser.allowPrivilegeEscalation is not set, and the upgrade crosses 2.0 of the chart.",
    "From 2.0 on it is false: sudo and other set-user-ID programs fail in users' servers.",
    "Set it to true where users need them.",
)
CONFIG_PRIORITY = Kind(
    "config-priority",
    WARNING,
    "hub.config and hub.extraConfig or hub.extraFiles set the hub's options, and the upgrade crosses 2.0.",
    "Until then hub.config counted where both set one, from then on the others do.",
    "Look for options that both set, above all those that say who may log in.",
)
SCHEDULER_PLUGINS = Kind(
    "scheduler-plugins",
    WARNING,
    "scheduling.userScheduler.plugins is set, and the upgrade crosses 2.0 of the chart.",
    "The user scheduler's configuration has become kubescheduler.config.k8s.io/v1beta3 and later.",
    "Write it for that version.",
)
OAUTH_ALLOW_RULE = Kind(
    "oauth-allow-rule",
    BLOCKER,
    "An authenticator of OAuthenticator has no rule that allows anyone, and the upgrade crosses 3.0.",
    f"OAuthenticator 16 allows nobody without one, earlier ones everybody ({_UPGRADE}/upgrade-2-to-3.html).",
    "Set hub.config.OAuthenticator.allow_all to true for the earlier rule, or name the allowed users.",
    accept=True,
)
SPAWNER_BRACES = Kind(
    "spawner-braces",
    WARNING,
    "A variable for users' servers has braces, and the upgrade crosses 3.0 of the chart.",
    f"KubeSpawner 6 expands {{...}} in their values ({_UPGRADE}/upgrade-2-to-3.html).",
    "Double braces that are meant as such: {{ and }}.",
)
HOMES_MOVE = Kind(
    "homes-move",
    BLOCKER,
    "{username} names where homes are, and the upgrade crosses 4.0 of the chart.",
    "KubeSpawner 7 makes another text of it for some people: their homes are empty "
    f"({_UPGRADE}/upgrade-3-to-4.html).",
    "Write {escaped_username} for {username} there, or set hub.config.KubeSpawner.slug_scheme to escape.",
    accept=True,
)
HOMES_FORGOTTEN = Kind(
    "homes-forgotten",
    BLOCKER,
    "Servers run of people whose claims get another name, and the upgrade crosses 4.0 of the chart.",
    "Once such a server has stopped, the new hub forgets the claim, and makes an empty one "
    "(https://github.com/jupyterhub/kubespawner/issues/937).",
    "Have the hub told of the claims (z2jh_fix_volumes: true) or the servers stopped before the upgrade "
    "(z2jh_running_servers: stop); or set hub.config.KubeSpawner.slug_scheme to escape.",
    accept=True,
)
NAMED_SERVERS_HOMES = Kind(
    "named-servers-homes",
    BLOCKER,
    "Named servers have claims, and the upgrade crosses 4.0 of the chart.",
    "The chart's template of claims is another one: a claim that the hub has not written down is not found "
    "(https://github.com/jupyterhub/zero-to-jupyterhub-k8s/issues/3574).",
    "Have the hub told of the claims: z2jh_fix_volumes: true. Or set "
    "singleuser.storage.dynamic.pvcNameTemplate to claim-{username}{servername}, and "
    "hub.config.KubeSpawner.slug_scheme to escape.",
    accept=True,
)
NAMES_CHANGE = Kind(
    "names-change",
    WARNING,
    "{username} or {servername} is used in the values, and the upgrade crosses 4.0 of the chart.",
    f"KubeSpawner 7 makes another text of it for some people ({_UPGRADE}/upgrade-3-to-4.html).",
    "Write {escaped_username} and {escaped_servername} where the earlier text is needed.",
)
HOMES_LINKED = Kind(
    "homes-linked",
    NOTE,
    "Claims get another name, z2jh_fix_volumes is true, and the upgrade crosses 4.0 of the chart.",
    "The new hub would not use them again. They are written into its database after the upgrade, and it is "
    "started once more for that; users' servers run on.",
    "Nothing.",
)
SERVERS_REFUSED = Kind(
    "servers-refused",
    BLOCKER,
    "Users' servers run, and z2jh_running_servers is refuse.",
    "They run on while the hub is upgraded, and may not be what the new hub expects.",
    "Have them stopped, or set z2jh_running_servers to keep or stop.",
)
SERVERS_STOPPED = Kind(
    "servers-stopped",
    WARNING,
    "Users' servers run, and z2jh_running_servers is stop.",
    "They are stopped just before the upgrade: files stay, what is only in a kernel's memory is lost.",
    "Announce it; or set z2jh_running_servers to keep.",
)
SINGLE_USER_VERSION = Kind(
    "single-user-version",
    WARNING,
    "A server runs whose JupyterHub does not go with the target's.",
    "It may fail to reach the new hub, and its image will do so at its next start.",
    "Build the image with the target's JupyterHub, and set it in the values.",
)
SINGLE_USER_UNKNOWN = Kind(
    "single-user-unknown",
    NOTE,
    "An image of users' servers has not been looked at.",
    "No server of it runs that could be asked for its JupyterHub.",
    "Make sure that its JupyterHub has the major of the target's.",
)


def _changes(major: charts.Major) -> Kind:
    return Kind(
        f"chart-changes-{major.number}",
        NOTE,
        f"The upgrade crosses {major.number}.0 of the chart.",
        major.changes,
        f"Read {major.source}.",
    )


KINDS = (
    *(RELEASE_OWNED, RELEASE_PENDING, RELEASE_FAILED, HUB_NOT_READY),
    *(CHART_OLDER, CHART_PRERELEASE, CLUSTER_TOO_OLD),
    *(VALUE_REFUSED, VALUE_REMOVED, VALUE_IGNORED, TEMPLATE_FAILS, VALUES_DIFFER),
    *(DATABASE_NOT_DUMPED, DATABASE_BY_HAND),
    *(DATABASE_EXTERNAL, DATABASE_UPGRADE_STAYS, DATABASE_IN_POD, ROLLING_UPDATE),
    *(EGRESS_WIDENED, ADMIN_ACCESS_OFF, PRIVILEGE_ESCALATION, CONFIG_PRIORITY, SCHEDULER_PLUGINS),
    *(OAUTH_ALLOW_RULE, SPAWNER_BRACES),
    *(HOMES_MOVE, HOMES_FORGOTTEN, NAMED_SERVERS_HOMES, HOMES_LINKED, NAMES_CHANGE),
    *(SERVERS_REFUSED, SERVERS_STOPPED, SINGLE_USER_VERSION, SINGLE_USER_UNKNOWN),
    *map(_changes, charts.MAJORS),
)
#: Those of a hub on a host whose facts the values have as well.
SHARED = (NO_ALLOW_RULE, SERVICE_WITHOUT_SCOPES)

#: What becomes of users' servers that run (z2jh_running_servers).
KEEP, REFUSE, STOP = "keep", "refuse", "stop"

_POLICIES = ("hub", "proxy.chp", "proxy.traefik", "singleuser")
_ALLOW = re.compile(r"^(allow_all|allow_existing_users|any_allow_config|allow\w*|\w*whitelist)$")
#: Classes that allow everybody, or nobody, in every version (jupyterhub/auth.py).
_NEED_NO_RULE = ("dummy", "null", "nullauthenticator", "jupyterhub.auth.dummyauthenticator", "tmp")
_OAUTH = re.compile(
    r"oauthenticator|^(auth0|azuread|bitbucket|cilogon|generic-oauth|github|gitlab|globus|google|mediawiki"
    r"|okpy|openshift)$"
)
#: A name that both schemes of KubeSpawner leave as it is.
_SAME_SLUG = re.compile(r"[a-z][a-z0-9]{0,47}")
_NAMES = re.compile(r"\{(username|servername)\}")


@dataclass(frozen=True)
class Target:
    """What an upgrade would lead to: the chart, its values, and what it makes of them."""

    chart_version: str
    jupyterhub_version: str
    kube_version: str
    kube_satisfied: bool
    #: What the user supplies, and that over the chart's defaults.
    values: Values
    effective: Values
    defaults: Values
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Upgrade:
    """A release and what it shall become."""

    release: Release
    target: Target
    #: Defaults of the chart that the release has.
    old_defaults: Values
    #: JupyterHub of the images of running servers; those that could not be asked are missing.
    single_user: dict[str, str]
    running_servers: str = KEEP
    #: Whether the hub is told of the claims that it would not use any more.
    fix_volumes: bool = False
    #: What an administrator names of a database that cannot be dumped.
    evidence: Evidence = Evidence()

    def crosses(self, major: int) -> bool:
        """Whether the upgrade goes from before a major of the chart to it or beyond."""
        return charts.major(self.release.chart_version) < major <= charts.major(self.target.chart_version)


def find(upgrade: Upgrade, accepted: Sequence[str]) -> list[Finding]:
    """All findings, blockers first; those that are accepted are warnings."""
    checks = (_release, _chart, _values, _database, _majors, _to_2, _to_3, _to_4, _servers, _images)
    return judge([finding for check in checks for finding in check(upgrade)], accepted)


def require_known(accepted: Sequence[str]) -> None:
    """Raise HubError where an accepted id is none of ours."""
    known = [kind.id for kind in (*KINDS, *SHARED, *rehearsal_findings.KINDS, *rehearsal_findings.SHARED)]
    unknown = [id for id in accepted if id not in known]
    if unknown:
        near = [each for id in unknown for each in difflib.get_close_matches(id, known, n=3)]
        raise HubError(
            f"jupyterhub_accept names unknown findings: {', '.join(unknown)}.",
            f"Did you mean {', '.join(dict.fromkeys(near))}?"
            if near
            else "docs/kubernetes.md lists all ids.",
        )


def keeps_slug(name: str) -> bool:
    """Whether KubeSpawner 7 makes the same of a user's or server's name as earlier ones."""
    return bool(_SAME_SLUG.fullmatch(name))


def _release(upgrade: Upgrade) -> Iterator[Finding]:
    release = upgrade.release
    if release.owner:
        yield RELEASE_OWNED.found(f"The release {release.name} belongs to {release.owner}.")
    if release.pending:
        back = f"helm rollback {release.name} {release.deployed_revision} --namespace {release.namespace}"
        never = "wait for it, or install the release again: no revision of it has ever served"
        fix = back if release.deployed_revision < release.revision else never
        yield RELEASE_PENDING.found(
            f"Revision {release.revision} of {release.name} is {release.state} since "
            f"{release.history[-1].updated}.",
            f"When no Helm runs any more, and the database is the old hub's: {fix}.",
        )
    elif release.state == "failed":
        yield RELEASE_FAILED.found(
            f"Revision {release.revision} of {release.name} has failed: {release.history[-1].description}. "
            f"Revision {release.deployed_revision} serves."
        )
    if not release.hub_ready:
        yield HUB_NOT_READY.found(
            f"The deployment {release.hub} in {release.namespace} has no ready pod.",
            f"Repair it first: kubectl logs deployment/{release.hub} --namespace {release.namespace}.",
        )


def _chart(upgrade: Upgrade) -> Iterator[Finding]:
    release, target = upgrade.release, upgrade.target
    if charts.order(target.chart_version) < charts.order(release.chart_version):
        yield CHART_OLDER.found(
            f"The release has the chart {release.chart_version}, the target is {target.chart_version}."
        )
    elif parse_release(target.jupyterhub_version) < parse_release(release.jupyterhub_version):
        yield CHART_OLDER.found(
            f"The release has JupyterHub {release.jupyterhub_version}, the chart {target.chart_version} has "
            f"{target.jupyterhub_version}."
        )
    if charts.is_prerelease(target.chart_version):
        yield CHART_PRERELEASE.found(f"The chart {target.chart_version} is a pre-release.")
    if not target.kube_satisfied:
        yield CLUSTER_TOO_OLD.found(
            f"The cluster is {release.kubernetes_version}, the chart {target.chart_version} needs "
            f"{target.kube_version}."
        )


def _values(upgrade: Upgrade) -> Iterator[Finding]:
    target = upgrade.target
    for problem in target.problems:
        where = f"{problem.key}: " if problem.key else ""
        if problem.kind == REFUSED:
            yield VALUE_REFUSED.found(f"{where}{problem.message}.", _instead(upgrade, problem.key))
        elif problem.kind == REMOVED:
            yield VALUE_REMOVED.found(problem.message)
        else:
            yield TEMPLATE_FAILS.found(f"{where}{problem.message}")
    refused = {problem.key for problem in target.problems}
    lost = [
        key for key in forgotten(target.values, upgrade.old_defaults, target.defaults) if key not in refused
    ]
    if lost:
        yield VALUE_IGNORED.found(f"The chart {target.chart_version} has no {listing(lost)}.")
    old, new = dict(leaves(upgrade.release.values)), dict(leaves(target.values))
    missing = object()
    other = [key for key in sorted({*old, *new}) if old.get(key, missing) != new.get(key, missing)]
    if other:
        yield VALUES_DIFFER.found(f"Values that change with the upgrade: {listing(other, 20)}.")


def _instead(upgrade: Upgrade, key: str) -> str:
    """What a refused key may have been meant for."""
    parent, _dot, name = key.rpartition(".")
    beside = get(upgrade.target.defaults, parent, {}) if parent else upgrade.target.defaults
    if not isinstance(beside, dict) or name in beside:
        return ""
    near = [f"{parent}.{each}".lstrip(".") for each in difflib.get_close_matches(name, beside, n=2)]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    if has(upgrade.old_defaults, key):
        return "The present chart has it: look for it in https://z2jh.jupyter.org/en/stable/changelog.html."
    return "Take it out of the values."


def _database(upgrade: Upgrade) -> Iterator[Finding]:
    database, values = upgrade.release.database, upgrade.target.effective
    majors = (
        parse_release(upgrade.release.jupyterhub_version).major,
        parse_release(upgrade.target.jupyterhub_version).major,
    )
    on = bool(get(values, "hub.db.upgrade"))
    if not database.is_sqlite and majors[0] != majors[1] and not on:
        where = f" at {database.url}" if database.url else ""
        yield DATABASE_EXTERNAL.found(f"The hub's database is {database.kind}{where}; hub.db.upgrade is off.")
    if upgrade.evidence.what:
        named = upgrade.evidence
        yield DATABASE_BY_HAND.found(f"{named.what}, of {named.when}. Its restore: {named.restore}")
    elif not database.claim and program_of(database.url) is None:
        yield DATABASE_NOT_DUMPED.found(f"The hub's database is {database.kind}, on no volume of its own.")
    if on:
        yield DATABASE_UPGRADE_STAYS.found("hub.db.upgrade is true.")
    if database.is_sqlite and not database.claim:
        yield DATABASE_IN_POD.found(
            f"hub.db.type is {database.kind}, and the hub's pod has no volume for it."
        )
    strategy = get(values, "hub.deploymentStrategy.type", "Recreate")
    if database.is_sqlite and strategy != "Recreate":
        yield ROLLING_UPDATE.found(f"hub.deploymentStrategy.type is {strategy}.")


def _majors(upgrade: Upgrade) -> Iterator[Finding]:
    for major in charts.MAJORS:
        if upgrade.crosses(major.number):
            yield _changes(major).found(
                f"From chart {upgrade.release.chart_version} to {upgrade.target.chart_version} crosses "
                f"{major.number}.0."
            )


def _to_2(upgrade: Upgrade) -> Iterator[Finding]:
    if not upgrade.crosses(2):
        return
    values = upgrade.target.values
    for policy in _POLICIES:
        if has(values, f"{policy}.networkPolicy.egress") and not has(
            values, f"{policy}.networkPolicy.egressAllowRules"
        ):
            yield EGRESS_WIDENED.found(f"{policy}.networkPolicy.egress is set, egressAllowRules are not.")
    if get(values, "hub.config.JupyterHub.admin_access") is False:
        yield ADMIN_ACCESS_OFF.found("hub.config.JupyterHub.admin_access is false.")
    if not has(values, "singleuser.allowPrivilegeEscalation"):
        yield PRIVILEGE_ESCALATION.found("singleuser.allowPrivilegeEscalation is not set.")
    if get(values, "hub.config") and (get(values, "hub.extraConfig") or get(values, "hub.extraFiles")):
        yield CONFIG_PRIORITY.found("hub.config is set, and hub.extraConfig or hub.extraFiles.")
    if get(values, "scheduling.userScheduler.plugins"):
        yield SCHEDULER_PLUGINS.found("scheduling.userScheduler.plugins is set.")
    without = list(_services_without_role(values))
    if without:
        yield SERVICE_WITHOUT_SCOPES.found(
            f"Services of hub.services with neither admin nor a role in hub.loadRoles: {listing(without)}.",
            "Give each a role in hub.loadRoles with its scopes and services.",
        )


def _services_without_role(values: Values) -> Iterator[str]:
    roles = [role for role in (get(values, "hub.loadRoles") or {}).values() if isinstance(role, dict)]
    in_roles = {name for role in roles for name in role.get("services") or []}
    for key, service in (get(values, "hub.services") or {}).items():
        name = (service or {}).get("name") or key
        if not (service or {}).get("admin") and name not in in_roles:
            yield name


def _to_3(upgrade: Upgrade) -> Iterator[Finding]:
    if not upgrade.crosses(3):
        return
    values = upgrade.target.values
    name = _authenticator(values)
    if _OAUTH.search(name.lower()) and not upgrade.crosses(4) and not _allows(values):
        yield OAUTH_ALLOW_RULE.found(f"The authenticator is {name}, and no rule of hub.config allows users.")
    braces = [
        key
        for where in ("singleuser.extraEnv", "hub.config.KubeSpawner.environment")
        for key, value in leaves(get(values, where, {}), where)
        if isinstance(value, str) and re.search(r"(?<!\{)\{(?!\{)", value) and not _NAMES.search(value)
    ]
    if braces:
        yield SPAWNER_BRACES.found(f"Values with braces: {listing(braces)}.")


def _authenticator(values: Values) -> str:
    return str(get(values, "hub.config.JupyterHub.authenticator_class", ""))


def _allows(values: Values) -> bool:
    """Whether any option of hub.config says who is allowed; one in extraConfig is looked for as text."""
    config = get(values, "hub.config", {})
    set_by_config = any(
        _ALLOW.match(key.rpartition(".")[2]) and value not in (None, [], {}, False)
        for key, value in leaves(config)
    )
    extra = " ".join(str(each) for each in (get(values, "hub.extraConfig") or {}).values())
    return set_by_config or bool(re.search(r"\.(allow_\w+|allowed_\w+|any_allow_config)\b", extra))


def _to_4(upgrade: Upgrade) -> Iterator[Finding]:
    if not upgrade.crosses(4):
        return
    values, release = upgrade.target.values, upgrade.release
    name = _authenticator(upgrade.target.effective)
    if name.lower() not in _NEED_NO_RULE and not _allows(values):
        yield NO_ALLOW_RULE.found(
            f"The authenticator is {name}, and no rule of hub.config or hub.extraConfig allows users.",
            "Set hub.config.Authenticator.allow_all to true for the earlier rule, or name the allowed users.",
        )
    if get(values, "hub.config.KubeSpawner.slug_scheme") == "escape":
        yield from _named_servers(upgrade)
        return
    moving, renamed = [], []
    for key, value in leaves(upgrade.target.effective):
        supplied = has(values, key)
        texts = [text for text in _texts(value) if _NAMES.search(text)]
        if not texts or (not supplied and key != "singleuser.storage.static.subPath"):
            continue
        if key.startswith("singleuser.storage.static"):
            moving += [key] if get(upgrade.target.effective, "singleuser.storage.type") == "static" else []
        elif key.startswith(("singleuser.storage.", "hub.config.KubeSpawner.")) and not key.endswith(
            "pvcNameTemplate"
        ):
            moving.append(key)
        elif key.startswith("singleuser."):
            renamed.append(key)
    users = {each.user for each in release.volumes} | {each.user for each in release.servers}
    people = sorted(user for user in users if not keeps_slug(user))
    known = f" Known people with another text: {listing(people)}." if people else ""
    if moving:
        yield HOMES_MOVE.found(f"{{username}} is in {listing(moving)}.{known}")
    if renamed:
        yield NAMES_CHANGE.found(f"{{username}} or {{servername}} is in {listing(renamed)}.{known}")
    kept = [
        f"{each.user}{'/' + each.server if each.server else ''}"
        for each in release.servers
        if each.claims and not (keeps_slug(each.user) and (not each.server or keeps_slug(each.server)))
    ]
    if kept and upgrade.running_servers == KEEP:
        kind = HOMES_LINKED if upgrade.fix_volumes else HOMES_FORGOTTEN
        yield kind.found(f"Servers with claims that get another name run: {listing(kept, 20)}.")
    yield from _named_servers(upgrade)


def _named_servers(upgrade: Upgrade) -> Iterator[Finding]:
    named: list[Volume] = [each for each in upgrade.release.volumes if each.server]
    if named and not get(upgrade.target.values, "singleuser.storage.dynamic.pvcNameTemplate"):
        people = [f"{each.user}/{each.server} ({each.claim})" for each in named]
        kind = HOMES_LINKED if upgrade.fix_volumes else NAMED_SERVERS_HOMES
        yield kind.found(f"Named servers with claims: {listing(people, 20)}.")


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value that is no mapping at its top."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _servers(upgrade: Upgrade) -> Iterator[Finding]:
    people = [f"{each.user}/{each.server}".rstrip("/") for each in upgrade.release.servers]
    kind = {REFUSE: SERVERS_REFUSED, STOP: SERVERS_STOPPED}.get(upgrade.running_servers)
    if people and kind:
        yield kind.found(f"Servers of these users run: {listing(people, 20)}.")


def _images(upgrade: Upgrade) -> Iterator[Finding]:
    hub = parse_release(upgrade.target.jupyterhub_version)
    for image, version in sorted(upgrade.single_user.items()):
        verdict = compare(hub, parse_release(version))
        if verdict.verdict == FAIL or verdict.verdict != OK and parse_release(version) > hub:
            yield SINGLE_USER_VERSION.found(f"Servers of {image} run: {verdict.reason}")
    unknown = [each for each in upgrade.release.single_user_images if each not in upgrade.single_user]
    if unknown:
        yield SINGLE_USER_UNKNOWN.found(f"Not looked at: {listing(unknown)}.")
