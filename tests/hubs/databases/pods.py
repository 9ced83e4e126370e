"""The program for a hub's database on Kubernetes with what a pod has, without the pod."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import urls
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.server_programs import program_of

from tests.testbed.databases import Server


class Pod:
    """The server's programs, a claim, a folder for what is in between."""

    def __init__(self, server: Server, folder: Path, url: str, programs: Path | str) -> None:
        self.server, self.claim = server, folder / "claim"
        self.message = folder / "message"
        scratch = folder / "scratch"
        for each in (self.claim, scratch):
            each.mkdir()
        self.message.touch()
        self.message.chmod(0o666)
        program = program_of(url)
        assert program is not None
        parts = urls.parse(url)
        self.environment = {
            "PATH": f"{programs}:/usr/bin:/bin:/usr/sbin:/sbin",
            "HUBOPS_PROGRAM": program.text,
            "HUBOPS_CLAIM": str(self.claim),
            "HUBOPS_SCRATCH": str(scratch),
            **program.variables(parts, parts.password),
        }

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        argv = ["sh", "-c", 'eval "$HUBOPS_PROGRAM"', "hubops", *arguments]
        return subprocess.run(argv, env={**self.environment, **more}, capture_output=True, text=True)

    def back_up(self, name: str = "first") -> str:
        done = self.run("back-up", f"{self.claim}/a", name)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def restore(self) -> str:
        """What the guard reads."""
        self.run("restore", f"{self.claim}/a", HUBOPS_MESSAGE=str(self.message))
        return self.message.read_text()


@contextmanager
def pod_of(server: Server, url: str, programs: Path | str) -> Iterator[Pod]:
    """One that is gone afterwards."""
    # A socket's path has an end, which pytest's folders come near to.
    folder = Path(tempfile.mkdtemp(prefix="pod", dir="/tmp"))
    folder.chmod(0o755)
    yield Pod(server, folder, url, programs)
    shutil.rmtree(folder)
