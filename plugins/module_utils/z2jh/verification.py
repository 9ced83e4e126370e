"""Whether a release is what it should be: its version, its users, and every person's volume."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ..errors import HubError
from ..hub_scripts import token_lender
from ..releases.versions import FAIL, compare, parse_release
from ..system.source import source_of
from . import hub_check_program, volume_links
from .cluster import Access, Helm, Kubectl
from .databases import database_of, database_of_backup
from .pods import digest_of
from .recovery import RecoveryPoint
from .release import HUB_SELECTOR, Release, Server, Volume, volumes
from .server_program import SEEN_SECONDS
from .server_programs import program_of

SERVER_SECONDS = 300.0
#: Of so many servers one may end by itself meanwhile: its user has stopped it, or it was culled.
ENDING = 10
LOST, REPLACED, SECOND = "lost", "replaced", "second"
FORGOTTEN = (
    "When the servers of these users have stopped, the hub will not use their claims again: {}. "
    "z2jh_verify with z2jh_fix_volumes: true has the hub use them."
)
SEVERAL = "These servers have several claims, of which none is written back: {}."


@dataclass(frozen=True)
class VolumeChange:
    """A person's volume before and after; '' where there is none."""

    user: str
    server: str
    before: str
    after: str
    change: str


@dataclass(frozen=True)
class Claims:
    """The claims of users' servers as they were, and what the hub knows of them."""

    access: Access
    release: Release
    url: str
    options: volume_links.Options
    links: tuple[volume_links.Link, ...]
    #: Servers of whose claims none can be told to be the one.
    several: tuple[str, ...]
    spawners: tuple[volume_links.Spawner, ...]

    @classmethod
    def of(cls, access: Access, release: Release, point: RecoveryPoint, url: str) -> Claims:
        """Those of a recovery point that are still there."""
        links, several = volume_links.links_of(point.volumes, point.servers)
        there = {each.claim for each in volumes(Kubectl(access))}
        options = volume_links.options_of(Helm(access).values(release.name, everything=True))
        kept = tuple(each for each in links if each.claim in there)
        spawners = tuple(volume_links.read(access, release, url, options)) if kept else ()
        return cls(access, release, url, options, kept, tuple(several), spawners)

    @property
    def remembered(self) -> bool:
        """Whether the hub remembers claims at all."""
        return bool(self.spawners)

    def broken(self, states: Sequence[Any], now: Sequence[Volume]) -> list[volume_links.Broken]:
        """The links that next starts do not follow, by what the hub remembers of servers that run."""
        remembered = {(user, server): state for user, server, state in states}
        there = {each.claim for each in now}
        return volume_links.broken(self.links, self.spawners, remembered, there, self.options)

    def fix(self) -> tuple[Claims, list[str]]:
        """Have the hub use the claims again: what it knows then, and of which servers.

        Raises HubError where it does not use them.
        """
        fixed: dict[str, None] = {}
        claims = self
        for _attempt in range(volume_links.ATTEMPTS):
            answer = ask_hub(self.access, self.release.name, self.release.hub, self.url, states=True)
            if answer["problems"]:
                raise HubError(
                    f"The hub cannot be asked for its servers: {' '.join(answer['problems'])}",
                    f"See its log: kubectl logs deployment/{self.release.hub}.",
                )
            found = claims.broken(answer["states"], volumes(Kubectl(self.access)))
            if not found:
                return claims, list(fixed)
            if not self.options.remember:
                break
            links = [each.link for each in found]
            volume_links.read(self.access, self.release, self.url, self.options, links)
            volume_links.restart_hub(self.access, self.release)
            fixed.update(dict.fromkeys(str(each) for each in links))
            spawners = volume_links.read(self.access, self.release, self.url, self.options)
            claims = replace(claims, spawners=tuple(spawners))
        raise HubError(
            f"The hub does not use the claims of these users again: {_some([str(each) for each in found])}.",
            "See hub.config.KubeSpawner.remember_pvc_name, which must not be false.",
        )


@dataclass(frozen=True)
class Verified:
    """What was found in order."""

    jupyterhub_version: str
    users: int
    #: How many of the servers that ran before answer.
    answering: int
    #: What became of the server of the user that was asked for, and its JupyterHub.
    server: str
    single_user_version: str
    volumes: tuple[Volume, ...]
    #: Servers whose claims were written back into the hub's database.
    fixed: tuple[str, ...] = ()
    #: What the administrator should know, as sentences.
    warnings: tuple[str, ...] = ()


def verify(
    access: Access,
    before: Release,
    point: RecoveryPoint | None,
    volumes_of: RecoveryPoint | None,
    jupyterhub_version: str = "",
    user: str = "",
    servers: Sequence[Server] = (),
    fix_volumes: bool = False,
    digests: Mapping[str, str] = MappingProxyType({}),
) -> Verified:
    """See that the hub serves as it should: the one of ``jupyterhub_version``, with the users of ``point``.

    Volumes must be those of ``volumes_of``, ``servers`` must answer, and ``user`` be able to log in and to
    use a server; ``before`` is the release as it was found. ``fix_volumes`` has the hub told of the claims
    of ``volumes_of`` that it would not use any more; ``digests`` has the images that were rehearsed. Raises
    HubError that names all that is missing.
    """
    kubectl = Kubectl(access)
    running = [each for each in servers if each.phase == "Running"]
    url = _url(access, before, point)
    claims = Claims.of(access, before, volumes_of, url) if volumes_of else None
    fixed: list[str] = []
    if claims is not None and fix_volumes:
        claims, fixed = claims.fix()
    answer = ask_hub(access, before.name, before.hub, url, user, running, states=claims is not None)
    problems = [*answer["problems"]]
    if jupyterhub_version and answer["version"] not in ("", jupyterhub_version):
        problems.append(f"The hub is {answer['version']}, not {jupyterhub_version}.")
    if point is not None and not answer["problems"]:
        removed = {user} if user.startswith(hub_check_program.OURS) else set()
        lost = sorted(set(point.database.users) - set(answer["users"]) - removed)
        if lost:
            problems.append(f"The hub does not know these users any more: {_some(lost)}.")
    now = volumes(kubectl)
    warnings: list[str] = []
    if volumes_of is not None and claims is not None:
        forgotten = claims.broken(answer["states"], now)
        changes = compare_volumes(volumes_of.volumes, now)
        wrong, warnings = judge_volumes(changes, forgotten, claims.remembered)
        problems += wrong
        warnings += [SEVERAL.format(", ".join(claims.several))] if forgotten and claims.several else []
    ended = [each for each in running if each.pod not in _pods(kubectl)]
    silent = [each for each in running if [each.user, each.server] in answer["silent"] and each not in ended]
    problems += lost_servers(ended, silent, len(running))
    if problems:
        raise HubError(
            f"The hub of {before.name} is not what it should be: {' '.join(problems)}",
            f"See its log: kubectl --namespace {before.namespace} logs deployment/{before.hub}.",
        )
    if ended:
        warnings.append(f"The servers of these users have ended meanwhile: {_some(_users(ended))}.")
    warnings += compare_single_user(answer["version"], answer["single_user_version"])
    warnings += other_images(kubectl.get("pods", selector=HUB_SELECTOR), digests)
    return Verified(
        answer["version"],
        len(answer["users"]),
        len(running) - len(ended),
        answer["server"],
        answer["single_user_version"],
        now,
        tuple(fixed),
        tuple(warnings),
    )


def summary(verified: Verified, user: str) -> str:
    """What was verified, as a line."""
    parts = [f"JupyterHub {verified.jupyterhub_version} answers, {verified.users} users are there"]
    if verified.answering:
        parts.append(f"{verified.answering} running servers answer")
    if verified.server:
        version = verified.single_user_version
        parts.append(f"the server of {user} {verified.server}{f', JupyterHub {version}' if version else ''}")
    parts.append(f"{len(verified.volumes)} volumes are in place")
    if verified.fixed:
        parts.append(f"the claims of these were written back: {_some(verified.fixed)}")
    return f"{'; '.join(parts)}."


def ask_hub(
    access: Access,
    name: str,
    hub: str,
    url: str,
    user: str = "",
    servers: Sequence[Server] = (),
    stop: bool = False,
    states: bool = False,
) -> dict[str, Any]:
    """What the hub answers to `hub_check_program`, in its own pod."""
    values = Helm(access).values(name, everything=True)
    program = program_of(url)
    seen_within = program.seen_within if program else SEEN_SECONDS
    base_url = (values.get("hub") or {}).get("baseUrl") or "/"
    request = {
        "lender": source_of(token_lender),
        "url": url,
        "base_url": base_url,
        "user": user,
        "seconds": SERVER_SECONDS,
        "servers": [[each.user, each.server] for each in servers],
        "states": states,
        "stop": stop,
        "seen_within": seen_within,
    }
    printed = Kubectl(access).exec(
        f"deploy/{hub}",
        ["python3", "-c", source_of(hub_check_program)],
        stdin=json.dumps(request).encode(),
        container="hub",
        timeout=2 * SERVER_SECONDS + 240 + seen_within,
    )
    return dict(json.loads(printed.decode().strip().splitlines()[-1]))


def refuse_servers(release: Release) -> None:
    """Raise HubError that names the users whose servers run."""
    if release.servers:
        raise HubError(
            f"The servers of these users run: {_some(_users(release.servers))}.",
            "Have them stopped, or set z2jh_running_servers to keep or stop.",
        )


def stop_servers(access: Access, release: Release, point: RecoveryPoint | None) -> list[str]:
    """Have the hub stop all users' servers; whose they were. Raises HubError where one does not stop."""
    answer = ask_hub(access, release.name, release.hub, _url(access, release, point), stop=True)
    if answer["problems"]:
        raise HubError(
            f"The servers could not be stopped: {' '.join(answer['problems'])}",
            "Stop them as an administrator of the hub, or set z2jh_running_servers to keep.",
        )
    return sorted(f"{user}/{name}".rstrip("/") for user, name in answer["stopped"])


def compare_volumes(before: Sequence[Volume], after: Sequence[Volume]) -> list[VolumeChange]:
    """Each person whose volume is not the one before, or who has got another one beside it."""
    known = {(each.user, each.server, each.claim): each for each in after}
    people = {(each.user, each.server) for each in before}
    changes = []
    for each in before:
        now = known.get((each.user, each.server, each.claim))
        if now is None:
            changes.append(VolumeChange(each.user, each.server, each.claim, "", LOST))
        elif each.volume and now.volume != each.volume:
            changes.append(VolumeChange(each.user, each.server, each.volume, now.volume, REPLACED))
    claims = {each.claim for each in before}
    for each in after:
        if (each.user, each.server) in people and each.claim not in claims:
            old = next(one.claim for one in before if (one.user, one.server) == (each.user, each.server))
            changes.append(VolumeChange(each.user, each.server, old, each.claim, SECOND))
    return changes


def sentence(change: VolumeChange) -> str:
    """A change of a volume, with the person's name."""
    person = change.user + (f" (server {change.server})" if change.server else "")
    if change.change == LOST:
        return f"The claim {change.before} of {person} is gone."
    if change.change == REPLACED:
        return f"{person} has the volume {change.after or 'none'} instead of {change.before}."
    return f"{person} has got a second, empty volume, {change.after}, beside {change.before}."


def judge_volumes(
    changes: Sequence[VolumeChange], broken: Sequence[volume_links.Broken], remembered: bool
) -> tuple[list[str], list[str]]:
    """Sentences on what is wrong with volumes, and on what an administrator should know of them.

    A second volume is nobody's loss where the hub remembers the first (``remembered``: whether it does so).
    What a server will get at its next start is nobody's loss yet.
    """
    problems, warnings = [], []
    forgotten = {(each.link.user, each.link.server) for each in broken}
    for change in changes:
        if change.change == SECOND and remembered and (change.user, change.server) not in forgotten:
            warnings.append(f"{sentence(change)} The hub uses {change.before}: look at the other one.")
        else:
            problems.append(sentence(change))
    if broken:
        warnings.append(FORGOTTEN.format(_some([str(each) for each in broken])))
    return problems, warnings


def lost_servers(ended: Sequence[Server], silent: Sequence[Server], all_of_them: int) -> list[str]:
    """Sentences on servers that the upgrade has stopped or cut off, of all that ran.

    Of many servers a few end in any minute, because their users stop them; those are no fault.
    """
    problems = []
    if len(ended) > all_of_them // ENDING:
        problems.append(f"The servers of these users were stopped: {_some(_users(ended))}.")
    if silent:
        problems.append(f"The servers of these users run, and do not answer: {_some(_users(silent))}.")
    return problems


def compare_single_user(hub: str, single_user: str) -> list[str]:
    """A sentence where the JupyterHub of a server that works does not go with the hub's."""
    if not single_user:
        return []
    verdict = compare(parse_release(hub), parse_release(single_user))
    return [f"The users' image: {verdict.reason}"] if verdict.verdict == FAIL else []


def other_images(pods: Sequence[dict[str, Any]], digests: Mapping[str, str]) -> list[str]:
    """Sentences on hubs of images that are not those which were rehearsed under the same names."""
    sentences = []
    for pod in pods:
        if "deletionTimestamp" in pod["metadata"]:
            continue
        for container in pod["spec"]["containers"]:
            image = container["image"]
            wanted, found = digests.get(image, ""), digest_of(pod, container["name"])
            if wanted and found and wanted != found:
                sentences.append(
                    f"The hub's image {image} has been pushed again since the rehearsal, which had {wanted}: "
                    f"it is {found}."
                )
    return sentences


def _pods(kubectl: Kubectl) -> list[str]:
    """The pods that stay."""
    return [
        pod["metadata"]["name"] for pod in kubectl.get("pods") if "deletionTimestamp" not in pod["metadata"]
    ]


def _users(servers: Sequence[Server]) -> list[str]:
    return sorted(each.person for each in servers)


def _url(access: Access, release: Release, point: RecoveryPoint | None) -> str:
    if point is None:
        return database_of(access, release).url(None)
    return database_of_backup(access, release.name, release.hub, point.database).url(point.database)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(names[:20]) + more
