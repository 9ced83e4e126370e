"""A JupyterHub that is a Helm release of the chart of Zero to JupyterHub: what is found of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Iterator, Sequence
from urllib.parse import urlsplit, urlunsplit

from ..errors import HubError
from .cluster import Access, CommandError, Helm, Kubectl
from .pods import digest_of

CHART = "jupyterhub"

#: The labels that a hub's deployment and users' pods have in every version of the chart.
HUB_SELECTOR = "component=hub"
SERVER_SELECTOR = "component=singleuser-server"
VOLUME_SELECTOR = "component=singleuser-storage"
USER, SERVER = "hub.jupyter.org/username", "hub.jupyter.org/servername"

SQLITE_KINDS = ("sqlite-pvc", "sqlite-memory", "sqlite")

#: What reading a release takes, in its namespace.
RIGHTS = (
    *(("list", each) for each in ("secrets", "deployments.apps", "pods", "persistentvolumeclaims")),
    ("get", "secrets"),
)


@dataclass(frozen=True)
class Volume:
    """A person's claim of a volume; ``server`` is the name of a named server, empty for the default one."""

    user: str
    server: str
    claim: str
    size: str = ""
    storage_class: str = ""
    #: The volume that the claim is bound to; another one is another home.
    volume: str = ""
    phase: str = ""


@dataclass(frozen=True)
class Server:
    """A person's server that runs, or starts."""

    user: str
    server: str
    pod: str
    phase: str = ""
    image: str = ""
    #: Of the image that it runs; '' where that is not known.
    digest: str = ""
    claims: tuple[str, ...] = ()
    #: When its pod was made, as the API server writes it; '' in records of earlier versions.
    created: str = ""

    @property
    def person(self) -> str:
        """``user``, or ``user/server``."""
        return f"{self.user}/{self.server}".rstrip("/")


@dataclass(frozen=True)
class Database:
    """Where the hub keeps its state. ``kind`` is `hub.db.type` of the chart; ``url`` has no password."""

    kind: str
    url: str = ""
    #: The claim of the hub's volume; empty where the database is none, or on no volume.
    claim: str = ""

    @property
    def is_sqlite(self) -> bool:
        return self.kind in SQLITE_KINDS


@dataclass(frozen=True)
class Revision:
    """A revision of the release in Helm's history."""

    number: int
    state: str
    chart_version: str
    jupyterhub_version: str
    updated: str = ""
    description: str = ""


@dataclass(frozen=True)
class Release:
    """What is found of a release. ``values`` may hold secrets: never a fact, never printed."""

    name: str
    namespace: str
    #: The newest revision and its state in Helm's words: deployed, failed, pending-upgrade, ...
    revision: int
    state: str
    #: Of the revision that serves, which is not the newest one after a failed or a cut off upgrade.
    deployed_revision: int
    chart_version: str
    jupyterhub_version: str
    database: Database
    #: The deployment of the hub, and the image of its container.
    hub: str = "hub"
    hub_image: str = ""
    hub_ready: bool = False
    #: Images that users' servers can be started from.
    single_user_images: tuple[str, ...] = ()
    servers: tuple[Server, ...] = ()
    volumes: tuple[Volume, ...] = ()
    #: Who else upgrades the release, such as "Flux, HelmRelease jhub/hub"; empty where nobody is known.
    owner: str = ""
    history: tuple[Revision, ...] = ()
    kubernetes_version: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def pending(self) -> bool:
        """Whether Helm takes the release to be under way, and refuses to touch it."""
        return self.state.startswith("pending-")

    def without_values(self) -> Release:
        """The same, to be shown and kept."""
        return replace(self, values={})


def find(access: Access, name: str = "") -> Release:
    """The release of that name, or the only one of the chart, all of it read.

    Raises HubError where there is none, or several, and where a right is missing: all missing ones at once.
    """
    entry = find_entry(access, name)
    access = replace(access, namespace=entry["namespace"])
    kubectl, helm = Kubectl(access), Helm(access)
    require_rights(kubectl, RIGHTS)
    name = entry["name"]
    history = tuple(_revision(each) for each in helm.history(name))
    newest = history[-1]
    deployed = _deployed(history)
    values = helm.values(name, deployed.number)
    everything = helm.values(name, deployed.number, everything=True)
    hub = _hub(kubectl, name)
    template = hub["spec"]["template"]["spec"]
    return Release(
        name=name,
        namespace=access.namespace,
        revision=newest.number,
        state=newest.state,
        deployed_revision=deployed.number,
        chart_version=deployed.chart_version,
        jupyterhub_version=deployed.jupyterhub_version,
        database=_database(everything, template),
        hub=hub["metadata"]["name"],
        hub_image=_main_container(template).get("image", ""),
        hub_ready=bool(hub.get("status", {}).get("readyReplicas")),
        single_user_images=tuple(single_user_images(everything)),
        servers=servers(kubectl),
        volumes=volumes(kubectl),
        owner=owner(hub["metadata"]),
        history=history,
        kubernetes_version=kubectl.server_version(),
        values=values,
    )


def require_rights(kubectl: Kubectl, rights: Sequence[tuple[str, str]]) -> None:
    """Raise HubError that names every verb and resource which the account lacks in the namespace."""
    missing = [f"{verb} {resource}" for verb, resource in rights if not kubectl.can_i(verb, resource)]
    if missing:
        namespace = kubectl.access.namespace
        raise HubError(
            f"The account lacks rights in the namespace {namespace}: {', '.join(missing)}.",
            f"Grant them by a Role there, and check: kubectl auth can-i --list --namespace {namespace}.",
        )


def servers(kubectl: Kubectl) -> tuple[Server, ...]:
    """The servers that run or start, by user and name."""
    found = [
        Server(
            *person_of(pod["metadata"]),
            pod=pod["metadata"]["name"],
            phase=pod.get("status", {}).get("phase", ""),
            image=_main_container(pod["spec"]).get("image", ""),
            digest=digest_of(pod, _main_container(pod["spec"]).get("name", "")),
            claims=tuple(_claims(pod["spec"])),
            created=pod["metadata"].get("creationTimestamp", ""),
        )
        for pod in kubectl.get("pods", selector=SERVER_SELECTOR)
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    ]
    return tuple(sorted(found, key=lambda each: (each.user, each.server)))


def volumes(kubectl: Kubectl) -> tuple[Volume, ...]:
    """Each person's claims, by user, server and claim."""
    found = [
        Volume(
            *person_of(claim["metadata"]),
            claim=claim["metadata"]["name"],
            size=claim["spec"].get("resources", {}).get("requests", {}).get("storage", ""),
            storage_class=claim["spec"].get("storageClassName") or "",
            volume=claim["spec"].get("volumeName", ""),
            phase=claim.get("status", {}).get("phase", ""),
        )
        for claim in kubectl.get("persistentvolumeclaims", selector=VOLUME_SELECTOR)
    ]
    return tuple(sorted(found, key=lambda each: (each.user, each.server, each.claim)))


def owner(metadata: dict[str, Any]) -> str:
    """Who else upgrades what has these labels and annotations: Flux or Argo CD; '' for nobody known."""
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if flux := labels.get("helm.toolkit.fluxcd.io/name"):
        return f"Flux, HelmRelease {labels.get('helm.toolkit.fluxcd.io/namespace', '')}/{flux}"
    if tracking := annotations.get("argocd.argoproj.io/tracking-id"):
        return f"Argo CD, Application {tracking.partition(':')[0]}"
    if argo := labels.get("argocd.argoproj.io/instance"):
        return f"Argo CD, Application {argo}"
    return ""


def single_user_images(values: dict[str, Any]) -> Iterator[str]:
    """Each image once that the values, with the chart's defaults, name for users' servers."""
    single_user = values.get("singleuser") or {}
    named: list[Any] = [_image(single_user.get("image"))]
    for profile in single_user.get("profileList") or []:
        if isinstance(profile, dict):
            named.append((profile.get("kubespawner_override") or {}).get("image"))
            for option in (profile.get("profile_options") or {}).values():
                for choice in (option.get("choices") or {}).values():
                    named.append((choice.get("kubespawner_override") or {}).get("image"))
    extra = (values.get("prePuller") or {}).get("extraImages") or {}
    named += [_image(each) for each in extra.values()]
    yield from dict.fromkeys(str(each) for each in named if each)


def without_password(url: str) -> str:
    """A database's URL as it may be shown."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    _secret, _at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))


def find_entry(access: Access, name: str) -> dict[str, Any]:
    """What Helm lists of the release: name, namespace, status, chart.

    Raises HubError where there is none, or several, or where it is not a hub's.
    """
    try:
        listed = Helm(access).releases(everywhere=not access.namespace)
    except CommandError as error:
        if access.namespace or error.unreachable or "list secrets" not in error.message:
            raise
        raise HubError(error.message, "Or name the release's namespace: z2jh_namespace.") from None
    hubs = [entry for entry in listed if _chart(entry["chart"])[0] == CHART]
    where = f"the namespace {access.namespace}" if access.namespace else access.describe()
    others = ", ".join(f"{each['name']} in {each['namespace']}" for each in hubs)
    if name:
        found = [entry for entry in hubs if entry["name"] == name]
        if not found and any(entry["name"] == name for entry in listed):
            raise HubError(
                f"The release {name} is of another chart than {CHART}.",
                f"Releases of it: {others or 'none'}.",
            )
    else:
        found = hubs
    if not found:
        missing = f"There is no release {name} in {where}." if name else f"There is no JupyterHub in {where}."
        raise HubError(missing, _instead(access, others))
    if len(found) > 1:
        raise HubError(
            f"There are several releases in {where}: {others}.", "Set z2jh_release and z2jh_namespace."
        )
    return found[0]


def _instead(access: Access, others: str) -> str:
    """What else there is, where the release is not."""
    if others:
        return f"There is: {others}. Set z2jh_release and z2jh_namespace."
    try:
        hubs = Kubectl(access).get("deployments.apps", selector=HUB_SELECTOR, everywhere=not access.namespace)
    except CommandError:
        hubs = []
    if hubs:
        metadata = hubs[0]["metadata"]
        by = owner(metadata)
        named = f"The deployment {metadata['name']} in {metadata['namespace']} is no release of Helm"
        if by:
            return f"{named}; its owner is {by}: upgrade it there."
        return f"{named}: whatever has applied its objects has to upgrade it."
    return "See helm list --all-namespaces, then set z2jh_context, z2jh_namespace and z2jh_release."


def _hub(kubectl: Kubectl, release: str) -> dict[str, Any]:
    """The deployment of the release's hub."""
    found = [
        each
        for each in kubectl.get("deployments.apps", selector=HUB_SELECTOR)
        if (each["metadata"].get("annotations") or {}).get("meta.helm.sh/release-name") == release
    ]
    if not found:
        raise HubError(
            f"The release {release} has no deployment with the label {HUB_SELECTOR}.",
            f"See what it consists of: helm get manifest {release} --namespace {kubectl.access.namespace}.",
        )
    return found[0]


def _deployed(history: Sequence[Revision]) -> Revision:
    """The revision that serves: the newest that Helm calls deployed, else the newest that once was."""
    for state in ("deployed", "superseded"):
        for revision in reversed(history):
            if revision.state == state:
                return revision
    return history[-1]


def _revision(entry: dict[str, Any]) -> Revision:
    return Revision(
        number=int(entry["revision"]),
        state=entry["status"],
        chart_version=_chart(entry["chart"])[1],
        jupyterhub_version=entry["app_version"],
        updated=entry["updated"],
        description=entry["description"],
    )


def _chart(named: str) -> tuple[str, str]:
    """``jupyterhub-3.3.8`` as name and version, also ``jupyterhub-4.0.0-0.dev.git.6``."""
    found = re.fullmatch(r"(.+?)-v?(\d+\.\d+.*)", named)
    return (found[1], found[2]) if found else (named, "")


def _database(values: dict[str, Any], pod: dict[str, Any]) -> Database:
    """The hub's database by the values with the chart's defaults, and the pod of its deployment."""
    database = (values.get("hub") or {}).get("db") or {}
    kind = database.get("type") or "sqlite-pvc"
    url = database.get("url") or ""
    claims = list(_claims(pod))
    on_volume = kind == "sqlite-pvc"
    return Database(kind, without_password(url), claims[0] if on_volume and claims else "")


def _main_container(pod: dict[str, Any]) -> dict[str, Any]:
    containers: list[dict[str, Any]] = pod.get("containers") or [{}]
    named = [each for each in containers if each.get("name") in ("hub", "notebook")]
    return (named or containers)[0]


def _claims(pod: dict[str, Any]) -> Iterator[str]:
    for volume in pod.get("volumes") or []:
        if "persistentVolumeClaim" in volume:
            yield volume["persistentVolumeClaim"]["claimName"]


def person_of(metadata: dict[str, Any]) -> tuple[str, str]:
    """User and server as the hub knows them: annotations have them as they are, labels escaped."""
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    return (
        annotations.get(USER) or labels.get(USER) or "",
        annotations.get(SERVER) or labels.get(SERVER) or "",
    )


def _image(value: Any) -> str:
    """``name:tag`` of the chart's mapping of an image."""
    if not isinstance(value, dict):
        return value or ""
    name, tag = value.get("name"), value.get("tag")
    return f"{name}:{tag}" if name and tag else name or ""
