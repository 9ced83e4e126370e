"""What a person sees while the demo runs: steps with their seconds, and tables."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SECONDS_BETWEEN_SIGNS_OF_LIFE = 10
WIDTH = 64


class StepFailed(Exception):
    """A command of a step has failed; its output is in `log`, None when it was on the screen already."""

    def __init__(self, message: str, log: Path | None) -> None:
        super().__init__(message)
        self.log = log


class Step:
    """One line on the screen and one log file."""

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        self.log = log
        self.environment = environment

    def write(self, text: str) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(text.rstrip("\n") + "\n")

    def run(self, command: Sequence[str | Path], folder: Path | None = None) -> None:
        """Runs a command with its output in the log; raises StepFailed."""
        self.write("$ " + " ".join(map(str, command)))
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                list(command), cwd=folder, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
            code = process.wait()
        if code:
            raise StepFailed(f"{Path(command[0]).name} ended with exit status {code}", self.log)

    def show(self, command: Sequence[str | Path], folder: Path) -> None:
        """Runs a command with its output on the screen as it comes, and in the log; raises StepFailed."""
        self.write("$ " + " ".join(map(str, command)))
        process = subprocess.Popen(
            list(command), cwd=folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None
        with self.log.open("ab") as log:
            while piece := os.read(process.stdout.fileno(), 65536):
                sys.stdout.buffer.write(piece)
                sys.stdout.flush()
                log.write(piece)
        if process.wait():
            raise StepFailed(f"{Path(command[0]).name} ended with exit status {process.returncode}", None)


class Screen:
    """Knows when the story began, and where its logs are."""

    def __init__(self, logs: Path, environment: dict[str, str]) -> None:
        self.logs = logs
        self.environment = environment
        self.terminal = sys.stdout.isatty()
        self._began = time.monotonic()
        self._steps = 0

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def say(self, text: str = "") -> None:
        print(text, flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A step of which only a line shows: when it began, what it is, how long it took."""
        began = time.monotonic()
        line = f"[{self.seconds():5.1f} s] {title} ".ljust(WIDTH, ".")
        if not self.terminal:
            self.say(line.rstrip(". ") + " ...")
        over = threading.Event()
        ticking = threading.Thread(target=self._tick, args=(line, began, over), daemon=True)
        ticking.start()
        result = "failed after"
        try:
            yield self._new_step(title)
            result = ""
        finally:
            over.set()
            ticking.join()
            start = "\r\033[K" if self.terminal else ""
            self.say(f"{start}{line} {result}{time.monotonic() - began:5.1f} s")

    @contextmanager
    def stage(self, title: str) -> Iterator[Step]:
        """A step whose commands show for themselves."""
        began = time.monotonic()
        self.say(f"[{self.seconds():5.1f} s] {title}\n")
        yield self._new_step(title)
        self.say(f"[{self.seconds():5.1f} s] done in {time.monotonic() - began:.1f} s\n")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
        for row in [headings, ["-" * width for width in widths], *rows]:
            self.say("    " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())

    def _new_step(self, title: str) -> Step:
        self._steps += 1
        name = "".join(letter if letter.isalnum() else "-" for letter in title.lower()).strip("-")
        return Step(self.logs / f"{self._steps:02d}-{name}.log", self.environment)

    def _tick(self, line: str, began: float, over: threading.Event) -> None:
        while not over.wait(1 if self.terminal else SECONDS_BETWEEN_SIGNS_OF_LIFE):
            seconds = time.monotonic() - began
            if self.terminal:
                print(f"\r{line} {seconds:5.0f} s", end="", flush=True)
            else:
                self.say(f"          still at it after {seconds:.0f} s")
