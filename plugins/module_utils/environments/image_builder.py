"""Builds the image of a new release from the one that a hub's container has, with the pip that is in it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import HubError
from ..system import containers, images
from ..system import docker_engine as engine
from ..system.container_helpers import output_of
from ..system.image_places import ImagePlace
from .installer import InstallerOptions, without_credentials

#: Repository of images that were built here.
BUILT = "hubops-built"
INSTALL_SECONDS = 3600
LOOK_SECONDS = 60
_INPUT, _WHEELS = "/tmp/hubops-build", "/tmp/hubops-build-wheels"
_VERSION = re.compile(r"jupyterhub==([\w.]+)")


def name_of(place: ImagePlace, requirements: Sequence[str], options: InstallerOptions) -> str:
    """The name of the image that is built from a hub's for these requirements: of the same, the same."""
    made_of = [place.image, sorted(requirements), options.wheels, _text(options.constraints)]
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]
    version = next((found[1] for found in map(_VERSION.match, requirements) if found), "hub")
    return f"{BUILT}/{place.container.lower()}:{version}-{digest}"


def build(place: ImagePlace, requirements: Sequence[str], options: InstallerOptions) -> str:
    """Have an image with ``requirements`` in the environment of a hub's, which has all else of it; its name.

    Nothing of the hub is touched. Raises HubError where the image has no pip, or that cannot install them.
    """
    name = name_of(place, requirements, options)
    if not images.image_id(name):
        repository, _colon, tag = name.rpartition(":")
        maker = re.sub(r"[^\w.-]", "-", f"hubops-build-{tag}")
        # One that was killed may have left it.
        containers.remove(maker)
        owner = output_of(place.image, ["stat", "-c", "%u:%g", place.prefix], LOOK_SECONDS).strip()
        with tempfile.TemporaryDirectory(prefix="hubops-build-") as folder:
            _write(Path(folder), owner, requirements, options)
            try:
                _install(maker, place, folder, owner, options)
                _commit(maker, place, repository, tag)
            finally:
                containers.remove(maker)
    return name


def _text(file: str) -> str:
    return Path(file).read_text(encoding="utf-8") if file else ""


def _write(folder: Path, owner: str, requirements: Sequence[str], options: InstallerOptions) -> None:
    """Write what pip reads. An index may have a password in its address, which so gets into no image."""
    lines = list(requirements)
    if options.wheels:
        lines = ["--no-index", f"--find-links {_WHEELS}", *lines]
    elif options.index_url:
        lines = [f"--index-url {options.index_url}", *lines]
    if options.constraints:
        shutil.copyfile(options.constraints, folder / "constraints.txt")
        lines.append("--constraint constraints.txt")
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    uid, gid = map(int, owner.split(":"))
    for path in (folder, *folder.iterdir()):
        os.chown(path, uid, gid)


def _install(maker: str, place: ImagePlace, folder: str, owner: str, options: InstallerOptions) -> None:
    binds = [f"{folder}:{_INPUT}:ro", *([f"{options.wheels}:{_WHEELS}:ro"] if options.wheels else [])]
    pip = ["-m", "pip", "--no-input", "--disable-pip-version-check", "install", "--no-cache-dir"]
    pip += ["--upgrade", "--upgrade-strategy", "only-if-needed", "--root-user-action=ignore"]
    body = {
        "Image": place.image,
        "Entrypoint": [place.python],
        "Cmd": [*pip, "-r", f"{_INPUT}/requirements.txt"],
        "User": owner,
        "HostConfig": {"Binds": binds, "NetworkMode": "host", "SecurityOpt": ["no-new-privileges"]},
    }
    engine.send("/containers/create", body, name=maker)
    engine.send(f"/containers/{maker}/start")
    ended = json.loads(engine.ask("POST", f"/containers/{maker}/wait", timeout=INSTALL_SECONDS))
    if ended["StatusCode"]:
        text = engine.text_of(engine.ask("GET", f"/containers/{maker}/logs", stdout="true", stderr="true"))
        lines = text.strip().splitlines() or [f"pip ended with {ended['StatusCode']}"]
        last = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1])
        python = f" It has Python {place.python_version}." if "different python version" in text else ""
        raise HubError(
            f"No image can be built from {place.image_name}: {without_credentials(last)}.{python}",
            "Build one with that release, and name it in jupyterhub_image.",
        )


def _commit(maker: str, place: ImagePlace, repository: str, tag: str) -> None:
    """Make an image of what was installed, which starts as the old one does.

    The engine fills in from the container what an image's configuration leaves empty: the entrypoint that
    has installed the packages, and its user. So that is said in the lines of a Dockerfile.
    """
    config: dict[str, Any] = engine.read(f"/images/{place.image}/json")["Config"]
    made = engine.send("/commit", config, container=maker, pause="false")["Id"]
    lines = [
        f"FROM {made}",
        f"USER {config.get('User') or 'root'}",
        f"ENTRYPOINT {json.dumps(config.get('Entrypoint') or [])}",
        f"CMD {json.dumps(config.get('Cmd') or [])}",
    ]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        text = "".join(f"{line}\n" for line in lines).encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    said = engine.put(
        "/build", stream.getvalue(), timeout=INSTALL_SECONDS, t=f"{repository}:{tag}", rm="true"
    )
    for line in said.splitlines():
        if b'"error"' in line:
            raise HubError(
                f"No image can be built from {place.image_name}: {json.loads(line)['error']}",
                "Build one yourself, and name it in jupyterhub_image.",
            )
