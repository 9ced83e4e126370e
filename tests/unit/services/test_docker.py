"""What Docker's engine says of containers, recorded from a real one (20.10) and shortened."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services import compose, docker
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import (
    container_helpers,
    container_settings,
    containers,
)

ID = "cdbf1fe7a4f43a0c6cb39f923bb9478a8a162dd160fe50392dfe091729f8fb57"
IMAGE: dict[str, Any] = {
    "Id": "sha256:f4cb4ab596d4",
    "Config": {
        "Env": ["PATH=/opt/hub/bin:/usr/bin", "LANG=C.UTF-8"],
        "Cmd": ["-f", "/srv/hub.py"],
        "Entrypoint": ["jupyterhub"],
        "WorkingDir": "/srv/hub",
        "User": "",
        "Labels": {"maintainer": "somebody"},
        "Volumes": {"/var/cache/hub": {}},
        "ExposedPorts": {"8000/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "true"]},
    },
}
CONTAINER: dict[str, Any] = {
    "Id": ID,
    "Name": "/hub",
    "Image": IMAGE["Id"],
    "State": {"Status": "running", "Pid": 7232, "ExitCode": 0},
    "Config": {
        **copy.deepcopy(IMAGE["Config"]),
        "Hostname": ID[:12],
        "Image": "registry.example.org/hub:4",
        "Env": ["SECRET=a=b", "PATH=/opt/hub/bin:/usr/bin", "LANG=C.UTF-8"],
        "Labels": {
            "maintainer": "somebody",
            "com.docker.compose.project": "teaching",
            "com.docker.compose.project.config_files": "/srv/compose.yml",
        },
    },
    "HostConfig": {
        "Binds": ["/data/hub:/srv/hub:rw", "homes:/home"],
        "NetworkMode": "teaching_default",
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "CapAdd": ["NET_ADMIN"],
        "CapDrop": None,
        "Memory": 536870912,
    },
    "Mounts": [
        {"Type": "bind", "Source": "/data/hub", "Destination": "/srv/hub", "RW": True},
        {
            "Type": "volume",
            "Name": "homes",
            "Source": "/var/lib/docker/volumes/homes/_data",
            "Destination": "/home",
            "RW": True,
        },
        {
            "Type": "volume",
            "Name": "0f3a",
            "Source": "/var/lib/docker/volumes/0f3a/_data",
            "Destination": "/var/cache/hub",
            "RW": True,
        },
        {"Type": "bind", "Source": "/etc/hub.d", "Destination": "/srv/hub/conf.d", "RW": False},
        {"Type": "tmpfs", "Source": "", "Destination": "/run", "RW": True},
    ],
    "NetworkSettings": {
        "Networks": {
            "teaching_default": {
                "Aliases": ["hub", ID[:12]],
                "IPAMConfig": {"IPv4Address": "172.20.0.5"},
                "IPAddress": "172.20.0.5",
                "Links": None,
            },
            "databases": {"Aliases": [ID[:12]], "IPAMConfig": None, "IPAddress": "172.21.0.2", "Links": None},
        }
    },
}


def changed(**config: Any) -> dict[str, Any]:
    found = copy.deepcopy(CONTAINER)
    found["Config"].update(config)
    return found


def test_a_container() -> None:
    found = containers.parsed(CONTAINER)
    assert (found.name, found.pid, found.status) == ("hub", 7232, "running")
    assert found.argv == ["jupyterhub", "-f", "/srv/hub.py"]
    assert found.environment["SECRET"] == "a=b"
    assert "a=b" not in repr(found)
    assert found.addresses == ["172.20.0.5", "172.21.0.2"]
    assert found.restart_policy == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert found.settings == {"NetworkMode": "teaching_default", "CapAdd": ["NET_ADMIN"]}
    assert compose.started_by(found.labels) == "docker compose, project teaching of /srv/compose.yml"
    assert compose.started_by(containers.parsed(changed(Labels=None)).labels) == "docker run"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "services:\n  db:\n    image: postgres:15\n  hub:\n    image: 'hub:4'  # ours\n",
            "has the image hub:4 of {file}:5.",
        ),
        ("services:\n  hub:\n    image: hub:${RELEASE}\n", "is defined in {file}; its image is hub:4."),
        (None, "is defined in {file}; its image is hub:4."),
    ],
)
def test_where_compose_reads_the_image(text: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "compose.yml"
    if text:
        file.write_text(text)
    labels = {compose.PROJECT: "teaching", compose.SERVICE: "hub", compose.FOLDER: str(tmp_path)}
    found = compose.where_defined({**labels, compose.FILES: "compose.yml"}, "hub:4", "teaching-hub-1")
    assert found == f"Compose's service hub {said.format(file=file)}"
    assert compose.where_defined(labels, "hub:4", "x").endswith(
        "of the project teaching has the image hub:4."
    )
    assert compose.where_defined({}, "hub:4", "hub") == ""


@pytest.mark.parametrize(
    ("inside", "on_host"),
    [
        ("/srv/hub/jupyterhub.sqlite", "/data/hub/jupyterhub.sqlite"),
        ("/srv/hub", "/data/hub"),
        ("/srv/hub/conf.d/a.py", "/etc/hub.d/a.py"),
        ("/home/ada", "/var/lib/docker/volumes/homes/_data/ada"),
        ("/srv/hubs/x", "hub:/srv/hubs/x"),
        ("/etc/jupyterhub/config.py", "hub:/etc/jupyterhub/config.py"),
    ],
)
def test_paths(inside: str, on_host: str) -> None:
    found = containers.parsed(CONTAINER)
    assert found.on_host(inside) == on_host
    assert found.inside(on_host) == inside


def test_what_a_helper_mounts() -> None:
    """Everything twice, also at its path on the host, unless that would hide a part of the image."""
    found = containers.parsed(CONTAINER)
    assert container_helpers.binds(found, "/opt/hub") == [
        "/data/hub:/srv/hub:rw",
        "/data/hub:/data/hub:rw",
        "homes:/home:rw",
        "/var/lib/docker/volumes/homes/_data:/var/lib/docker/volumes/homes/_data:rw",
        "0f3a:/var/cache/hub:rw",
        "/var/lib/docker/volumes/0f3a/_data:/var/lib/docker/volumes/0f3a/_data:rw",
        "/etc/hub.d:/srv/hub/conf.d:ro",
        "/etc/hub.d:/etc/hub.d:ro",
    ]
    assert "/data/hub:/data/hub:rw" not in container_helpers.binds(found, "/data/hub/venv")


def test_what_was_given_to_a_container_and_what_is_its_images() -> None:
    given = container_settings.given(CONTAINER, IMAGE)
    assert given["Env"] == ["SECRET=a=b"]
    assert given["Labels"] == {
        "com.docker.compose.project": "teaching",
        "com.docker.compose.project.config_files": "/srv/compose.yml",
    }
    assert (given["Volumes"], given["ExposedPorts"]) == ({}, {})
    own = {"Cmd", "Entrypoint", "WorkingDir", "User", "Healthcheck", "Hostname", "Image"}
    assert own.isdisjoint(given)


@pytest.mark.parametrize(
    "config",
    [
        {"User": "hub"},
        {"WorkingDir": "/srv"},
        {"Hostname": "hub.example.org"},
        {"Healthcheck": {"Test": ["NONE"]}},
        {"Cmd": ["--debug"]},
        # The image's command does not count with another entrypoint.
        {"Entrypoint": ["tini", "--", "jupyterhub"], "Cmd": ["-f", "/srv/hub.py"]},
    ],
)
def test_a_setting_of_ones_own_is_kept(config: dict[str, Any]) -> None:
    given = container_settings.given(changed(**config), IMAGE)
    assert {name: given[name] for name in config} == config


def test_the_hosts_side_of_a_container() -> None:
    host = container_settings.host(CONTAINER)
    assert host["Binds"] == ["/data/hub:/srv/hub:rw", "homes:/home", "0f3a:/var/cache/hub"]
    assert (host["Memory"], host["CapAdd"]) == (536870912, ["NET_ADMIN"])
    assert container_settings.networks(CONTAINER) == {
        "teaching_default": {"Aliases": ["hub"], "IPAMConfig": {"IPv4Address": "172.20.0.5"}},
        "databases": {},
    }
    assert container_settings.further_networks(CONTAINER) == ["databases"]
    assert container_settings.names_in(CONTAINER, ["databases"]) == {"hub", ID[:12], "172.21.0.2"}


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


@pytest.mark.parametrize(
    "stream",
    [
        frame(2, b"2026-11-29T13:41:20.2Z second\n") + frame(1, b"2026-11-29T13:41:20.1Z first\n"),
        # Of a terminal.
        b"2026-11-29T13:41:20.1Z first\r\n2026-11-29T13:41:20.2Z second\r\n",
    ],
)
def test_a_log_in_the_order_of_its_stamps(stream: bytes) -> None:
    assert docker.log_lines(stream) == ["first", "second"]
