"""What an upgrade has done on another host of single-user servers: kept there, in one file."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ..environments.kinds import environment_of
from ..environments.planned import PlannedEnvironment
from ..errors import HubError
from ..hub import api
from ..runs import journal
from ..shapes import from_dict, to_dict
from ..system import files, state

#: The state folder of such a host, which has servers of one hub.
NAME = "singleuser"
#: The new environments are in place, and the hub is between its versions.
SWITCHED = "switched"
#: They are in place for good.
KEPT = "kept"
#: The old environments are in place.
RESTORED = "restored"

FORMAT = 1


@dataclass(frozen=True)
class Record:
    """The last exchange of this host's environments; times in seconds."""

    hub: str
    """The hub, by its name in the inventory."""
    recovery_point: str
    """Id of the hub's recovery point, which is part of the old environments' names."""
    from_version: str
    to_version: str
    hub_urls: tuple[str, ...]
    """Addresses of the hub's API."""
    patience: float
    """For how long nothing may be heard of the upgrade until the guard looks what has become of the hub."""
    environments: tuple[PlannedEnvironment, ...]
    reaches_hub: bool = False
    """Whether the hub answered this host before the exchange."""
    boot: str = ""
    since: float = 0.0
    """When the exchange began, since the ``boot``."""
    phase: str = SWITCHED
    at: str = ""
    """When the phase began."""
    earlier: Record | None = None
    """That of the upgrade before, whose old environments go when this one is kept."""
    format: int = FORMAT

    @property
    def kept_paths(self) -> tuple[str, ...]:
        """Where the old environments are after the exchange."""
        return tuple(
            environment_of(each.kind, each.path).kept_name(self.recovery_point) for each in self.environments
        )

    def hub_version(self) -> str | None:
        """The version that the hub runs; None where it does not answer."""
        return next((found for found in map(api.version, self.hub_urls) if found is not None), None)


def read(folder: Path) -> Record | None:
    """The record of this host; None where there is none. Raises HubError when it cannot be read."""
    file = _file(folder)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HubError(
            f"{file} cannot be read: {error}.", "If no upgrade is under way, remove it."
        ) from error
    if found.get("format") != FORMAT:
        raise HubError(
            f"{file} has format {found.get('format')}, this collection knows {FORMAT}.",
            "Use the collection's version that has written it.",
        )
    return from_dict(Record, found)


def write(folder: Path, record: Record, phase: str) -> Record:
    """Write the record, durably, as of this phase."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    written = replace(record, phase=phase, at=now)
    state.make_private(folder)
    files.write(_file(folder), (json.dumps(to_dict(written), indent=2) + "\n").encode())
    return written


def _file(folder: Path) -> Path:
    return folder / "environments.json"


def present(record: Record) -> Record:
    """The record with the time of now, counted from the boot."""
    return replace(record, boot=journal.boot(), since=journal.now())
