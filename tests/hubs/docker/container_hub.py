"""Real hubs in containers of this machine's engine, as `docker run` starts them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import transitions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.running_servers import STOP
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import find_services
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import containers, state
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.container_helpers import remove_helpers

from tests.hubs.recovery import staged_hub
from tests.plans import planned_environment
from tests.testbed.images import image

OLD, NEW = "4.1.6", "6.1.1"
IMAGES = {OLD: "container", NEW: "container-new"}
NUMBERS = count(1)
SECONDS = 60
CONFIG = (
    "import os\n"
    "c.JupyterHub.authenticator_class = 'jupyterhub.auth.DummyAuthenticator'\n"
    "c.JupyterHub.spawner_class = 'jupyterhub.spawner.SimpleLocalProcessSpawner'\n"
    "c.Authenticator.allow_all = True\n"
    "c.JupyterHub.services = [{'name': 'probe', 'api_token': os.environ['PROBE_TOKEN'], 'admin': True}]\n"
    "c.JupyterHub.load_roles = [{'name': 'probe', 'services': ['probe'], 'scopes': ['admin:users']}]\n"
)
TOKEN = "the-probe's-token"


def docker(*arguments: str | Path) -> str:
    """What `docker` prints."""
    done = subprocess.run(["docker", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def unique_name() -> str:
    return f"container-{os.getpid()}-{next(NUMBERS)}"


@contextlib.contextmanager
def container(
    folder: Path,
    *options: str,
    command: Sequence[str] = (),
    of: str = IMAGES[OLD],
    config: str = "",
    networks: Sequence[str] = (),
) -> Iterator[str]:
    """A container of a hub whose data is in ``folder``; its name. Nothing of it is there afterwards.

    ``of`` is its image, ``config`` what its config has besides, and ``networks`` it is in besides the first.
    """
    name = unique_name()
    folder.mkdir(exist_ok=True)
    (folder / "jupyterhub_config.py").write_text(CONFIG + config)
    with removed_afterwards(name):
        mount = f"{folder}:/srv/jupyterhub"
        given = ["--env", f"PROBE_TOKEN={TOKEN}", "--volume", mount, *options]
        docker("create", "--name", name, *given, image(of), *command)
        for network in networks:
            docker("network", "connect", network, name)
        docker("start", name)
        yield name


@contextlib.contextmanager
def removed_afterwards(name: str) -> Iterator[None]:
    """Whatever begins with a container's name is removed, and what was kept of it."""
    try:
        yield
    finally:
        remove_helpers()
        for each in docker("ps", "--all", "--format", "{{.Names}}", "--filter", f"name=^{name}").splitlines():
            docker("rm", "--force", "--volumes", each)
        for repository in ("hubops-kept", "hubops-built"):
            listed = ["images", "--format", "{{.Repository}}:{{.Tag}}", f"{repository}/{name}"]
            for tag in docker(*listed).splitlines():
                docker("rmi", tag)
        shutil.rmtree(state.state_folder(name), ignore_errors=True)


def wait_until_it_answers(name: str, version: str) -> None:
    """Wait until the hub in a container answers as this version."""
    deadline = time.monotonic() + SECONDS
    while api.version(f"http://{name}.container:8081/hub/api") != version:
        assert time.monotonic() < deadline, docker("logs", name)
        [service] = find_services(name)
        assert service.state() == "running", docker("logs", name)
        time.sleep(0.1)


class Hub(staged_hub.Hub):
    """A hub in a container; each run upgrades it from the same state."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.base = name, folder / "state"
        self.folder = state.state_folder(name, str(self.base))
        self.place = state.state_folder(name) / "image"
        self.entry = planned_environment(self.place, NEW, jupyterhub=OLD, kind="image")

    def stage(self, image_name: str, check: bool = False) -> dict[str, Any]:
        options = InstallerOptions(image=image_name)
        return transitions.apply("staged", [self.entry], "", options, Progress(), check)

    def arm(self, *arguments: Any, **changes: Any) -> str:
        return super().arm(*arguments, running_servers=STOP, **changes)

    def lay_out(self, append: dict[str, str]) -> None:
        """Nothing: the test has staged it."""

    def remove_others(self) -> None:
        """Remove its containers that are not in its place."""
        for other in containers.containers():
            if other.name.startswith(f"{self.name}."):
                containers.remove(other.name)

    def users(self) -> list[str]:
        return sorted(user["name"] for user in self.ask("/users"))

    def ask(self, path: str, method: str = "GET") -> Any:
        answer = api.ask(f"http://{self.name}.container:8081/hub/api{path}", TOKEN, method)
        assert answer.status < 300, answer
        return answer.body


def broken_image(lines: str, of: str = IMAGES[NEW]) -> str:
    """An image of ``of`` with lines appended to its `jupyterhub.app`; the caller removes it."""
    tag = f"hubops-test/{unique_name()}"
    append = f"import jupyterhub.app as app; open(app.__file__, 'a').write({lines!r})"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", tag, "-"],
        input=f"FROM {image(of)}\nRUN {json.dumps(['/opt/jupyterhub/bin/python', '-c', append])}\n",
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        check=True,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    return tag
