"""A database that a server has: whether this host and the hub's role can do all that an upgrade needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator

from ...databases import drivers
from ..upgrade import END, Upgrade
from .finding import BLOCKER, NOTE, WARNING, Finding, Kind, listing

DATABASE_CLIENTS_MISSING = Kind(
    "database-clients-missing",
    BLOCKER,
    "The client programs of the database's server are not on this host.",
    "The database cannot be backed up, and the guard could not restore it.",
    "Install the package that the message names.",
)
DATABASE_CLIENTS_TOO_OLD = Kind(
    "database-clients-too-old",
    BLOCKER,
    "The client programs on this host are older than the database's server, which they refuse to dump.",
    "The database cannot be backed up.",
    "Install the package that the message names.",
)
DATABASE_NO_COPIES = Kind(
    "database-no-copies",
    BLOCKER,
    "The hub's role may not make a database for a copy, and no administrator has made one.",
    "Neither the migration nor the restore can be tried before the outage.",
    "Run the statement of the message as an administrator of the server, once.",
)
DATABASE_FOREIGN_TABLES = Kind(
    "database-foreign-tables",
    BLOCKER,
    "Tables of the hub belong to another role than the hub's.",
    "Only a table's owner can change it, so the migration would fail.",
    "Give them to the hub's role: ALTER TABLE ... OWNER TO ...",
)
DATABASE_FOREIGN_TRIGGERS = Kind(
    "database-foreign-triggers",
    BLOCKER,
    "Other users than the hub's have defined triggers on its tables.",
    "A restore makes the tables again, and the hub's user may not make these triggers again.",
    "Drop them for the upgrade, or make them again with the hub's user as DEFINER.",
)
DATABASE_NO_RESTORE = Kind(
    "database-no-restore",
    BLOCKER,
    "The hub's user may not do all that a dump and a restore of its database take.",
    "What it may not see is not in a dump, and would be lost by a restore.",
    "Run the statement of the message as an administrator of the server, once.",
)
DATABASE_UNSAFE_TABLES = Kind(
    "database-unsafe-tables",
    BLOCKER,
    "Tables of the hub have an engine without transactions.",
    "A backup that is made while the hub writes would be of no single moment.",
    "Convert them: ALTER TABLE ... ENGINE=InnoDB.",
    accept=True,
)
DATABASE_SESSIONS = Kind(
    "database-sessions",
    BLOCKER,
    "Other programs than the hub are connected to its database.",
    "One that is in a transaction makes the migration wait, and fail. While one is connected, the server "
    "cannot copy the database: a dump is made and restored, which takes longer.",
    "End them, or have them ended in the outage: jupyterhub_database_sessions: end.",
    accept=True,
)
DATABASE_VIEWS = Kind(
    "database-views",
    NOTE,
    "Views read tables of the hub.",
    "A migration that changes a column of theirs fails; the rehearsal shows it, for its copy has them.",
    "Nothing, unless the rehearsal fails: drop the view before the upgrade then, and make it again later.",
)
DATABASE_DUMPED = Kind(
    "database-dumped",
    NOTE,
    "The database is backed up in the outage, and restored, by a dump.",
    "The hub's role may not have the server copy the database, which takes less time.",
    "Nothing; or have the hub's role own the database, with CREATEDB.",
)
DATABASE_DRIVER = Kind(
    "database-driver",
    NOTE,
    "The new environment would lack the driver of the hub's database, so it gets it.",
    "The driver that db_url stands for depends on SQLAlchemy: postgresql:// is psycopg from 2.1 on, and was "
    "psycopg2. Without its driver the new hub does not start.",
    "Nothing. To keep a driver, name it in db_url, as in postgresql+psycopg2://.",
)
DATABASE_DRIVER_UNKNOWN = Kind(
    "database-driver-unknown",
    BLOCKER,
    "The URL of the database names a driver that was never tried.",
    "The migration and the verification use the same driver as the hub.",
    "Name one of the tested drivers in db_url.",
    accept=True,
)
KINDS = (
    DATABASE_CLIENTS_MISSING,
    DATABASE_CLIENTS_TOO_OLD,
    DATABASE_NO_COPIES,
    DATABASE_FOREIGN_TABLES,
    DATABASE_FOREIGN_TRIGGERS,
    DATABASE_NO_RESTORE,
    DATABASE_UNSAFE_TABLES,
    DATABASE_SESSIONS,
    DATABASE_VIEWS,
    DATABASE_DUMPED,
    DATABASE_DRIVER,
    DATABASE_DRIVER_UNKNOWN,
)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What is in the way of an upgrade at the server, or on the way to it."""
    database = upgrade.deployment.database
    server = database.server
    if server is None:
        return
    missing = [program for program, version in server.clients.items() if not version]
    if missing:
        yield DATABASE_CLIENTS_MISSING.found(
            f"{server.product}'s {', '.join(missing)} are not on this host.",
            f"Install the package {server.package}.",
        )
    if server.clients_too_old:
        yield DATABASE_CLIENTS_TOO_OLD.found(
            f"The server of {database.name} has version {server.version}, the clients of this host have "
            f"{max(server.clients.values())}.",
            f"Install the package {server.package}.",
        )
    if server.no_copies:
        yield DATABASE_NO_COPIES.found(
            f"The hub's role may not make databases, so {database.name} cannot be copied.",
            f"As an administrator of the server: {server.no_copies} Or name a database for copies, "
            "or a role that makes it, in jupyterhub_scratch_database_url or jupyterhub_database_admin_url.",
        )
    if server.foreign_tables:
        yield DATABASE_FOREIGN_TABLES.found(f"In {database.name}: {listing(server.foreign_tables)}.")
    if server.foreign_triggers:
        yield DATABASE_FOREIGN_TRIGGERS.found(f"In {database.name}: {listing(server.foreign_triggers)}.")
    if server.no_restore:
        yield DATABASE_NO_RESTORE.found(
            f"The hub's user lacks privileges on {database.name}.",
            f"As an administrator of the server: {server.no_restore}",
        )
    if server.unsafe_tables:
        tables = [f"{table} ({engine})" for table, engine in sorted(server.unsafe_tables.items())]
        yield DATABASE_UNSAFE_TABLES.found(f"In {database.name}: {listing(tables)}.")
    if server.sessions:
        found = f"Connected to {database.name}: {listing([f'({each})' for each in server.sessions])}."
        if upgrade.policy.database_sessions != END:
            yield DATABASE_SESSIONS.found(found)
        elif server.may_end_sessions:
            ended = DATABASE_SESSIONS.found(
                f"{found} They are ended in the outage.", "Nothing is to be done."
            )
            yield replace(ended, severity=WARNING)
        else:
            yield DATABASE_SESSIONS.found(
                f"{found} The hub's role may not end them.",
                "Name a role that may in jupyterhub_database_admin_url, or grant the hub's that right.",
            )
    if server.views:
        yield DATABASE_VIEWS.found(f"In {database.name}: {listing(server.views)}.")
    if server.version and server.by_copy is False:
        yield DATABASE_DUMPED.found(f"{database.name} is backed up by a dump.")
    yield from _driver(upgrade)


def _driver(upgrade: Upgrade) -> Iterator[Finding]:
    database = upgrade.deployment.database
    if not drivers.is_known(database.url):
        yield DATABASE_DRIVER_UNKNOWN.found(f"{database.name} is reached with the driver {database.driver}.")
    hub = upgrade.deployment.hub_environment.path.rstrip("/")
    if hub in {environment.path for environment in upgrade.environments}:
        for driver in upgrade.added_drivers:
            yield DATABASE_DRIVER.found(f"{driver.requirement} is added to {hub}, for {database.url}.")
