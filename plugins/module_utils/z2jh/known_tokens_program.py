"""Runs in the hub's pod, in the hub's own Python, handed over as text: which tokens the running hub knows.

It imports nothing of this collection. On standard input is a request in JSON: ``base_url``, and ``tokens``.
The answer is one line of JSON on standard output: for each of them ``true``, ``false``, or ``null`` where the
hub has not said.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import Any

HUB = "http://127.0.0.1:8081"
ASKING_SECONDS = 30
OK, FORBIDDEN = 200, 403


def main() -> None:
    sys.stdout.write(json.dumps(answer(json.load(sys.stdin))) + "\n")


def answer(request: dict[str, Any]) -> list[bool | None]:
    url = f"{HUB}{request['base_url'].rstrip('/')}/hub/api/user"
    return [is_known(url, token) for token in request["tokens"]]


def is_known(url: str, token: str) -> bool | None:
    """Whether the hub knows who has this token."""
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=ASKING_SECONDS) as reply:
            return True if reply.status == OK else None
    except urllib.error.HTTPError as error:
        return False if error.code == FORBIDDEN else None
    except OSError:
        return None


if __name__ == "__main__":
    main()
