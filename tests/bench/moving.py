"""How long a hub's database takes to be moved to a server, and with how much memory.

``python -m tests.bench.moving`` fills a hub's SQLite with API tokens, moves it to a server of each kind by
the programs of `move_database`, prints the figures, and writes ``build/moving.json``. The memory is that of
the largest of these programs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.moving import Target

from tests.hubs.databases.servers import KINDS, SQLALCHEMY, empty_place
from tests.hubs.real_hub import environment, fill_database

from .databases import EXPRESSIONS, FILL, HUB

RESULT = Path(__file__).resolve().parents[2] / "build" / "moving.json"
LIMIT_SECONDS = 3600.0
#: However many rows there are: the hub's Python with its modules has about 90.
LIMIT_MEGABYTES = 250


def measure(name: str, folder: Path, tokens: int) -> dict[str, Any]:
    """Rows, seconds, and the memory of the programs that move them."""
    kind, file = KINDS[name], folder / "jupyterhub.sqlite"
    hub = environment(HUB, *kind.packages)
    fill_database(hub, f"sqlite:///{file}")
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(FILL.format(count=tokens, **EXPRESSIONS["sqlite"]))
    with kind.start() as server:
        place = empty_place(server, kind, folder)
        url = place.database().url(SQLALCHEMY)
        copied = Target(url, "bench", str(hub), place.context).fill(f"sqlite:///{file}", LIMIT_SECONDS)
    rows = sum(copied.rows.values())
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return {
        "rows": rows,
        "file_megabytes": file.stat().st_size // 10**6,
        "copy_seconds": round(copied.copy_seconds, 1),
        "rows_a_second": round(rows / copied.copy_seconds),
        "compare_seconds": round(copied.compare_seconds, 1),
        "memory_megabytes": megabytes,
        "reached": rows >= tokens and megabytes <= LIMIT_MEGABYTES,
    }


def main() -> int:
    """Measure each kind that is asked for; exit status 0 when each has all rows, with little memory."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.moving", description=__doc__)
    arguments.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (all)")
    arguments.add_argument("--tokens", type=int, default=1_000_000, help="how many there are (1,000,000)")
    options = arguments.parse_args()
    if unknown := set(options.kinds) - set(KINDS):
        arguments.error(f"no such kind: {', '.join(sorted(unknown))}")
    found = {}
    for name in options.kinds or KINDS:
        with tempfile.TemporaryDirectory(prefix="hubops-bench-") as path:
            found[name] = measure(name, Path(path), options.tokens)
        print(f"{name:<14} {json.dumps(found[name])}", flush=True)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if all(one["reached"] for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
