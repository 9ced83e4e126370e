"""Every supported ansible-core: ``python -m tests.cores [CORE ...]``.

With each of them `ansible-test sanity` and the unit tests; with the oldest and the newest a molecule scenario
as well, whose image `make images` builds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import REPOSITORY
from tests.cores import COMMUNITY, CORES, NEWEST, OLDEST, install

BUILD = REPOSITORY / "build/cores"
#: Linters look at the same files, whatever runs the playbooks.
LINTERS = ("ansible-lint", "mypy", "ruff")
SCENARIO = "systemd"


@dataclass(frozen=True)
class Part:
    """A command that is run with the programs of an ansible-core."""

    core: str
    name: str
    command: tuple[str, ...]
    programs: Path

    def passes(self) -> bool:
        """Run it; its output is in a file, and shown as well when it fails."""
        log = BUILD / f"{self.core}-{self.name}.log"
        path = f"{self.programs}:{os.environ['PATH']}"
        with log.open("w") as output:
            done = subprocess.run(
                self.command,
                cwd=REPOSITORY,
                env={**os.environ, "PATH": path},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        if done.returncode != 0:
            print(log.read_text(errors="replace"))
        return done.returncode == 0


def parts(core: str) -> Iterator[Part]:
    """What is run with an ansible-core, which is installed first."""
    programs = install(core, BUILD / core, *requirements(core))
    yield Part(core, "sanity", ("tools/sanity", str(programs)), programs)
    unit = ("-m", "pytest", "--quiet", "--numprocesses", "auto", "--dist", "loadgroup", "tests/unit")
    yield Part(core, "unit", (f"{programs}/python", *unit), programs)
    if core in (OLDEST, NEWEST):
        command = (f"{programs}/molecule", "test", "--scenario-name", SCENARIO)
        yield Part(core, f"molecule-{SCENARIO}", command, programs)


def requirements(core: str) -> list[str]:
    """What the tests need beside ansible-core: molecule's driver is made of collections of the community."""
    lines = (REPOSITORY / "requirements-dev.txt").read_text().splitlines()
    own = [line for line in lines if not line.startswith(("#", "ansible>", *LINTERS))]
    return [*own, f"ansible=={COMMUNITY[core]}.*"]


def main() -> None:
    """Run all of it, and close with a table. Exit status 0 only when each part has passed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cores",
        description="Sanity, unit tests and a scenario with other ansible-cores.",
    )
    parser.add_argument("cores", nargs="*", metavar="CORE", help=f"of {', '.join(CORES)}; all")
    cores = parser.parse_args().cores or CORES
    unknown = [core for core in cores if core not in CORES]
    if unknown:
        parser.error(f"{', '.join(unknown)} is not supported: {', '.join(CORES)}")
    print(f"{'verdict':8} {'core':6} {'Python':6} {'part':18} seconds")
    passed = True
    for part in (each for core in cores for each in parts(core)):
        began = time.monotonic()
        passes = part.passes()
        passed = passed and passes
        seconds = time.monotonic() - began
        verdict = "passed" if passes else "FAILED"
        print(f"{verdict:8} {part.core:6} {CORES[part.core]:6} {part.name:18} {seconds:7.0f}", flush=True)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
