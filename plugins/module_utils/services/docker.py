"""Containers of the Docker engine in which a hub runs, whoever has started them."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..environments import image_view
from ..errors import HubError
from ..system import docker_engine as engine
from ..system import files, state
from ..system.container_context import ContainerContext
from ..system.container_helpers import MAKER_LABEL, remove_abandoned
from ..system.containers import (
    ASIDE,
    Container,
    aside,
    changed_files,
    containers,
    in_place,
    make,
    remove,
    remove_stopped,
    set_restart_policy,
)
from ..system.image_places import ImagePlace
from ..system.images import image_id
from ..system.processes import Process, family, processes
from . import compose
from .base import STOP_FIX, DoesNotStop, Service
from .command_line import runs_hub
from .facts import ServiceFacts

#: What starts and stops hubs by itself within a container: a host of its own, as it were.
_MANAGERS = ("systemd", "init", "supervisord", "runsvdir", "s6-svscan")
_STATES = {
    "created": "stopped",
    "running": "running",
    "paused": "stopping",
    "restarting": "starting",
    "removing": "stopping",
    "dead": "failed",
}
#: Labels by which others say that containers are theirs, and what these are of.
_OWNERS = {
    "io.kubernetes.pod.name": "a pod of Kubernetes",
    "com.docker.swarm.service.name": "a service of a swarm",
}
_PACKAGE = re.compile(r"/(?:site|dist)-packages/([^/]+)-([^/-]+)\.dist-info$")
NEVER = {"Name": "no"}
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z ")


class DockerContainer(Service):
    """A container whose main process is a hub, or starts one."""

    manager = "docker"

    def __init__(self, name: str, account: dict[str, Any] | None = None) -> None:
        """``account`` is the user of the hub, as it was found when it ran."""
        self.name = name
        self._account = account

    @classmethod
    def find(cls, name: str | None = None) -> list[DockerContainer]:
        """Every container of a hub; those of which `docker` itself may not be asked are not found."""
        if not engine.is_here():
            return []
        found = [
            each
            for each in containers()
            if MAKER_LABEL not in each.labels
            and ASIDE not in each.name
            and (each.name == name or _has_hub(each))
        ]
        return [cls(each.name) for each in found]

    @classmethod
    def of(cls, facts: ServiceFacts) -> DockerContainer:
        return cls(facts.name, facts.particulars["account"])

    @property
    def container(self) -> Container:
        """As `in_place` has it. Raises HubError when there is none, or it is somebody else's to replace."""
        found = in_place(self.name)
        for label, owner in _OWNERS.items():
            if label in found.labels:
                raise HubError(
                    f"The container {self.name} is that of {owner} ({found.labels[label]}).",
                    "Upgrade the hub there: what starts its containers would start the old one again.",
                )
        return found

    def state(self) -> str:
        found = self.container
        return _STATES.get(found.status) or ("failed" if found.exit_code else "stopped")

    def main_pid(self) -> int | None:
        return self.container.pid

    def command(self) -> list[str]:
        return self.container.argv

    def configured_context(self) -> ContainerContext:
        """What the running hub has; of one that does not run its settings, as the user it was found with."""
        found = self.container
        known = ContainerContext(
            user=(self._account or {}).get("user", ""),
            uid=0,
            gid=0,
            groups=(),
            home="/",
            directory=found.directory,
            environment=found.environment,
            container=found,
        )
        process = self.hub_process()
        if process:
            inside = known.of_process(process)
            home = inside.environment.get("HOME", "/")
            return replace(inside, user=_user_name(process, inside.uid), home=home)
        if self._account is None:
            raise self._not_running()
        account = self._account
        return replace(
            known,
            uid=account["uid"],
            gid=account["gid"],
            groups=tuple(account["groups"]),
            home=account["home"],
            directory=account["directory"],
        )

    def own_environment(self) -> str:
        if self.hub_process() is None:
            raise self._not_running()
        image_view.make(self._view, self.configured_context(), self.name)
        return str(self._view)

    @property
    def _view(self) -> Path:
        """What stands for the environment of the image that the hub is to be started from."""
        return state.state_folder(self.deployment_name) / "image"

    def _not_running(self) -> HubError:
        return HubError(
            f"The container {self.name} does not run a hub.", f"Start it: docker start {self.name}."
        )

    def start(self) -> None:
        """Start the container; one of the image that the hub's environment is in takes its place first."""
        place = ImagePlace.of(self._view)
        if place:
            self._have_image(place)
        engine.send(f"/containers/{self.name}/start")

    def _have_image(self, place: ImagePlace) -> None:
        """Have a container of that image in the hub's place, and the others beside it.

        Only the one in place is started by the engine. Right from any half-way point of itself.
        """
        present = {each.name: each for each in containers(self.name)}
        mine = present.get(self.name)
        if mine and mine.image != place.image:
            beside = aside(self.name, mine.image)
            if beside in present:
                remove(beside)
            engine.send(f"/containers/{self.name}/rename", name=beside)
            mine = None
        kept = aside(self.name, place.image)
        if mine is None and kept in present:
            engine.send(f"/containers/{kept}/rename", name=self.name)
        elif mine is None:
            named = image_id(place.image_name) == place.image
            make(self.name, place.image_name if named else place.image, like=self._others()[0].name)
        for other in self._others():
            if other.restart_policy["Name"] != NEVER["Name"]:
                set_restart_policy(self.name, other.restart_policy)
                set_restart_policy(other.name, NEVER)

    def _others(self) -> list[Container]:
        """Its containers that are not in its place, the newest first."""
        return containers(f"{self.name}{ASIDE}")

    def stop(self, timeout: float) -> None:
        began = time.monotonic()
        seconds = max(1, int(timeout))
        engine.ask(
            "POST", f"/containers/{self.name}/stop", timeout=timeout + engine.ANSWER_SECONDS, t=seconds
        )
        if time.monotonic() - began > seconds:
            raise DoesNotStop(
                f"{self.name} did not stop within {timeout:g} seconds, and was killed.", STOP_FIX
            )

    def kill(self) -> None:
        if self.main_pid():
            engine.send(f"/containers/{self.name}/kill")

    def reread(self) -> None:
        """Nothing: a container has no file that defines it."""

    def spare_servers(self) -> None:
        """Nothing: servers within the container end with it, and the engine knows no others."""

    def end_sparing_servers(self) -> None:
        """Nothing, as before."""

    def install_hold(self, hold_file: Path) -> None:
        """Nothing to prepare: the engine is told only when the hub is held."""

    def hold(self, reason: str, hold_file: Path) -> None:
        super().hold(reason, hold_file)
        found, file = self.container, self._policy_file(hold_file)
        if not file.exists():
            files.write(file, json.dumps(found.restart_policy).encode())
        set_restart_policy(found.name, NEVER)

    def release(self, hold_file: Path) -> None:
        super().release(hold_file)
        self._restore_policy(hold_file)

    def remove_hold(self, hold_file: Path) -> None:
        super().remove_hold(hold_file)
        self._restore_policy(hold_file)
        self.settle()
        remove_abandoned()

    def settle(self) -> None:
        """Remove those of its containers that Compose would take for the hub's as well.

        It knows containers by their labels alone, which cannot be changed: of two it removes one, and starts
        the other. What stands in a removed one's place later is made of its image, which is kept.
        """
        if any(each.name == self.name for each in containers(self.name)):
            for other in self._others():
                if compose.PROJECT in other.labels:
                    remove_stopped(other.name)

    def _restore_policy(self, hold_file: Path) -> None:
        file = self._policy_file(hold_file)
        if file.exists():
            set_restart_policy(self.container.name, json.loads(file.read_bytes()))
            file.unlink()

    def _policy_file(self, hold_file: Path) -> Path:
        return hold_file.with_name("restart-policy.json")

    def _configured_log_files(self) -> list[str]:
        return []

    def _manager_log_mark(self) -> str:
        return self._manager_log_mark_at(time.time())

    def _manager_log_mark_at(self, moment: float) -> str:
        return f"{moment:.9f}"

    def _manager_log_since(self, mark: str) -> list[str]:
        path, since = f"/containers/{self.name}/logs", mark or "0"
        stream = engine.ask("GET", path, stdout="true", stderr="true", timestamps="true", since=since)
        return log_lines(stream)

    def _own_facts(self) -> dict[str, Any]:
        found, context = self.container, self.configured_context()
        return {
            "environment_files": [],
            "enabled": found.restart_policy["Name"] in ("always", "unless-stopped"),
            "unit_file": "",
            "needs_root": True,
            "sees_host": False,
            "obstacles": _obstacles(found),
            "defined_in": compose.where_defined(found.labels, found.image_name, found.name),
            "lost": lost_packages(changed_files(found.name)),
            "particulars": {
                "image": found.image,
                "image_name": found.image_name,
                "started_by": compose.started_by(found.labels),
                "account": {
                    "user": context.user,
                    "uid": context.uid,
                    "gid": context.gid,
                    "groups": list(context.groups),
                    "home": context.home,
                    "directory": context.directory,
                },
            },
        }


def _has_hub(found: Container) -> bool:
    if found.pid is None:
        return runs_hub(found.argv)
    all_argv = [process.argv for process in family(found.pid)]
    # A script is the second word, after its interpreter.
    names = {os.path.basename(word) for argv in all_argv for word in argv[:2]}
    return not names.intersection(_MANAGERS) and any(map(runs_hub, all_argv))


def _obstacles(found: Container) -> list[str]:
    """Why no container could take the place of this one, and give it back."""
    obstacles = []
    if found.goes_when_stopped:
        obstacles.append("The engine removes it when it stops (docker run --rm).")
    for process in processes():
        words = process.argv
        if os.path.basename(words[0]) == "docker" and {"run", "start"} & {*words} and found.name in words:
            obstacles.append(f"The process {process.pid} keeps it running: `{' '.join(words[:2])} ...`.")
    return obstacles


def lost_packages(changed: list[str]) -> list[str]:
    """Names and versions of the packages that were installed into a container, from its changed files."""
    found = (_PACKAGE.search(path) for path in changed)
    return sorted({f"{each[1]} {each[2]}" for each in found if each})


def _user_name(process: Process, uid: int) -> str:
    """The name that the process's own file system has for a user, or its number."""
    try:
        lines = (process.folder / "root" / "etc" / "passwd").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    fields = (line.split(":") for line in lines)
    return next((each[0] for each in fields if each[2:3] == [str(uid)]), str(uid))


def log_lines(stream: bytes) -> list[str]:
    """The lines of a container's log, those of its output and of its errors in the order of their stamps."""
    lines = sorted(engine.text_of(stream).splitlines(), key=lambda line: line.partition(" ")[0])
    return [_STAMP.sub("", line, count=1).rstrip() for line in lines]
