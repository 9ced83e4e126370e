"""Steps that are killed in the middle."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.redeployments.qhub_site import RealSite


def killed_at(number: int, action: Callable[[], object]) -> bool:
    """Run it in a process that is killed before its n-th change on the disk; whether it came so far."""
    child = os.fork()
    if child == 0:
        left = number

        def counted(original: Callable[..., object]) -> Callable[..., object]:
            def instead(*args: object, **kwargs: object) -> object:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), 9)
                return original(*args, **kwargs)

            return instead

        Path.replace = counted(Path.replace)  # type: ignore[assignment,method-assign]
        subprocess.run = counted(subprocess.run)  # type: ignore[assignment]
        try:
            action()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9


def cut_off(site: RealSite, step: str) -> Iterator[int]:
    """The step is killed at each of its changes in turn."""
    number = 1
    while killed_at(number, lambda: site.take(step)):
        yield number
        number += 1
