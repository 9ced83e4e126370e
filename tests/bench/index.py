"""What staging asks a package index for, by each hub and once for all: ``python -m tests.bench.index``.

Real hubs of 4.1.6, whose installers keep no downloads, as on hosts of their own. The index passes every
request on, and counts.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.hubs.fleet_of_hubs import NO_CACHE, fleet_of_hubs

ALONE = {"jupyterhub_wheels": "", "jupyterhub_wheelhouse": ""}


def main() -> None:
    """Stage fleets, and print what was asked for."""
    print("| hubs | packages are downloaded | requests | MB | wheels |\n|---|---|---|---|---|")
    # How many hubs may be named as arguments.
    for hubs in [int(each) for each in sys.argv[1:]] or [1, 4]:
        for how, variables in (("by each hub", ALONE), ("once for all", {})):
            names = [f"hub{number}" for number in range(1, hubs + 1)]
            with tempfile.TemporaryDirectory() as folder, fleet_of_hubs(Path(folder), *names) as fleet:
                fleet.playbook("stage.yml", variables=variables, environment=NO_CACHE)
                index = fleet.index
            megabytes = index.bytes / 1_000_000
            print(
                f"| {hubs} | {how} | {len(index.answers)} | {megabytes:.1f} | {len(index.wheels)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
