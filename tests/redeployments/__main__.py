"""Makes a site of QHub 0.3.14 for molecule, with its inventory: ``python -m tests.redeployments FOLDER``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.redeployments.qhub_site import RealSite


def main(folder: Path) -> None:
    """The site before its redeployment, and what a person does with its backups meanwhile."""
    site = RealSite(folder)
    site.have_programs()
    site.restore()
    (folder / "variables.json").write_text(json.dumps(site.inventory()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
