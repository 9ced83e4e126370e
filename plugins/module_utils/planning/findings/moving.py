"""The move of a hub's database: the new database, and the line of the config that names it."""

from __future__ import annotations

from .finding import BLOCKER, NOTE, WARNING, Kind

MOVE_NOT_SUPPORTED = Kind(
    "move-not-supported",
    BLOCKER,
    "The new database is of no kind that the collection knows.",
    "It could be neither backed up nor restored from then on.",
    "Name another one in jupyterhub_database_url.",
)
MOVE_NOT_REACHABLE = Kind(
    "move-not-reachable",
    BLOCKER,
    "The new database cannot be opened by the hub's own Python, as the hub's user.",
    "The hub could not start with it.",
    "Compare jupyterhub_database_url with the server, and install the driver that it names in the hub's "
    "environment, such as psycopg2-binary.",
)
MOVE_NOT_EMPTY = Kind(
    "move-not-empty",
    BLOCKER,
    "The new database has tables.",
    "They may be somebody's, and nothing of them may be lost or mixed with the hub's.",
    "Name an empty one, or empty this one manually.",
)
MOVE_VIEWS = Kind(
    "move-views",
    WARNING,
    "The old database has views, which are not moved.",
    "Each database has its own language for them.",
    "Make them in the new database afterwards.",
)
MOVE_BROKEN_REFERENCES = Kind(
    "move-broken-references",
    BLOCKER,
    "Rows of the old database refer to rows that do not exist.",
    "A server refuses such rows.",
    "Remove them: `PRAGMA foreign_key_check` in sqlite3 lists them.",
)
MOVE_CONFIG_LINE = Kind(
    "move-config-line",
    BLOCKER,
    "db_url is not set at one place of the config, as a plain text.",
    "Only such a line can be changed, and put back by a restore.",
    "Follow the message.",
)
MOVE_CONFIG_NOT_WRITTEN = Kind(
    "move-config-not-written",
    BLOCKER,
    "The line that names the database may not be changed.",
    "It has to be changed within the outage, once all rows are copied.",
    "Allow it: jupyterhub_write_config: true.",
)
MOVE_CONFIG_OPEN = Kind(
    "move-config-open",
    WARNING,
    "The config may be read by everybody on the host, and the new address has a password.",
    "Whoever reads it has all of the hub's data.",
    "Take away their permission first (chmod o-r), or keep the password in ~/.pgpass of the hub's user.",
)
MOVE_LEFTOVER = Kind(
    "move-leftover",
    NOTE,
    "The new database has what an earlier move of this hub has left, which could not be removed then.",
    "It is removed before the rows are copied.",
    "Nothing.",
)
KINDS = (
    MOVE_NOT_SUPPORTED,
    MOVE_NOT_REACHABLE,
    MOVE_NOT_EMPTY,
    MOVE_LEFTOVER,
    MOVE_VIEWS,
    MOVE_BROKEN_REFERENCES,
    MOVE_CONFIG_LINE,
    MOVE_CONFIG_NOT_WRITTEN,
    MOVE_CONFIG_OPEN,
)
