"""How long many environments take, beside pip in a loop: ``python -m tests.bench.environments [COUNT ...]``.

A real hub of this machine, and that many environments of 4.1.6 for its users. `stage.yml` makes all the new
ones in one run: what an upgrade then has left of them is an exchange. The loop is `ansible.builtin.pip` over
such environments, of which no more than `LOOP` are upgraded, for each takes as long as the next. Both have
warm caches and compile bytecode.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.hubs.playbook import run_playbook
from tests.hubs.real_hub import environment, link_environment, running_hub

OLD, NEW = "4.1.6", "5.4.6"
PEOPLE = ("jupyter-server", "pip")
COUNTS = (20, 200)
LOOP = 10
WANTED = 0.2
LOOPED = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Upgrade each environment
      ansible.builtin.pip:
        name: jupyterhub=={version}
        virtualenv: "{{{{ item }}}}"
      loop: {environments}
"""


def main() -> None:
    """Measure both, and print a table."""
    counts = [int(each) for each in sys.argv[1:]] or COUNTS
    print("| environments | loop with pip, s each | MB each | `stage.yml`, s | s each | MB each | ratio |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="hubops-bench-") as folder:
        # Once for nothing: both have what they download, in caches of their own.
        for warm in (True, False):
            looped, grown = loop(Path(folder), 2 if warm else LOOP)
            for count in [1] if warm else counts:
                staged, larger = stage(Path(folder), count)
                if not warm:
                    print(
                        f"| {count} | {looped:.1f} | {grown:.0f} | {staged:.1f} | {staged / count:.2f} "
                        f"| {larger:.0f} | {staged / count / looped:.3f} |",
                        flush=True,
                    )
                    assert staged / count / looped <= WANTED or count < max(COUNTS), "slower than is wanted"


def people(folder: Path, count: int) -> list[str]:
    """Environments of users, each with scripts of its own and links to the same files."""
    source = environment(OLD, *PEOPLE)
    made = [folder / f"user{number:03}" for number in range(count)]
    for path in made:
        link_environment(OLD, path, *PEOPLE)
        for script in (path / "bin").iterdir():
            if not script.is_symlink() and str(source).encode() in (text := script.read_bytes()):
                script.unlink()
                script.write_bytes(text.replace(str(source).encode(), str(path).encode()))
                script.chmod(0o755)
    return [str(path) for path in made]


def megabytes(folder: Path) -> float:
    """What a folder takes on the disk, a file with several names once."""
    return int(subprocess.check_output(["du", "-s", "--block-size=1", folder]).split()[0]) / 1_000_000


def loop(folder: Path, count: int) -> tuple[float, float]:
    """Seconds, and megabytes, for each environment that a loop with pip upgrades."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        environments, play = people(Path(place), count), folder / "loop.yml"
        play.write_text(LOOPED.format(version=NEW, environments=environments))
        before, began = megabytes(Path(place)), time.monotonic()
        # `run_playbook` takes it by its path, which is absolute.
        done = run_playbook(str(play), folder, {})
        seconds = time.monotonic() - began
        assert done.returncode == 0, done.stdout + done.stderr
        # Files that were shared before are written anew: so each environment has all that is new in it.
        return seconds / count, (megabytes(Path(place)) - before) / count


def stage(folder: Path, count: int) -> tuple[float, float]:
    """Seconds of `stage.yml` for a hub with that many environments; megabytes beside each of them."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        users, home = Path(place, "users"), Path(place, "hub")
        for made in (users, home):
            made.mkdir()
        people(users, count)
        shutil.rmtree(folder / "state", ignore_errors=True)
        with running_hub(OLD, home, place=link_environment(OLD, home / "environment")) as found:
            wanted = {
                "jupyterhub_service": found.name,
                "jupyterhub_version": NEW,
                "jupyterhub_user_environments": [f"{users}/user???"],
            }
            before, began = megabytes(users), time.monotonic()
            done = run_playbook("stage.yml", folder, wanted)
            seconds = time.monotonic() - began
        assert done.returncode == 0, done.stdout + done.stderr
        made_now = list(users.glob(f"*.staged-{NEW}/lib/python3*/site-packages/jupyterhub-{NEW}.dist-info"))
        assert len(made_now) == count, done.stdout
        return seconds, (megabytes(users) - before) / count


if __name__ == "__main__":
    main()
