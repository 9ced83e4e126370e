"""How a MySQL or MariaDB server is reached, as the hub's driver reads URL, parameters and option files."""

from __future__ import annotations

from pathlib import Path

from ..errors import HubError
from ..system.execution_context import ExecutionContext
from . import mysql_option_files, mysql_tls, urls
from .access import Access, DatabaseConfig, absolute, home, variables

DIALECTS = ("mysql", "mariadb")
PYMYSQL = "pymysql"
#: Drivers that connect to "localhost" over TCP. The C library and the clients take the server's socket.
OVER_TCP = (PYMYSQL, "mysqlconnector")
#: Drivers that carry out a statement when they connect.
WITH_INIT_COMMAND = ("", "mysqldb", PYMYSQL)
#: What `Access` has fields for, as drivers name it.
NAMED = ("user", "passwd", "password", "host", "port", "db", "database", "unix_socket")


def access_of(config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str) -> Access:
    """As the driver takes it: what it is given, then the URL, then an option file that one of them names.

    Raises HubError where that file cannot be read, or the config does not tell the server.
    """
    parts = urls.parse(config.url)
    query = {name: values[-1] for name, values in parts.query.items()}
    given = dict(query)
    for name, value in config.connect_args.items():
        if isinstance(value, dict):
            given.update({f"{name}_{key}": str(each) for key, each in value.items() if each})
        else:
            given[name] = str(value or "")
    file = _option_file(given, context)
    tls = {name: value for name, value in file.items() if name.startswith("ssl_")}
    options = {**tls, **given}
    if parts.driver == PYMYSQL:
        tls = mysql_tls.of_pymysql(query, config.connect_args, tls)
        options = {**{name: word for name, word in given.items() if not name.startswith("ssl")}, **tls}
    mysql_tls.require_no_passphrase(
        options.get("ssl_key_password") or options.get("ssl_password"), options.get("ssl_key")
    )
    options.update({name: absolute(options[name], context) for name in mysql_tls.FILES if options.get(name)})

    def first(*values: str | None) -> str:
        return next((value for value in values if value), "")

    passwords = (given.get("passwd"), given.get("password"), parts.password, file.get("password"))
    sockets = (given.get("unix_socket"), file.get("socket"))
    names = (given.get("database"), given.get("db"), urls.database_name(parts, sqlalchemy))
    host = first(*sockets, given.get("host"), parts.host, file.get("host"))
    if context.container_user and (not host or (host == "localhost" and parts.driver not in OVER_TCP)):
        raise HubError(
            f"{urls.mask(config.url)} means the driver's own socket in the hub's container, which this host "
            "does not know.",
            "Name its host, or unix_socket, in c.JupyterHub.db_url, and restart the hub.",
        )
    return Access(
        dialect=parts.dialect,
        driver=parts.driver,
        user=first(given.get("user"), parts.username, file.get("user")),
        password=first(*passwords) or None,
        host=host,
        port=first(given.get("port"), parts.port, file.get("port")),
        database=first(*names, file.get("database")),
        options={
            name: value
            for name, value in options.items()
            if value and name not in NAMED and not name.startswith("read_default_")
        },
        system_user=context.user,
        directory=context.scratch_place,
        container=context.container_user,
        gid=context.gid,
        groups=context.groups,
        variables=variables(context),
    )


def url_of(access: Access, sqlalchemy: str, lock_seconds: int) -> str:
    """The URL for programs in an environment with this version of SQLAlchemy.

    A migration that waits for another session's lock fails after ``lock_seconds``, not after a day.
    """
    query = {name: [value] for name, value in access.options.items()}
    if access.driver in WITH_INIT_COMMAND:
        query.setdefault("init_command", [f"SET SESSION lock_wait_timeout={lock_seconds}"])
    host, port = access.host, access.port
    if host.startswith("/"):
        query["unix_socket"] = [host]
        host = port = ""
    parts = urls.Url(
        dialect=access.dialect,
        driver=access.driver,
        username=access.user,
        password=access.password,
        host=host,
        port=port,
        database=access.database,
        query=query,
    )
    return urls.of_server(parts, sqlalchemy)


def _option_file(given: dict[str, str], context: ExecutionContext) -> dict[str, str]:
    """What the option file says that the config names; nothing where it names none."""
    group = given.get("read_default_group", "")
    name = given.get("read_default_file") or ("~/.my.cnf" if group else "")
    if not name:
        return {}
    folder = context.inside(context.directory)
    path = home(context) / name[2:] if name.startswith("~/") else Path(folder, name)
    return mysql_option_files.read(Path(context.on_host(str(path))), ["client", group or "client"])
