"""The record of a redeployment: its steps, each with its evidence, in one file that outlives each run."""

from __future__ import annotations

import contextlib
import getpass
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from ..errors import HubError
from ..shapes import from_dict, to_dict
from ..system import files, state
from .versions import redeployments

FORMAT = 1
NAME = "redeployment.json"


@dataclass(frozen=True)
class Done:
    """A step that was carried out."""

    name: str
    at: str
    """When it ended, UTC."""
    by: str
    """The user of the host who ran it."""
    seconds: float
    evidence: dict[str, str]
    """What shows that it is done; what later steps compare with."""


@dataclass(frozen=True)
class Failed:
    """The last attempt of a step, which has failed; a process that was killed leaves none."""

    name: str
    at: str
    """When it ended, UTC."""
    by: str
    """The user of the host who ran it."""
    message: str
    """Why, without secrets."""


@dataclass(frozen=True)
class Redeployment:
    """The content of the file. The first fields say what was begun, and do not change."""

    format: int
    folder: str
    domain: str
    provider: str
    from_version: str
    to_version: str
    old_project: str
    steps: tuple[Done, ...] = ()
    rollback_begun: str = ""
    """When, UTC; empty where nobody has gone back."""
    destruction_begun: str = ""
    """When, UTC; the old site is no way back since."""
    rollback: tuple[Done, ...] = ()
    """The steps of the way back that were carried out."""
    failed: Failed | None = None
    """Nothing once a step was carried out after it."""

    @property
    def needs_second_site(self) -> bool:
        """Whether a version on the way cannot be deployed over the old site."""
        return bool(redeployments(self.from_version, self.to_version, self.provider))

    def done(self, name: str) -> Done | None:
        """The step of that name, where it was carried out."""
        return next((step for step in (*self.steps, *self.rollback) if step.name == name), None)

    def evidence(self, name: str) -> dict[str, str]:
        """What shows that a step is done; empty where it is not."""
        step = self.done(name)
        return step.evidence if step else {}

    def with_step(self, step: Done) -> Redeployment:
        """The same with a step, in the place of an earlier one of that name."""
        others = [each for each in self.steps if each.name != step.name]
        return replace(self, steps=(*others, step), failed=None)

    def with_failure(self, step: str, message: str) -> Redeployment:
        """The same, with an attempt that has failed."""
        return replace(self, failed=Failed(step, now(), getpass.getuser(), message))

    def with_destruction(self) -> Redeployment:
        """The same, whose old site may be gone from now on."""
        begun = self.destruction_begun or now()
        return replace(self, destruction_begun=begun)

    def with_rollback(self, *steps: Done) -> Redeployment:
        """The same with further steps of the way back, which has begun."""
        begun = self.rollback_begun or now()
        return replace(self, rollback_begun=begun, rollback=(*self.rollback, *steps), failed=None)


def now() -> str:
    """The time as the record has it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def read(folder: Path) -> Redeployment | None:
    """The record kept in ``folder``. Raises HubError where it cannot be read."""
    path = folder / NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HubError(
            f"The record {path} cannot be read: {error}.", "Restore it from a backup of this host."
        ) from error
    if data.get("format") != FORMAT:
        raise HubError(
            f"The record {path} has format {data.get('format')!r}.", "Use the collection that wrote it."
        )
    return from_dict(Redeployment, data)


def write(folder: Path, record: Redeployment) -> None:
    """Keep the record, whole and durably."""
    files.write(folder / NAME, json.dumps(to_dict(record), indent=2).encode() + b"\n")


def put_away(folder: Path, record: Redeployment) -> None:
    """Keep the record of a redeployment that is over beside the one that is going to be written."""
    when = record.rollback_begun.replace(":", "")
    files.rename(folder / NAME, folder / f"redeployment-{when}.json")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, and be the only process that takes a step of this site."""
    state.make_private(folder)
    try:
        with files.locked_folder(folder):
            yield
    except BlockingIOError as error:
        raise HubError(
            "Another process takes a step of this redeployment.", "Wait until it has ended, and run again."
        ) from error
