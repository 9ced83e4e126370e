"""The database of a deployment, together with what is needed to reach it.

Facts hold neither passwords nor keys. Those are in the hub's config, which is loaded for them while the hub
serves, and in each recovery point, so that a restore depends on no config.
"""

from __future__ import annotations

import json
from pathlib import Path

from ..databases.access import Access, CopiesConfig, DatabaseConfig
from ..databases.base import Database
from ..databases.kinds import database_of as _database_of
from ..databases.kinds import kind_of
from ..errors import HubError
from ..services.kinds import service_of
from ..shapes import from_dict, to_dict
from ..system import files, state
from .config import load_config
from .model import Deployment

#: In the folder of a recovery point, for its owner alone.
ACCESS = "database-access.json"
#: In the state folder, for its owner alone: with whose access the database is copied.
COPIES = "database-copies.json"


def database_of(deployment: Deployment, point: Path | None = None) -> Database:
    """The deployment's database, with the access that a recovery point has kept, or the config's.

    In an outage there always is a ``point``, for loading the config takes long. Raises HubError when the
    database is of no kind that is known here, and where the config does not load.
    """
    access = None
    if kind_of(deployment.database).needs_access:
        access = _kept(point) if point else _configured(deployment)
    return _database_of(deployment.database, access)


def keep_access(deployment: Deployment, point: Path, config: DatabaseConfig | None = None) -> None:
    """Write how the database is reached into a recovery point, where its kind needs that.

    ``config`` is what the hub's config is going to say of it; what it says now, unless given.
    """
    access = _configured(deployment, config) if kind_of(deployment.database).needs_access else None
    if access:
        files.write(point / ACCESS, json.dumps(to_dict(access)).encode(), mode=0o600)


def keep_copies_config(folder: Path, config: CopiesConfig | None) -> None:
    """Write into the state folder with whose access the database is copied; without, remove what is there."""
    if config:
        state.make_private(folder)
        files.write(folder / COPIES, json.dumps(to_dict(config)).encode(), mode=0o600)
    else:
        (folder / COPIES).unlink(missing_ok=True)


def copies_config(file: Path) -> CopiesConfig | None:
    """What `keep_copies_config` has written into this file, None where it has not."""
    return from_dict(CopiesConfig, json.loads(file.read_bytes())) if file.is_file() else None


def _kept(point: Path) -> Access:
    try:
        return from_dict(Access, json.loads((point / ACCESS).read_bytes()))
    except (OSError, ValueError) as error:
        raise HubError(
            f"How the database of {point} is reached cannot be read: {error}.",
            f"Put {ACCESS} of another recovery point of this hub there.",
        ) from error


def _configured(deployment: Deployment, config: DatabaseConfig | None = None) -> Access | None:
    service = service_of(deployment.service)
    context = service.context()
    hub = deployment.hub_environment
    if config is None:
        loaded = load_config(hub, service.hub_command(), context, deployment.config.file)
        copies = copies_config(Path(deployment.database.copies_file))
        config = DatabaseConfig(loaded.db_url, loaded.db_connect_args, copies)
    return kind_of(deployment.database).access_of(config, context, hub.packages.get("sqlalchemy", ""))
