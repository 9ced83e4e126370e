"""Takes a step in a process of its own: ``python -m tests.redeployments.taking SITE.json STEP KILL``.

With another ``KILL`` than 0 the process is killed before it writes the record for the n-th time: what it has
done is not noted.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import record, redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Site
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict


def killed_before_record(number: int) -> None:
    """Have this process killed before the record is written for the n-th time."""
    write, left = record.write, number

    def counted(folder: Path, content: record.Redeployment) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
        write(folder, content)

    record.write = counted  # type: ignore[assignment]


def main(file: Path, step: str, kill: int) -> None:
    """Print what became of the step."""
    site = from_dict(Site, json.loads(file.read_text()))
    killed_before_record(kill)
    try:
        print(redeployment.take(site, step).message)
    except HubError as error:
        print(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
