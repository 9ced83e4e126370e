"""The images of the test bed: built when their inputs changed, and found again by a hash of these inputs.

``python -m tests.testbed`` builds all of them, in parallel, based on ``TESTBED_BASE`` (``debian:12``,
say); without it, on a Debian made by mmdebstrap where that is installed, so that no image registry is needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "images"
#: The tag that molecule uses: each checkout's own, because the sources of an image may differ between two.
CHECKOUT = os.environ.get("HUBOPS_CHECKOUT", "latest")
# The authorities that this machine trusts, on Debian and on Fedora: the images trust them too.
BUNDLES = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))
CERTIFICATES = next((bundle for bundle in BUNDLES if bundle.exists()), BUNDLES[0])
REPOSITORY = "hubops-test"


class Image(NamedTuple):
    """A Dockerfile's folder, the image it is built from, the files it takes in and its build arguments.

    ``modules`` are files of the test bed that it takes in as well.
    """

    folder: str
    parent: str | None
    inputs: tuple[str, ...]
    arguments: dict[str, str]
    modules: tuple[str, ...] = ()


#: Of databases that a server has.
DRIVERS = "sqlalchemy<2.1 psycopg2-binary PyMySQL"
IMAGES = {
    "base": Image("base", None, ("base", "common/versions.txt"), {}),
    "systemd": Image("systemd", "base", ("systemd", "common"), {"HUB": "4.1.6"}),
    "supervisord": Image("supervisord", "base", ("supervisord", "common"), {"HUB": "4.1.6"}),
    "postgresql": Image(
        "postgresql",
        "base",
        ("postgresql", "common"),
        {"HUB": "4.1.6", "RELATED_PACKAGES": "sqlalchemy<2.1 psycopg2-binary"},
    ),
    "mysql": Image("mysql", "base", ("mysql", "common"), {"HUB": "4.1.6"}),
    "container": Image("container", "base", ("container",), {"HUB": "4.1.6"}),
    "container-new": Image("container", "base", ("container",), {"HUB": "6.1.1"}),
    "driver": Image("packages", "container", ("packages",), {"PACKAGES": DRIVERS}),
    "driver-new": Image("packages", "container-new", ("packages",), {"PACKAGES": DRIVERS}),
    "container-old": Image(
        "packages", "container", ("packages",), {"PACKAGES": "jupyterhub==2.3.1 sqlalchemy<2"}
    ),
    "database": Image("database", "base", ("database",), {}),
    "server": Image("server", "container", ("server",), {}),
    "server-new": Image("server", "container-new", ("server",), {}),
    "littlest": Image(
        "littlest", "base", ("littlest", "tljh", "common"), {"HUB": "4.1.6"}, modules=("old_conda.py",)
    ),
    "old": Image(
        "systemd", "base", ("systemd", "common"), {"HUB": "2.3.1", "RELATED_PACKAGES": "sqlalchemy<2"}
    ),
}

#: Of another userland: built when a test asks for one, as none of `make test` does.
OTHERS = {
    "debian-13": Image("debian-13", None, ("debian-13",), {}),
    "container-debian-13": Image("container", "debian-13", ("container",), {"HUB": "4.1.6"}),
    "container-new-debian-13": Image("container", "debian-13", ("container",), {"HUB": "6.1.1"}),
}
#: Debian's, by what mmdebstrap calls them.
RELEASES = {"12": "bookworm", "13": "trixie"}


def image(name: str) -> str:
    """The tag of an image, built with its parents unless it is there already."""
    tag = _tag(name)
    with one_builder(tag) as is_missing:
        if not is_missing:
            return tag
        recipe = _recipe(name)
        arguments = dict(recipe.arguments)
        if recipe.parent is None:
            arguments["BASE"] = debian("13" if name in OTHERS else "12")
        else:
            arguments["PARENT"] = image(recipe.parent)
        with tempfile.TemporaryDirectory() as context:
            shutil.copytree(FOLDER, context, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copy(CERTIFICATES, Path(context, "ca-certificates.crt"))
            for module in recipe.modules:
                shutil.copy(FOLDER.with_name(module), context)
            build(tag, Path(context), f"{recipe.folder}/Dockerfile", arguments)
    return tag


def _recipe(name: str) -> Image:
    return {**IMAGES, **OTHERS}[name]


def name_for_molecule(name: str) -> None:
    """Give an image the tag by which this checkout's scenarios find it."""
    subprocess.run(["docker", "tag", image(name), f"{REPOSITORY}/{name}:{CHECKOUT}"], check=True)


def build(tag: str, folder: Path, dockerfile: str, arguments: dict[str, str]) -> None:
    """Build an image from a Dockerfile with the files of a folder, and print how long that took."""
    started = time.monotonic()
    print(f"image {tag}: building", flush=True)
    command = ["docker", "build", "--quiet", "--tag", tag, "--file", f"{folder}/{dockerfile}"]
    for key, value in arguments.items():
        command += ["--build-arg", f"{key}={value}"]
    built = subprocess.run(
        [*command, folder],
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if built.returncode != 0:
        raise RuntimeError(f"Image {tag} could not be built:\n{built.stdout}")
    print(f"image {tag}: built in {time.monotonic() - started:.0f} s", flush=True)


def debian(release: str = "12") -> str:
    """The image of a bare Debian of a release of `RELEASES`."""
    if "TESTBED_BASE" in os.environ and release == "12":
        return os.environ["TESTBED_BASE"]
    if shutil.which("mmdebstrap") is None:
        return f"debian:{release}"
    tag = f"{REPOSITORY}/debian:{release}"
    if not _exists(tag):
        print(f"image {tag}: building with mmdebstrap", flush=True)
        bootstrap = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates"]
        with subprocess.Popen([*bootstrap, RELEASES[release], "-"], stdout=subprocess.PIPE) as tree:
            subprocess.run(["docker", "import", "-", tag], stdin=tree.stdout, check=True)
        if tree.returncode != 0:
            subprocess.run(["docker", "image", "rm", tag], check=True)
            raise RuntimeError(f"mmdebstrap could not build a Debian {release}.")
    return tag


def _tag(name: str) -> str:
    return f"{REPOSITORY}/{name}:{_fingerprint(name)}"


def _fingerprint(name: str) -> str:
    """Hash of everything an image is made of: its own files and arguments, and its parent's."""
    recipe = _recipe(name)
    digest = hashlib.sha256(repr(sorted(recipe.arguments.items())).encode())
    if recipe.parent is None:
        digest.update(os.environ.get("TESTBED_BASE", "").encode() + CERTIFICATES.read_bytes())
    else:
        digest.update(_fingerprint(recipe.parent).encode())
    for entry in recipe.inputs:
        path = FOLDER / entry
        for file in [path] if path.is_file() else sorted(filter(Path.is_file, path.iterdir())):
            digest.update(file.name.encode() + file.read_bytes())
    for module in recipe.modules:
        digest.update(FOLDER.with_name(module).read_bytes())
    return digest.hexdigest()[:12]


def _exists(tag: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", tag], capture_output=True).returncode == 0


@contextlib.contextmanager
def one_builder(tag: str) -> Iterator[bool]:
    """Whether an image is missing; while it is built in the block, other processes that need it wait."""
    if _exists(tag):
        yield False
        return
    lock = Path(tempfile.gettempdir(), f"{tag.replace('/', '-').replace(':', '-')}.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield not _exists(tag)
