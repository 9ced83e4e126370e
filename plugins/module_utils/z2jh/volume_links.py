"""Which claim a user's server gets at its next start, and how the hub is told of the one it had.

From KubeSpawner 7 on names of claims are made by another scheme, and the hub remembers the claim that a
server had. Of a server that runs through the upgrade it forgets it once that stops, and makes an empty one
(https://github.com/jupyterhub/kubespawner/issues/937); those of named servers it does not find
(https://github.com/jupyterhub/zero-to-jupyterhub-k8s/issues/3574).

The remedy is to write the claim into the server's state in the hub's database, where the hub itself keeps it.
It is done in the hub's pod, which reaches the database as the hub does, whatever kind that is; and the pod is
replaced at once, for a hub that runs has read the states of its servers, and would write them again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Collection

from ..errors import HubError
from ..shapes import from_dict
from ..system.source import source_of
from . import values as of
from . import volume_links_program
from .cluster import Access, Kubectl
from .release import Release, Server, Volume

#: A user may stop a server between the writing and the end of the hub, which then forgets the claim again.
ATTEMPTS = 3
START_SECONDS = 300.0
LOOK_SECONDS = 0.5
#: Options that are not seen where code sets them.
_OPTIONS = ("pvc_name_template", "slug_scheme")


@dataclass(frozen=True)
class Link:
    """The claim of a user's server; ``server`` is '' for the default one."""

    user: str
    server: str
    claim: str

    def __str__(self) -> str:
        return f"{self.user}/{self.server}".rstrip("/")


@dataclass(frozen=True)
class Spawner:
    """What the hub's database has of a user's server: see `volume_links_program`."""

    user: str
    server: str
    claim: str
    earlier: bool
    name: str | None
    earlier_name: str | None


@dataclass(frozen=True)
class Broken:
    """A link that the next start of the server does not follow; ``instead`` is '' where that is not known."""

    link: Link
    instead: str

    def __str__(self) -> str:
        return f"{self.link} ({self.link.claim}{f', then {self.instead}' if self.instead else ''})"


def links_of(volumes: Sequence[Volume], servers: Sequence[Server]) -> tuple[list[Link], list[str]]:
    """The claim of each server, and the servers of whose several claims none can be told to be the one.

    What a running server mounts counts; else it is the only claim that was made for the server.
    """
    claims: dict[tuple[str, str], list[str]] = {}
    for volume in volumes:
        claims.setdefault((volume.user, volume.server), []).append(volume.claim)
    personal = {volume.claim for volume in volumes}
    for server in servers:
        mounted = [claim for claim in server.claims if claim in personal]
        if len(mounted) == 1:
            claims[server.user, server.server] = mounted
    links = [Link(*server, found[0]) for server, found in sorted(claims.items()) if len(found) == 1]
    several = [f"{user}/{name}".rstrip("/") for (user, name), found in claims.items() if len(found) > 1]
    return links, sorted(several)


def broken(
    links: Sequence[Link],
    spawners: Sequence[Spawner],
    remembered: Mapping[tuple[str, str], Mapping[str, Any]],
    claims: Collection[str],
    options: Options,
) -> list[Broken]:
    """The links that the next start does not follow, of servers that the hub still knows.

    ``remembered`` has the states of servers that run, as the hub's process will write them; ``claims`` are
    those of the cluster.
    """
    known = {(each.user, each.server): each for each in spawners}
    found = []
    for link in links:
        spawner = known.get((link.user, link.server))
        if spawner is None:
            continue
        state = remembered.get((link.user, link.server))
        name = next_claim(spawner, state, claims, options)
        if name != link.claim:
            found.append(Broken(link, name))
    return found


def next_claim(
    spawner: Spawner, state: Mapping[str, Any] | None, claims: Collection[str], options: Options
) -> str:
    """The claim that KubeSpawner 7 uses at the next start: '' where that is not known."""
    kept = spawner.claim if state is None else str(state.get("pvc_name") or "")
    if kept and options.remember:
        return kept
    if spawner.name is None or options.in_code:
        return ""
    # It looks for the earlier name only where the state was written by an earlier version.
    looks = state is None and spawner.earlier and options.remember and options.handle_legacy
    if looks and spawner.name not in claims and spawner.earlier_name in claims:
        return spawner.earlier_name or ""
    return spawner.name


@dataclass(frozen=True)
class Options:
    """What the release's values say of claims' names; '' for KubeSpawner's defaults."""

    template: str = ""
    slug_scheme: str = ""
    #: Whether the hub uses what it remembers, and looks for earlier names.
    remember: bool = True
    handle_legacy: bool = True
    #: Whether code in the values may set them otherwise.
    in_code: bool = False


def options_of(values: of.Values) -> Options:
    """The options in the release's values with the chart's defaults."""
    config = of.get(values, "hub.config.KubeSpawner", {})
    code = [
        each for key in ("hub.extraConfig", "hub.extraFiles") for each in (of.get(values, key) or {}).values()
    ]
    return Options(
        template=str(
            config.get("pvc_name_template")
            or of.get(values, "singleuser.storage.dynamic.pvcNameTemplate")
            or ""
        ),
        slug_scheme=str(config.get("slug_scheme") or ""),
        remember=config.get("remember_pvc_name", True) is not False,
        handle_legacy=config.get("handle_legacy_names", True) is not False,
        in_code=any(option in str(each) for option in _OPTIONS for each in code),
    )


def read(
    access: Access, release: Release, url: str, options: Options, write: Sequence[Link] = ()
) -> list[Spawner]:
    """What the hub's database has of all servers, after ``write`` was written into it."""
    request = {
        "url": url,
        "links": [[each.user, each.server, each.claim] for each in write],
        "template": options.template,
        "slug_scheme": options.slug_scheme,
    }
    argv = ["python3", "-c", source_of(volume_links_program)]
    printed = Kubectl(access).exec(
        f"deploy/{release.hub}", argv, stdin=json.dumps(request).encode(), container="hub", timeout=300
    )
    spawners = json.loads(printed.decode().strip().splitlines()[-1])["spawners"]
    return [from_dict(Spawner, each) for each in spawners]


def restart_hub(access: Access, release: Release) -> None:
    """Replace the hub's pod, and return once the new one is ready."""
    kubectl = Kubectl(access)
    deployment = kubectl.one("deployments.apps", release.hub) or {}
    labels = deployment["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    old = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in kubectl.get("pods", selector=selector)}
    for name in old.values():
        kubectl.delete("pod", name, timeout=START_SECONDS)
    deadline = time.monotonic() + START_SECONDS
    while not any(
        pod["metadata"]["uid"] not in old and _is_ready(pod) for pod in kubectl.get("pods", selector=selector)
    ):
        if time.monotonic() > deadline:
            raise HubError(
                f"The hub has not started again within {START_SECONDS:.0f} s.",
                f"See why: kubectl --namespace {release.namespace} describe deployment {release.hub}.",
            )
        time.sleep(LOOK_SECONDS)


def _is_ready(pod: dict[str, Any]) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in pod.get("status", {}).get("conditions", [])
    )
