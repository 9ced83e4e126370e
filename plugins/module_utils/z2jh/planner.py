"""The plan of an upgrade of the chart: made by reading, and by what Helm makes of the target's templates."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Sequence

from ..errors import HubError
from ..planning.findings.finding import BLOCKER, Finding
from . import changes, charts, documents, findings
from . import values as of
from .changes import ObjectChange, ValueChange
from .cluster import Access, Chart, CommandError, Helm, Kubectl
from .findings import KEEP, Target, Upgrade
from .hub_database import Evidence
from .release import CHART, Release, find, without_password
from .rendering import objects, render
from .values import Values

UPGRADE, NOTHING = "upgrade", "nothing"
REPOSITORY = "https://hub.jupyter.org/helm-chart/"

_VERSION = "import importlib.metadata as m; print(m.version('jupyterhub'))"
_ASKING_SECONDS = 20


@dataclass(frozen=True)
class Plan:
    """What an upgrade would change, and what speaks against it. It holds no secrets."""

    action: str
    release: Release
    to_chart_version: str
    to_jupyterhub_version: str
    findings: tuple[Finding, ...]
    objects: tuple[ObjectChange, ...]
    values: tuple[ValueChange, ...]
    #: What becomes of users' servers that run: keep, refuse or stop.
    running_servers: str = KEEP

    @property
    def blockers(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == BLOCKER]


@dataclass(frozen=True)
class Wanted:
    """What the administrator wants: a chart, values instead of the release's own, findings to go on with."""

    chart: Chart
    #: Names and texts of values files, each over those before it; the release's own values without any.
    values: tuple[tuple[str, str], ...] = ()
    accept: tuple[str, ...] = ()
    running_servers: str = KEEP
    #: Whether the new hub is told of the claims that it would not use any more.
    fix_volumes: bool = False
    evidence: Evidence = Evidence()


def plan(access: Access, name: str, wanted: Wanted) -> Plan:
    """The plan of an upgrade of a release to a chart. Raises HubError where none can be made."""
    findings.require_known(wanted.accept)
    release = find(access, name)
    access = replace(access, namespace=release.namespace)
    helm, kubectl = Helm(access), Kubectl(access)
    chart, defaults = target_chart(helm, wanted.chart)
    supplied = supplied_values(helm, release, wanted.values)
    constraint = str(chart.get("kubeVersion") or "")
    satisfied = not constraint or documents.satisfies(helm, release.kubernetes_version, constraint)
    rendered = render(
        helm,
        release.name,
        wanted.chart,
        supplied,
        release.kubernetes_version if satisfied else _least(constraint),
        # A server answers with its own version.
        server=satisfied,
    )
    secrets = sorted({*of.secrets_of(supplied), *of.secrets_of(release.values)})
    old_defaults = _chart_of(kubectl, release).get("values") or {}
    target = Target(
        chart_version=str(chart["version"]),
        jupyterhub_version=str(chart.get("appVersion", "")),
        kube_version=constraint,
        kube_satisfied=satisfied,
        values=supplied,
        effective=of.merged(defaults, supplied),
        defaults=defaults,
        problems=tuple(
            replace(each, message=of.redacted(each.message, secrets)) for each in rendered.problems
        ),
    )
    single_user = _single_user_versions(kubectl, release)
    upgrade = Upgrade(
        release,
        target,
        old_defaults,
        single_user,
        wanted.running_servers,
        wanted.fix_volumes,
        wanted.evidence,
    )
    found = findings.find(upgrade, wanted.accept)
    old_objects = objects(helm, helm.manifest(release.name, release.deployed_revision))
    same = release.chart_version == target.chart_version and not _differs(release.values, supplied)
    return Plan(
        action=NOTHING if same and release.state == "deployed" else UPGRADE,
        release=release.without_values(),
        to_chart_version=target.chart_version,
        to_jupyterhub_version=target.jupyterhub_version,
        findings=tuple(found),
        objects=tuple(changes.of_objects(old_objects, rendered.objects, secrets) if rendered.objects else ()),
        values=tuple(
            changes.of_values(
                of.merged(old_defaults, release.values), target.effective, (release.values, supplied)
            )
            if old_defaults
            else ()
        ),
        running_servers=wanted.running_servers,
    )


def target_chart(helm: Helm, chart: Chart) -> tuple[dict[str, Any], Values]:
    """A chart's description and defaults. Raises HubError where it is not to be had, or another one."""
    try:
        about, defaults = documents.read(helm, [helm.show_chart(chart), helm.show_values(chart)])
    except CommandError as error:
        # A version that does not exist is often a hub's.
        if chart.version and not error.unreachable:
            raise HubError(error.message, charts.hint(chart.version)) from None
        raise
    if about.get("name") != CHART:
        raise HubError(
            f"The chart {chart.reference} is {about.get('name')}, not {CHART}.",
            f"z2jh_chart is the chart of Zero to JupyterHub, by default {CHART} of {REPOSITORY}.",
        )
    if chart.version and str(about["version"]).lstrip("v") != chart.version.lstrip("v"):
        # Helm does not compare it for a folder or a file.
        raise HubError(
            f"The chart {chart.reference} is {about['version']}, not {chart.version}.",
            charts.hint(chart.version),
        )
    return about, defaults


def supplied_values(helm: Helm, release: Release, files: Sequence[tuple[str, str]]) -> Values:
    """All values of the user for the target."""
    if not files:
        return release.values
    values: Values = {}
    texts = [text for _name, text in files]
    for mapping in documents.read(helm, texts, [f"The values file {name}" for name, _text in files]):
        values = of.merged(values, mapping)
    return values


def texts(paths: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The paths and texts of values files. Raises HubError where one cannot be read."""
    found = []
    for path in paths:
        try:
            found.append((path, Path(path).read_text()))
        except OSError as error:
            raise HubError(
                f"The values file {path} cannot be read: {error.strerror}.",
                "z2jh_values_files names files of the host that runs helm: z2jh_hosts.",
            ) from error
    return tuple(found)


def _least(constraint: str) -> str:
    """The first version that a constraint names, to see what a chart makes of the values nevertheless."""
    found = re.search(r"\d+\.\d+(\.\d+)?", constraint)
    return found[0] if found else ""


def _differs(before: Values, after: Values) -> bool:
    return dict(of.leaves(before)) != dict(of.leaves(after))


def _chart_of(kubectl: Kubectl, release: Release) -> dict[str, Any]:
    """The chart as Helm has kept it with the release's revision that serves; {} where it keeps no Secrets."""
    secret = kubectl.one("secrets", f"sh.helm.release.v1.{release.name}.v{release.deployed_revision}")
    if secret is None:
        return {}
    packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    kept = json.loads(gzip.decompress(packed))
    return dict(kept.get("chart") or {})


def _single_user_versions(kubectl: Kubectl, release: Release) -> dict[str, str]:
    """JupyterHub of each image of which a server runs; those that do not answer are left out."""
    found: dict[str, str] = {}
    if not release.servers or not kubectl.can_i("create", "pods/exec"):
        return found
    for server in release.servers:
        if server.image in found or server.phase != "Running":
            continue
        try:
            printed = kubectl.exec(
                server.pod, ["python3", "-c", _VERSION], container="notebook", timeout=_ASKING_SECONDS
            )
        except CommandError:
            continue
        found[server.image] = printed.decode().strip()
    return found


def describe_database(release: Release) -> str:
    """The database as a person reads it."""
    database = release.database
    if database.claim:
        return f"{database.kind} on the claim {database.claim}"
    return f"{database.kind} {without_password(database.url)}".strip()
