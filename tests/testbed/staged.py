"""Hubs whose new environments are staged already, as a plan leaves them, where a test is not about staging.

They come from an image above the hub's, made by a real `plan.yml`. It is found again by a hash of the hub's
image, of what is staged, and of the code that stages: the module of that name and all that it imports. An
upgrade that requires something else stages again, which takes longer and is equally valid: see `is_in_place`.
"""

from __future__ import annotations

import ast
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import releases
from .hub import REPOSITORY as CHECKOUT
from .hub import Hub
from .images import REPOSITORY, build, image, one_builder

KIND = "systemd"
TARGET = "6.1.1"
#: Where the image has what is staged, and where that belongs.
STORE = "/usr/local/share/staged"
PLACE = "/opt"
#: The file with an environment's identity: each staging has its own.
MARKER = ".hubops-staged.json"
#: The package that the modules import from, and the module that stages, wherever in it that is.
UTILS = CHECKOUT / "plugins/module_utils"
STAGING = "staging.py"


def start(options: tuple[str, ...] = (), target: str = TARGET, kind: str = KIND) -> Hub:
    """A hub for which the upgrade to ``target`` is staged; see `Hub.start`."""
    hub = Hub.start(kind, options=options, tag=staged_image(kind))
    lay_out(hub, target)
    return hub


def lay_out(hub: Hub, target: str = TARGET) -> None:
    """Put the new environments beside the old ones, once more where an upgrade has used or removed them."""
    hub.exec(["sh", "-c", f"cp -a {stored(target)} {PLACE}"])


def stored(target: str = TARGET) -> str:
    """A pattern of the new environments in the image."""
    return f"{STORE}/*.staged-{target}"


def is_in_place(hub: Hub, target: str = TARGET) -> bool:
    """Whether an upgraded hub runs what was staged here, and nothing that the upgrade has staged itself."""
    return all(
        hub.read(f"{path}/{MARKER}") == hub.read(f"{STORE}/{Path(path).name}.staged-{target}/{MARKER}")
        for path in hub.layout.environments
    )


def broken(hub: Hub, append: dict[str, str]) -> dict[str, str]:
    """A release that was never made, `releases.VERSION`, staged; the variables that ask for it.

    ``append`` adds lines to files of the package, or makes new ones, in its wheel and where it is staged.
    """
    wanted = releases.release(hub, releases.VERSION, append=append)
    lay_out(hub, releases.VERSION)
    found = hub.exec(["sh", "-c", f"echo {PLACE}/*.staged-{releases.VERSION}/lib/python3*/site-packages"])
    for folder in found.stdout.split():
        for path, text in append.items():
            hub.exec(["tee", "-a", f"{folder}/{path}"], stdin=text)
    return wanted


def staged_image(kind: str = KIND) -> str:
    """The tag of the image above that of a kind of hub, built unless it is there."""
    tag = f"{REPOSITORY}/staged:{_fingerprint(kind)}"
    with one_builder(tag) as is_missing:
        if is_missing:
            _make(tag, kind)
    return tag


def _make(tag: str, kind: str) -> None:
    with Hub.start(kind) as hub, tempfile.TemporaryDirectory() as context:
        for wanted in ({"jupyterhub_version": TARGET}, releases.release(hub, releases.VERSION)):
            hub.playbook("plan.yml", wanted)
        hub.exec(["sh", "-c", f"mkdir {STORE} && cp -a {PLACE}/*.staged-* {STORE}"])
        hub.copy_out(STORE, Path(context, "staged.tar"))
        Path(context, "Dockerfile").write_text(f"FROM {image(kind)}\nADD staged.tar {Path(STORE).parent}/\n")
        build(tag, Path(context), "Dockerfile", {})


def _fingerprint(kind: str) -> str:
    digest = hashlib.sha256(f"{image(kind)} {TARGET} {releases.VERSION}".encode())
    for module in sorted(closure(next(UTILS.rglob(STAGING)))):
        digest.update(str(module.relative_to(UTILS)).encode() + module.read_bytes())
    return digest.hexdigest()[:12]


def closure(module: Path) -> set[Path]:
    """A module and all modules of ours that it imports, and those that they import."""
    found, todo = set(), [module]
    while todo:
        each = todo.pop()
        if each not in found:
            found.add(each)
            todo += _imported(each)
    return found


def _imported(module: Path) -> Iterator[Path]:
    """The files of a module's imports; those that are not below `UTILS` do not count."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = module.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            # What is named may be a module of the package, or something in it.
            for path in (package, *(package / alias.name for alias in node.names)):
                yield from (
                    file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()
                )
