"""Access: what programs need to reach a database that a server has."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import HubError
from ..system.container_network import network_context
from ..system.execution_context import ContainerUser, ExecutionContext, account


@dataclass(frozen=True)
class CopiesConfig:
    """With whose access a server's database is copied, where the hub's role may not make databases."""

    scratch_url: str = field(default="", repr=False)
    """Of a database that is there for copies alone."""
    admin_url: str = field(default="", repr=False)
    """Of a role that may make databases, on the hub's server."""


@dataclass(frozen=True)
class DatabaseConfig:
    """What a hub's config says of its database; may hold passwords, so ``repr`` shows nothing."""

    url: str = field(repr=False)
    connect_args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """``connect_args`` of ``JupyterHub.db_kwargs``."""
    copies: CopiesConfig | None = field(default=None, repr=False)
    """What the administrator says of copies."""


@dataclass(frozen=True)
class Access:
    """Server, database and credentials, wherever the hub has them from: everything is known here.

    It is kept in the files of recovery points, open to their owner alone, and nowhere else.
    """

    dialect: str
    """As the config's URL begins."""
    driver: str
    """``psycopg``, ``pymysql``; '' where SQLAlchemy chooses."""
    user: str
    password: str | None = field(repr=False)
    host: str
    """A name, an address, the folder or the file of a socket; '' for the clients' own default."""
    port: str
    database: str
    options: dict[str, str] = field(repr=False)
    """Further parameters of a connection, TLS for instance, under the names that they have in the URL."""
    system_user: str
    """The hub's: whom a server recognizes at its socket, and who may read certificates."""
    directory: str
    """The hub's working directory; of a container a folder of the host that the hub finds there, too."""
    variables: dict[str, str] = field(repr=False)
    """The hub's environment variables that clients read."""
    scratch: Access | None = field(default=None, repr=False)
    """A database for copies that an administrator has made, and that is only emptied."""
    maker: Access | None = field(default=None, repr=False)
    """Of a role that makes and removes the database for copies; None where the hub's own does."""

    container: ContainerUser | None = None
    """The container from whose network the server is reached; None where the hub runs on the host."""
    gid: int | None = None
    """The hub's group; None for that of its account."""
    groups: tuple[int, ...] = ()
    """All groups of the hub, which may read keys, where ``gid`` is known."""

    def context(self) -> ExecutionContext:
        """How clients are run: as the hub's user. Raises HubError where that, or its container, is gone."""
        if self.container:
            return network_context(self.container, self.variables)
        own = account(self.system_user).context("/", dict(self.variables))
        return own if self.gid is None else replace(own, gid=self.gid, groups=self.groups)

    def explained(self, error: HubError, files: Iterable[str]) -> HubError:
        """Why there is no connection: a file that one of the options ``files`` names and the hub cannot read.

        It has been there when the hub connected; else it is what the clients say themselves.
        """
        for name in files:
            try:
                context = self.context()
                path = context.on_host(self.options.get(name, ""))
                found = context.run(["/bin/sh", "-c", '[ -r "$0" ]', path])
            except HubError:
                # What keeps programs from running is the error already.
                return error
            if not os.path.isabs(path) or not found.returncode:
                continue
            lack = "cannot be read by the hub's user" if os.path.exists(path) else "does not exist"
            return HubError(
                f"{self.options[name]}, the {name} of the hub's database, {lack}, so that the hub could not "
                f"connect again. {error.message}",
                "Put the file there, or correct its name, or its permissions and those of its folders.",
            )
        return error


def variables(context: ExecutionContext, *prefixes: str) -> dict[str, str]:
    """The variables of the hub that clients read: those that begin so, and where programs and files are."""
    names = ("HOME", "PATH", "TMPDIR")
    return {
        name: value
        for name, value in context.environment.items()
        if name in names or name.startswith(prefixes)
    }


def absolute(path: str, context: ExecutionContext) -> str:
    """What the hub takes a path for: relative ones begin at its working directory."""
    return os.path.join(context.inside(context.directory), path)


def home(context: ExecutionContext) -> Path:
    """Where clients look for their files of the hub's user."""
    return Path(context.environment.get("HOME") or context.home)
