"""Volumes of hubs in memory, where the machine's disk and processors are busy.

What lies there outlives a container that is killed and started again, as on a disk; but all of it counts as
synced, so that a test of what a power cut loses needs a disk.

Thousands of files of environments are the same for many hubs: they are copied out of the image once, and each
hub whose environments are staged already has links to them. Nobody writes into such a file; `volumes` looks
whether that is so.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .hub import LABEL, docker

FOLDER = Path("/dev/shm")
ENVIRONMENTS = "/opt"


@contextlib.contextmanager
def volumes(tag: str, store: str = "") -> Iterator[tuple[str, ...]]:
    """Options of ``docker run`` that put all volumes of an image into memory for the time of the block.

    What the image has at ``store``, a pattern, is beside its environments then, and their files are shared.
    Raises RuntimeError when somebody has written into these.
    """
    declared = json.loads(docker("image", "inspect", tag).stdout)[0]["Config"]["Volumes"]
    base = _base(tag, declared, store)
    home = Path(tempfile.mkdtemp(prefix="hubops-volumes-", dir=FOLDER))
    made: dict[str, str] = {}
    try:
        for path in declared:
            place, name = home / _word(path), f"{home.name}-{_word(path)}"
            links = ["--link"] if store and path == ENVIRONMENTS else []
            subprocess.run(["cp", "--archive", *links, base / _word(path), place], check=True)
            options = ("--opt", "type=none", "--opt", "o=bind", "--opt", f"device={place}")
            docker("volume", "create", "--label", LABEL, *options, name)
            made[path] = name
        yield tuple(word for path, name in made.items() for word in ("--volume", f"{name}:{path}"))
    finally:
        docker("volume", "rm", "--force", *made.values())
        subprocess.run(["rm", "-r", home], check=True)
    if store and _state(base) != (base / "state").read_text():
        shutil.rmtree(base)
        raise RuntimeError(f"Something has written into {base}, which hubs share.")


def _base(tag: str, declared: list[str], store: str) -> Path:
    """A folder with what an image has in its volumes, made unless it is there."""
    key = hashlib.sha256(f"{tag} {store}".encode()).hexdigest()[:12]
    base = FOLDER / f"hubops-base-{key}"
    with (FOLDER / f"{base.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / "state").exists():
            base.mkdir(exist_ok=True)
            script = [f"cp --archive {path} /made/{_word(path)}" for path in declared]
            if store:
                script.append(f"cp --archive {store} /made/{_word(ENVIRONMENTS)}")
            copy = ("--entrypoint", "sh", "--volume", f"{base}:/made", tag, "-ec", "; ".join(script))
            docker("run", "--rm", "--label", LABEL, "--user", "root", *copy)
            (base / "state").write_text(_state(base))
    return base


def _state(base: Path) -> str:
    """A hash that changes when somebody writes into a file that is shared."""
    find = ["find", str(base / _word(ENVIRONMENTS)), "-type", "f", "-printf", r"%P %m %U %s %T@\n"]
    listed = subprocess.run(find, stdout=subprocess.PIPE, check=True).stdout
    return hashlib.sha256(b"\n".join(sorted(listed.splitlines()))).hexdigest()


def _word(path: str) -> str:
    return path.strip("/").replace("/", "-")
