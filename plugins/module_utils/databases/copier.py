"""The program that copies rows of a hub's database, as a process of the hub's own Python."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..environments.layout import python_of
from ..errors import HubError
from ..hub import logs
from ..hub_scripts import row_copier
from ..system.execution_context import ExecutionContext
from ..system.source import source_of
from . import urls


@dataclass(frozen=True)
class Copier:
    """The program `row_copier`, run by an environment's Python."""

    environment: str
    context: ExecutionContext

    def ask(
        self, secret: str, timeout: float, progress: Callable[[str], None] = lambda line: None, **request: Any
    ) -> dict[str, Any]:
        """Have it do what its ``request`` says; its answer.

        ``timeout`` is in seconds. Raises HubError with its reason, in which the URL ``secret`` is masked.
        """
        name = urls.mask(secret)
        python = python_of(Path(self.environment))
        if python is None:
            raise HubError(f"There is no Python in {self.environment}.", "Build the environment first.")
        began = time.monotonic()
        answer: dict[str, Any] = {}
        with tempfile.TemporaryFile("w+") as errors:
            process = self.context.start(
                [python, "-B", "-c", source_of(row_copier)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                outlives_us=False,
            )
            late = threading.Timer(timeout, process.kill)
            late.start()
            with process:
                try:
                    for line in _exchange(process, request):
                        answer = json.loads(line)
                        if "total" in answer:
                            progress(f"Copying rows: {answer['done']:,} of {answer['total']:,}")
                except BaseException:
                    process.kill()
                    raise
                finally:
                    late.cancel()
            errors.seek(0)
            written = errors.read()
        if process.returncode < 0:
            answer = {"error": f"it was ended after {time.monotonic() - began:.0f} s"}
        elif process.returncode:
            answer = {"error": logs.reason(written)}
        if "error" in answer:
            reason = logs.scrub(answer["error"].replace(secret, name)).rstrip(".")
            raise HubError(f"In {name}, by the Python of {self.environment}: {reason}.")
        return answer


def _exchange(process: subprocess.Popen[str], request: dict[str, Any]) -> Iterator[str]:
    """Send a request to a program, and give its answers line by line."""
    if process.stdin is None or process.stdout is None:
        raise AssertionError("The program has no pipes.")
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.close()
    yield from process.stdout
