"""A hub that docker-compose has started is upgraded, and Compose knows it afterwards. Real ones."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import recovery_point, rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal

from tests.hubs.docker.container_hub import (
    CONFIG,
    IMAGES,
    NEW,
    OLD,
    TOKEN,
    Hub,
    docker,
    removed_afterwards,
    unique_name,
    wait_until_it_answers,
)
from tests.testbed.images import image

FILE = """
version: "3"
services:
  hub:
    image: {image}
    environment:
      PROBE_TOKEN: "{token}"
    volumes:
      - {data}:/srv/jupyterhub
    restart: unless-stopped
"""


class Project:
    """A folder with a file of Compose's."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "docker-compose.yml"
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        (self.data / "jupyterhub_config.py").write_text(CONFIG)
        self.name = folder.name

    def have(self, version: str) -> None:
        """Have the file name the image of a version."""
        self.file.write_text(FILE.format(image=image(IMAGES[version]), token=TOKEN, data=self.data))

    def compose(self, *arguments: str) -> str:
        """What `docker-compose` prints."""
        argv = ["docker-compose", "--file", str(self.file), "--project-name", self.name, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def up(self) -> str:
        return self.compose("up", "--detach")

    @property
    def hub(self) -> str:
        """The name of its first container, which Compose 1 writes with underscores, and 2 with hyphens."""
        [name, *_others] = self.containers()
        return name

    def containers(self) -> list[str]:
        """Those that Compose takes for the hub's, running or not, by their names."""
        ids = self.compose("ps", "--all", "--quiet").split()
        return [docker("inspect", "--format", "{{.Name}}", each).lstrip("/") for each in ids]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / unique_name()
    made = Project(folder)
    made.have(OLD)
    try:
        made.up()
        with removed_afterwards(made.hub):
            wait_until_it_answers(made.hub, OLD)
            yield made
    finally:
        made.compose("down")


def test_compose_goes_on_with_what_was_upgraded_and_rolled_back(project: Project, tmp_path: Path) -> None:
    name = project.hub
    deployment = find_deployment(name)
    assert deployment.service.defined_in.endswith(f"the image {image(IMAGES[OLD])} of {project.file}:5.")
    hub = Hub(name, tmp_path)
    hub.ask("/users/of-the-old", "POST")
    hub.stage(image(IMAGES[NEW]))
    run_id = hub.arm()
    assert hub.conduct(run_id).phase == journal.VERIFIED
    rollback.accept(hub.folder, run_id)
    assert (hub.version(), project.containers()) == (NEW, [name])
    # Of a file that has not changed nothing is made again, and nothing is lost.
    project.up()
    assert (hub.version(), project.containers()) == (NEW, [name])
    project.have(NEW)
    project.up()
    wait_until_it_answers(name, NEW)
    assert (hub.users(), project.containers()) == (["of-the-old"], [name])

    recovery_point.restore(hub.point, 60, 60)
    assert project.containers() == [name]
    project.have(OLD)
    project.up()
    wait_until_it_answers(name, OLD)
    assert (hub.users(), project.containers()) == (["of-the-old"], [name])
