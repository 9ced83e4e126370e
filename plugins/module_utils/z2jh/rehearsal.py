"""The rehearsal of an upgrade in the cluster: the target's hub on a copy of the database.

While the hub serves, a Job runs the target's hub image with the target's config, Secrets, service account
and security context. The copy is on a volume of the Job's own, which ends with its pod: on the hub's volume
it is only while it is sent. That of a server's database is served by a second container of the pod, of the
database's own image, and the server itself is only read. The pod has no labels by which a Service, a
Deployment or a policy would take it for the hub; what it may reach is what the hub may, and nobody may reach
it. What runs in it is `rehearsal_program`.

The Job owns all that is made for it, and removes itself some time after it has ended, also when nobody is
there any more.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import re
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..databases import hub_tables
from ..errors import HubError
from ..hub import logs
from ..hub_scripts import migrator, rehearsed_app
from ..planning.findings import rehearsal as kinds
from ..planning.findings.config import ALLOW_OPTION_GONE, CONFIG_OPTION_GONE
from ..planning.findings.finding import BLOCKER, Finding, in_lines
from ..planning.findings.kinds import judge
from ..planning.findings.security import NO_ALLOW_RULE
from ..releases import catalogue
from ..shapes import to_dict
from ..system.processes import NICE
from ..system.source import source_of
from . import database_program, rehearsal_program, report, single_user_images
from . import values as of
from .cluster import Access, CommandError, Helm, Kubectl
from .databases import database_of
from .hub_database import Copy
from .planner import Wanted, supplied_values, target_chart
from .pods import LABELS, digest_of
from .rehearsal_findings import (
    DATABASE_NOT_COPIED,
    DATABASE_NOT_REHEARSED,
    HUB_USER_CHANGES,
    POD_DOES_NOT_RUN,
)
from .rehearsal_program import RESULT
from .release import HUB_SELECTOR, Release, find, require_rights
from .rendering import render
from .server_database import SHARED_VOLUME
from .single_user_images import SingleUserImage
from .upgrade import STUCK_SECONDS, describe
from .volume_database import COPYING_SECONDS, DATABASE, hub_mount

LABEL = "hubops.jupyterhub/rehearsal"
KINDS = "jobs.batch,secrets,configmaps,networkpolicies.networking.k8s.io"
RIGHTS = (
    *((verb, kind) for kind in KINDS.split(",") for verb in ("create", "delete")),
    ("list", "networkpolicies.networking.k8s.io"),
    *(("create", "pods/exec"), ("get", "pods/log")),
)
PROGRAMS, WORK = "/etc/hubops", "/var/lib/hubops"
CONTAINER = "hub"
#: On the hub's volume, while the copy is sent; always the same, so that nothing can pile up.
FOLDER = "hubops-rehearsal"
MARKER = "HUBOPS_REHEARSAL"
#: Read and written on the rehearsal's own copy alone.
SCOPES = ("list:users", "list:groups", "list:services", "read:users", "tokens")
LOOK_SECONDS = 1.0
#: What no further look at a registry could change.
HOPELESS = ("ErrImageNeverPull", "InvalidImageName")
#: How long what has ended stays, should nobody remove it.
LEFT_SECONDS = 120
#: Volumes that end with the pod, or cannot be written to.
OWN_VOLUMES = ("configMap", "secret", "projected", "downwardAPI", "emptyDir", "ephemeral")
#: Where pods name a ConfigMap or a Secret.
REFERENCES = {
    "configMap": "ConfigMap",
    "configMapKeyRef": "ConfigMap",
    "configMapRef": "ConfigMap",
    "secret": "Secret",
    "secretKeyRef": "Secret",
    "secretRef": "Secret",
}
#: Options that allow or refuse users: an unknown one does neither.
ACCESS = re.compile(r"`\w*(allow|admin|block|whitelist|blacklist|password)\w*`")
MOST_LINES = 5


@dataclass(frozen=True)
class Seconds:
    """How long each part may take."""

    start: float = 120.0
    migration: float = 3600.0
    pod: float = 600.0


@dataclass(frozen=True)
class Rehearsed:
    """What a rehearsal has shown. It holds no secrets."""

    findings: tuple[Finding, ...] = ()
    #: Seconds of each part: copy, migrate, start, stop.
    timings: dict[str, float] = field(default_factory=dict)
    #: Number of rows of each table, ``before`` and ``after`` the migration.
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    #: The version that the hub answered; '' where it did not.
    version: str = ""
    #: Images that users' servers start from, by the config that the new hub has loaded, the default first.
    named_images: tuple[str, ...] = ()
    #: JupyterHub of each image that users' servers start from; '' where it is not known.
    images: dict[str, str] = field(default_factory=dict)
    #: Which image each name has meant, the hub's first; '' where it is not known.
    digests: dict[str, str] = field(default_factory=dict)

    def result(self, accept: Sequence[str]) -> dict[str, Any]:
        """The shape that the module returns."""
        findings = judge(self.findings, accept)
        return {
            "findings": [to_dict(each) for each in findings],
            "blockers": [in_lines(each) for each in findings if each.severity == BLOCKER],
            "timings": self.timings,
            "rows": self.rows,
            "version": self.version,
            "images": self.images,
            "digests": self.digests,
            "report": report.rehearsal(findings, self.version, self.timings, self.images, self.digests),
        }


@dataclass(frozen=True)
class Target:
    """The release to be, as Helm makes it of chart and values."""

    objects: tuple[dict[str, Any], ...]
    #: Of the hub.
    version: str
    base_url: str
    #: Texts that no finding may show.
    hidden: tuple[str, ...]

    @property
    def hub(self) -> dict[str, Any]:
        return hub_of(self.objects)


class PodFails(Exception):
    """The Job's pod does not come to run its program."""


def rehearse(
    access: Access,
    name: str,
    wanted: Wanted,
    seconds: Seconds,
    progress: Callable[[str], None] = lambda _line: None,
    images: bool = True,
    database_image: str = "",
) -> Rehearsed:
    """Rehearse the upgrade of a release to a chart, in the cluster, while its hub serves.

    ``images``: whether those of users' servers are asked for their JupyterHub; ``database_image`` is that of
    a server's database, where it is not that of the server's own pod. What would fail is a finding; raises
    HubError where the rehearsal itself is not possible, with nothing left behind.
    """
    release = find(access, name)
    access = replace(access, namespace=release.namespace)
    helm, kubectl = Helm(access), Kubectl(access)
    require_rights(kubectl, RIGHTS)
    about, defaults = target_chart(helm, wanted.chart)
    supplied = supplied_values(helm, release, wanted.values)
    rendered = render(helm, release.name, wanted.chart, supplied, release.kubernetes_version, server=True)
    hidden = {*of.secrets_of(supplied), *of.secrets_of(release.values), *secret_texts(rendered.objects)}
    if rendered.problems:
        raise HubError(
            f"The chart makes nothing of the values: {of.redacted(rendered.problems[0].message, [*hidden])}",
            "Plan the upgrade first (z2jh_plan), which names all that is wrong with them.",
        )
    effective = of.merged(defaults, supplied)
    target = Target(
        objects=rendered.objects,
        version=str(about.get("appVersion", "")),
        base_url=of.get(effective, "hub.baseUrl", "/"),
        hidden=tuple(sorted(hidden)),
    )
    rehearsed = rehearse_hub(kubectl, release, target, seconds, progress, database_image)
    if not images:
        return rehearsed
    # As the config has them, with what extraConfig says; the values alone, where it was not loaded.
    named = rehearsed.named_images or single_user_images.named(effective)
    pull_secrets = target.hub["spec"]["template"]["spec"].get("imagePullSecrets") or []
    found = read_images(kubectl, named, pull_secrets, effective, seconds.pod, progress)
    return replace(
        rehearsed,
        findings=(
            *rehearsed.findings,
            *single_user_images.judge(found, target.version),
            *single_user_images.moved(found, release.servers),
        ),
        images={each.name: each.jupyterhub for each in found},
        digests={**rehearsed.digests, **{each.name: each.digest for each in found}},
    )


def rehearse_hub(
    kubectl: Kubectl,
    release: Release,
    target: Target,
    seconds: Seconds,
    progress: Callable[[str], None],
    database_image: str = "",
) -> Rehearsed:
    """Start the hub to be on a copy of the database, and ask it."""
    present_hub = kubectl.one("deployments.apps", release.hub)
    if present_hub is None:
        raise HubError(f"The deployment {release.hub} is gone.", "See kubectl get events.")
    name = f"hubops-rehearsal-{secrets.token_hex(4)}"
    database = copy_of(kubectl.access, release, f"{name}-database", database_image)
    made = manifests(
        name,
        release,
        target.objects,
        policies_beside(kubectl, release, target.objects),
        account=account_of(kubectl, target.hub, present_hub),
        request=request_of(target.hub, database, target.base_url, seconds),
        database=database,
    )
    present = known_complaints(kubectl, release)
    with job(kubectl, made, name):
        progress(f"Waiting for a pod of {main_container(target.hub)['image']}")
        try:
            pod = await_pod(kubectl, name, seconds.pod, progress)
            digest = digest_of(kubectl.one("pods", pod) or {}, CONTAINER)
            if database.sent:
                progress("Copying the hub's database into it")
                send_copy(kubectl, release, present_hub, pod)
            progress(f"Migrating the copy, and starting JupyterHub {target.version} on it")
            result = await_result(kubectl, name, seconds)
        except PodFails as error:
            return Rehearsed((POD_DOES_NOT_RUN.found(of.redacted(str(error), target.hidden)),))
    rehearsed = shown(result, database.problem, target.version, present, target.hidden)
    users = [*other_users(release, present_hub, target.hub)]
    digests = {main_container(target.hub)["image"]: digest}
    return replace(rehearsed, findings=(*rehearsed.findings, *users), digests=digests)


def copy_of(access: Access, release: Release, name: str, image: str) -> Copy:
    """How the rehearsal's hub gets its copy of the database; ``problem`` says why it gets none."""
    try:
        return database_of(access, release, image).copy(release.database, name, WORK)
    except HubError as error:
        return Copy(f"sqlite:///{WORK}/{DATABASE}", problem=error.message)


def read_images(
    kubectl: Kubectl,
    named: Sequence[str],
    pull_secrets: Sequence[Any],
    values: of.Values,
    seconds: float,
    progress: Callable[[str], None],
) -> list[SingleUserImage]:
    """Which JupyterHub the images of users' servers have, asked in a pod."""
    if not named:
        return []
    name = f"hubops-images-{secrets.token_hex(4)}"
    made = single_user_images.manifests(name, LABEL, named, pull_secrets, values, seconds)
    with job(kubectl, made, name):
        return single_user_images.read(kubectl, f"{LABEL}={name}", named, seconds, progress)


def secret_texts(objects: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the Secrets among objects hold, one by one; the values of the release are no one text."""
    for each in objects:
        if each["kind"] != "Secret":
            continue
        texts = dict(each.get("stringData") or {})
        for key, packed in (each.get("data") or {}).items():
            with contextlib.suppress(ValueError):
                texts[key] = base64.b64decode(packed).decode()
        for key, text in texts.items():
            if key != "values.yaml" and len(text) >= of.LEAST_SECRET:
                yield text


@contextlib.contextmanager
def job(kubectl: Kubectl, made: Sequence[dict[str, Any]], name: str) -> Iterator[None]:
    """A Job, the first of what is ``made``, with the rest as its own; nothing of it is there afterwards."""

    def create(manifest: dict[str, Any]) -> dict[str, Any]:
        stdin = json.dumps(manifest).encode()
        return dict(json.loads(kubectl.run("create", "--filename", "-", "--output", "json", stdin=stdin)))

    try:
        created = create(made[0])
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": created["metadata"]["uid"]}
        for each in made[1:]:
            create({**each, "metadata": {**each["metadata"], "ownerReferences": [owner]}})
        yield
    finally:
        # What cannot be removed now, the cluster removes once the Job has ended.
        with contextlib.suppress(CommandError):
            kubectl.run(
                *("delete", KINDS, "--selector", f"{LABEL}={name}", "--ignore-not-found"),
                *("--cascade=foreground", "--wait=true", "--timeout=60s"),
                timeout=180,
            )


def hub_of(objects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The hub's deployment among objects."""
    key, value = HUB_SELECTOR.split("=")
    for each in objects:
        if each["kind"] == "Deployment" and (each["metadata"].get("labels") or {}).get(key) == value:
            return each
    raise HubError("The target chart makes no deployment of a hub.", "See helm template.")


def main_container(hub: dict[str, Any]) -> dict[str, Any]:
    containers: list[dict[str, Any]] = hub["spec"]["template"]["spec"]["containers"]
    return next((each for each in containers if each["name"] == "hub"), containers[0])


def other_users(release: Release, present: dict[str, Any], target: dict[str, Any]) -> Iterator[Finding]:
    """Whether the hub runs as another user or group after the upgrade, who has to write to its volume."""
    before, after = (user_of(hub) for hub in (present, target))
    if release.database.claim and before != after:
        changed = [key for key in before if before[key] != after[key]]
        yield HUB_USER_CHANGES.found(
            "; ".join(f"{key} is {before[key]} now, and {after[key]} afterwards" for key in changed) + "."
        )


def user_of(hub: dict[str, Any]) -> dict[str, Any]:
    """User and groups of a hub's container; None where its image says."""
    pod = hub["spec"]["template"]["spec"].get("securityContext") or {}
    own = {**pod, **(main_container(hub).get("securityContext") or {})}
    return {
        "runAsUser": own.get("runAsUser"),
        "runAsGroup": own.get("runAsGroup"),
        "fsGroup": pod.get("fsGroup"),
    }


def account_of(kubectl: Kubectl, hub: dict[str, Any], present: dict[str, Any]) -> str:
    """The service account of the hub to be; that of the present one, where it is not there yet."""
    wanted = hub["spec"]["template"]["spec"].get("serviceAccountName") or "default"
    if kubectl.one("serviceaccount", wanted):
        return str(wanted)
    return str(present["spec"]["template"]["spec"].get("serviceAccountName") or "default")


def request_of(hub: dict[str, Any], database: Copy, base_url: str, seconds: Seconds) -> dict[str, Any]:
    """What the program in the pod reads."""
    container = main_container(hub)
    return {
        "folder": WORK,
        "url": database.url,
        "copied": not database.problem,
        "shared": database.shared,
        "argv": [*(container.get("command") or []), *(container.get("args") or [])],
        "base_url": base_url,
        "scopes": list(SCOPES),
        "keys": hub_tables.KEYS,
        "gives_up": {each.id: each.gives_up for each in catalogue.revisions() if each.gives_up},
        "servers": hub_tables.SERVERS,
        "services": hub_tables.SERVERS_OF_SERVICES,
        "waiting": COPYING_SECONDS,
        "migration": seconds.migration,
        "start": seconds.start,
        "marker": MARKER,
        "nice": NICE,
    }


def manifests(
    name: str,
    release: Release,
    target: Sequence[dict[str, Any]],
    beside: Sequence[dict[str, Any]],
    account: str,
    request: dict[str, Any],
    database: Copy,
) -> list[dict[str, Any]]:
    """The Job, then what it needs. ``beside`` are other policies of the namespace.

    Its programs come last: its pod does not start without, and so not before its policy is there.
    """
    hub = hub_of(target)
    labels = {**LABELS, LABEL: name}
    template = hub["spec"]["template"]
    pod = copy.deepcopy(template["spec"])
    copies = copy_references(pod, target, name, labels)
    work = {"name": "hubops-work", "mountPath": WORK}
    programs = {"name": "hubops-programs", "mountPath": PROGRAMS, "readOnly": True}
    container = copy.deepcopy(main_container({"spec": {"template": {"spec": pod}}}))
    for key in ("args", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports"):
        container.pop(key, None)
    container["name"] = CONTAINER
    container["command"] = ["python3", f"{PROGRAMS}/rehearsal.py", PROGRAMS]
    # It runs beside the hub, on a cluster that may be full.
    container["resources"] = {
        **(container.get("resources") or {}),
        "requests": {"cpu": "10m", "memory": "64Mi"},
    }
    container["volumeMounts"] = [*(container.get("volumeMounts") or []), work, programs]
    served = [database.container] if database.shared else []
    if served:
        container["volumeMounts"].append({"name": SHARED_VOLUME, "mountPath": database.shared})
    pod.update(
        serviceAccountName=account,
        restartPolicy="Never",
        terminationGracePeriodSeconds=2,
        containers=[container, *served],
    )
    pod.pop("topologySpreadConstraints", None)
    keep_volumes_apart(pod, release, hub["spec"]["selector"]["matchLabels"])
    pod["volumes"] = [
        *(pod.get("volumes") or []),
        {"name": work["name"], "emptyDir": {}},
        {"name": programs["name"], "secret": {"secretName": name}},
        *database.volumes,
    ]
    limit = sum(request[part] for part in ("waiting", "migration", "start")) + 300
    whole = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(limit),
            "ttlSecondsAfterFinished": LEFT_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    sources = {
        "rehearsal.py": source_of(rehearsal_program),
        "migrator.py": source_of(migrator),
        "rehearsed_app.py": source_of(rehearsed_app),
        "request.json": json.dumps(request),
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": labels},
        "stringData": sources,
    }
    rules = policy(name, labels, template["metadata"].get("labels") or {}, [*target, *beside])
    access = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-database", "labels": labels},
        "stringData": database.secret,
    }
    return [whole, *copies, *([access] if database.shared else []), rules, secret]


def copy_references(
    pod: dict[str, Any], target: Sequence[dict[str, Any]], name: str, labels: dict[str, str]
) -> list[dict[str, Any]]:
    """Have the pod name copies of the target's ConfigMaps and Secrets, which are given."""
    known = {
        (each["kind"], each["metadata"]["name"]): each
        for each in target
        if each["kind"] in ("ConfigMap", "Secret")
    }
    used: dict[tuple[str, str], str] = {}

    def renamed(kind: str, old: str) -> str:
        if (kind, old) not in known:
            return old
        return used.setdefault((kind, old), f"{name}-{len(used) + 1}")

    def walk(value: Any) -> None:
        for part in value if isinstance(value, list) else []:
            walk(part)
        if not isinstance(value, dict):
            return
        for key, part in value.items():
            if key in REFERENCES and isinstance(part, dict):
                for named in ("name", "secretName"):
                    if isinstance(part.get(named), str):
                        part[named] = renamed(REFERENCES[key], part[named])
            elif key == "imagePullSecrets":
                for each in part or []:
                    each["name"] = renamed("Secret", each["name"])
            walk(part)

    walk(pod)
    return [
        {
            **{key: value for key, value in known[source].items() if key != "status"},
            "metadata": {"name": new, "labels": labels},
        }
        for source, new in used.items()
    ]


def keep_volumes_apart(pod: dict[str, Any], release: Release, hub: dict[str, str]) -> None:
    """Put an empty volume in the place of the hub's, and let the pod only read others that stay."""
    lasting, claims = [], False
    for volume in pod.get("volumes") or []:
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim and claim == release.database.claim:
            del volume["persistentVolumeClaim"]
            volume["emptyDir"] = {}
        elif not any(kind in volume for kind in OWN_VOLUMES):
            lasting.append(volume["name"])
            claims = claims or bool(claim)
    for container in [*(pod.get("initContainers") or []), *pod["containers"]]:
        for mount in container.get("volumeMounts") or []:
            if mount["name"] in lasting:
                mount["readOnly"] = True
    if claims:
        # A volume may be attached to one node alone: that of the hub.
        term = {"labelSelector": {"matchLabels": hub}, "topologyKey": "kubernetes.io/hostname"}
        near = pod.setdefault("affinity", {}).setdefault("podAffinity", {})
        near.setdefault("requiredDuringSchedulingIgnoredDuringExecution", []).append(term)


def policies_beside(
    kubectl: Kubectl, release: Release, target: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Network policies of the namespace that are not the release's."""
    own = [each["metadata"]["name"] for each in target if each["kind"] == "NetworkPolicy"]
    found = kubectl.get("networkpolicies.networking.k8s.io")
    return [
        each
        for each in found
        if each["metadata"]["name"] not in own
        and (each["metadata"].get("annotations") or {}).get("meta.helm.sh/release-name") != release.name
    ]


def policy(
    name: str, labels: dict[str, str], hub: dict[str, str], objects: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """A network policy: out of the pod what all those of the hub allow together, and nothing into it."""
    egress: list[Any] = []
    restricted = False
    for each in objects:
        if each["kind"] != "NetworkPolicy" or not selects(each["spec"].get("podSelector") or {}, hub):
            continue
        spec = each["spec"]
        if "Egress" in (spec.get("policyTypes") or (["Egress"] if "egress" in spec else [])):
            restricted = True
            egress += spec.get("egress") or []
    spec = {"podSelector": {"matchLabels": {LABEL: name}}, "policyTypes": ["Ingress"], "ingress": []}
    if restricted:
        spec.update(policyTypes=["Ingress", "Egress"], egress=egress)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a selector of Kubernetes means an object with these labels."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for each in selector.get("matchExpressions") or []:
        value = labels.get(each["key"])
        fits = {
            "In": value in (each.get("values") or []),
            "NotIn": value not in (each.get("values") or []),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not fits[each["operator"]]:
            return False
    return True


def await_pod(kubectl: Kubectl, name: str, seconds: float, progress: Callable[[str], None]) -> str:
    """The Job's pod, once its program runs or has ended. Raises PodFails where it does not come so far."""
    deadline = time.monotonic() + seconds
    stuck_since: float | None = None
    shown = ""
    while True:
        pods = kubectl.get("pods", selector=f"{LABEL}={name}")
        for pod in pods:
            status = pod.get("status", {})
            states = {each["name"]: each["state"] for each in status.get("containerStatuses", [])}
            begun = states and all("running" in each or "terminated" in each for each in states.values())
            # Where the hub's container has ended as it should, it says itself what was wrong.
            failed = status.get("phase") == "Failed" and not (
                begun and states[CONTAINER].get("terminated", {}).get("exitCode") == 0
            )
            if begun and not failed:
                return str(pod["metadata"]["name"])
            if failed:
                raise PodFails(f"{failure_of(pod)}{log_end(kubectl, pod)}")
        line, stuck = describe(name, pods) if pods else (events_of(kubectl, name), False)
        if line != shown:
            shown = line
            progress(line)
        now = time.monotonic()
        stuck_since = (stuck_since or now) if stuck else None
        hopeless = any(reason in line for reason in HOPELESS)
        if hopeless or stuck_since and now - stuck_since > STUCK_SECONDS or now > deadline:
            raise PodFails(f"{line[:1].upper()}{line[1:]}.{log_end(kubectl, *pods)}")
        time.sleep(LOOK_SECONDS)


def events_of(kubectl: Kubectl, name: str) -> str:
    """Why a Job has no pod, as far as the cluster says."""
    with contextlib.suppress(CommandError):
        printed = kubectl.run(
            *("get", "events", "--field-selector", f"involvedObject.name={name},type=Warning"),
            *("--output", "json"),
        )
        for event in reversed(json.loads(printed)["items"]):
            return f"the Job {name} gets no pod: {event.get('message', '')}".rstrip(". ")
    return f"the Job {name} has no pod yet"


def failure_of(pod: dict[str, Any]) -> str:
    """What a pod ended of, as a sentence."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        ended = container.get("state", {}).get("terminated")
        if ended and ended.get("exitCode"):
            reason = f" ({ended['reason']})" if ended.get("reason", "Error") != "Error" else ""
            return (
                f"The container {container['name']} of the pod {name} has ended with the status "
                f"{ended['exitCode']}{reason}."
            )
    return f"The pod {name} has failed: {status.get('message') or status.get('reason') or 'no reason'}."


def log_end(kubectl: Kubectl, *pods: dict[str, Any]) -> str:
    """The end of the log of the container that has failed; '' where there is none."""
    for pod in pods:
        status = pod.get("status", {})
        for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            with contextlib.suppress(HubError):
                text = kubectl.logs(pod["metadata"]["name"], container["name"], tail=25).strip()
                if text:
                    return "\n" + logs.end(text.splitlines())
    return ""


def send_copy(kubectl: Kubectl, release: Release, hub: dict[str, Any], pod: str) -> None:
    """Copy the serving hub's database into the pod, by SQLite's backup API. Raises HubError, and PodFails."""
    container, mount = hub_mount(hub, release.database.claim)
    asked = {"do": "send", "database": f"{mount}/{DATABASE}", "folder": f"{mount}/{FOLDER}"}
    sending = kubectl.argv(
        *("exec", f"deploy/{release.hub}", "--container", container),
        *("--", "python3", "-c", source_of(database_program), json.dumps(asked)),
    )
    receiving = kubectl.argv(
        *("exec", pod, "--container", CONTAINER, "--stdin"),
        *("--", "python3", f"{PROGRAMS}/rehearsal.py", PROGRAMS, "receive"),
    )
    with tempfile.TemporaryFile() as said:
        source = subprocess.Popen(sending, stdout=subprocess.PIPE, stderr=said)
        target = subprocess.Popen(
            receiving, stdin=source.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if source.stdout:
            source.stdout.close()
        try:
            printed, error = target.communicate(timeout=COPYING_SECONDS)
            source.wait(60)
        except subprocess.TimeoutExpired:
            raise HubError(
                f"The copy of the database has not come within {COPYING_SECONDS} s.",
                "Rehearse from nearer to the cluster (z2jh_hosts), or leave it out: z2jh_rehearse: false.",
            ) from None
        finally:
            for each in (source, target):
                each.kill()
                each.wait()
        said.seek(0)
        reason = logs.reason((said.read() + error).decode(errors="replace"))
    if target.returncode:
        raise PodFails(f"The pod {pod} does not take the copy of the database: {reason}.")
    answer = json.loads(printed.decode().strip().splitlines()[-1])
    if "problem" in answer:
        raise HubError(
            f"The hub's database could not be copied: {answer['problem'].strip() or reason}",
            "See the space on the hub's volume, and its owner.",
        )


def await_result(kubectl: Kubectl, name: str, seconds: Seconds) -> dict[str, Any]:
    """What the program has printed at its end. Raises PodFails where it has ended without."""
    deadline = time.monotonic() + seconds.migration + seconds.start + 300
    while time.monotonic() < deadline:
        pods = kubectl.get("pods", selector=f"{LABEL}={name}")
        if not pods:
            raise PodFails(f"The pod of the Job {name} is gone: its node was lost, or somebody removed it.")
        status = pods[0].get("status", {})
        if status.get("phase") in ("Succeeded", "Failed"):
            for line in reversed(kubectl.logs(pods[0]["metadata"]["name"], CONTAINER).splitlines()):
                if line.startswith(RESULT):
                    return dict(json.loads(line[len(RESULT) :]))
            raise PodFails(f"{failure_of(pods[0])}{log_end(kubectl, pods[0])}")
        time.sleep(LOOK_SECONDS)
    raise PodFails(f"The Job {name} has not ended in time.")


def known_complaints(kubectl: Kubectl, release: Release) -> logs.Findings:
    """What the serving hub has complained about since its start, as far as its log reaches."""
    try:
        return logs.sort_out(kubectl.logs(f"deployment/{release.hub}", "hub").splitlines())
    except CommandError:
        return logs.sort_out([])


def shown(
    result: dict[str, Any], not_copied: str, version: str, present: logs.Findings, hidden: Sequence[str]
) -> Rehearsed:
    """What the program's result means; ``not_copied`` says why there was no copy of the database."""
    lines = [of.redacted(line, hidden) for line in result["log"]]
    findings = [*failures(result, version, lines, hidden)]
    found = logs.sort_out(lines)
    complaints = [*found.unrecognized, *result["known"].get("unrecognized", [])]
    new = [each for each in dict.fromkeys(complaints) if each not in present.unrecognized]
    access = [each for each in new if ACCESS.search(each)]
    rest = [each for each in new if each not in access]
    findings += [ALLOW_OPTION_GONE.found(" ".join(access))] if access else []
    findings += [CONFIG_OPTION_GONE.found(" ".join(rest))] if rest else []
    if found.access and not present.access:
        findings.append(NO_ALLOW_RULE.found(found.access[0]))
    if found.errors and not any(each.severity == BLOCKER for each in findings):
        more = len(found.errors) - MOST_LINES
        shown = " ".join(found.errors[:MOST_LINES]) + (f" And {more} more." if more > 0 else "")
        findings.append(kinds.ERRORS.found(f"The new hub logs: {shown}"))
    if not_copied:
        findings.append(DATABASE_NOT_REHEARSED.found(not_copied))
    return Rehearsed(
        tuple(findings),
        result["seconds"],
        result["rows"],
        result["version"],
        tuple(result["known"].get("images", [])),
    )


def failures(
    result: dict[str, Any], version: str, lines: Sequence[str], hidden: Sequence[str]
) -> Iterator[Finding]:
    """Why the new hub would not do, with the end of its log."""
    answered = result["version"]
    if answered and answered != version:
        yield kinds.OTHER_VERSION.found(
            f"The new hub says that it is version {answered}, not {version}.",
            "Set hub.image of the values to the image of this chart, or take it out of them.",
        )
    failed = result.get("failed")
    if not failed:
        return
    problem = of.redacted(logs.scrub(result["problem"]), hidden)
    end = logs.end(lines)
    if failed == "copy":
        yield POD_DOES_NOT_RUN.found(problem)
    elif failed == "dump":
        yield DATABASE_NOT_COPIED.found(f"The database cannot be copied: {problem}")
    elif failed == "migration":
        yield kinds.MIGRATION.found(f"A copy of the database cannot be migrated: {problem}\n{end}")
    elif failed == "rows":
        yield kinds.ROWS.found(f"The migration changes what it must not: {problem}.")
    elif failed == "answer":
        yield kinds.NO_ANSWER.found(
            f"{problem}\n{end}", "Its log shows what it waits for; z2jh_timeout gives it more time."
        )
    elif failed == "start":
        # The first line of a hub, once it has read its config.
        loaded = any("Running JupyterHub version" in line for line in lines)
        kind = kinds.START if loaded else kinds.CONFIG
        fix = "" if loaded else "Change hub.config, hub.extraConfig or hub.extraFiles as the log says."
        yield kind.found(f"{problem}\n{end}", fix)
    else:
        kind = kinds.DATABASE if failed == "users" else kinds.LOG_IN
        yield kind.found(f"{problem}\n{end}")
