"""Drivers: the packages by which SQLAlchemy reaches a server, as URL and its version choose them."""

from __future__ import annotations

from typing import Mapping, NamedTuple

from ..releases.requirements import seems_to_satisfy
from . import urls


class Driver(NamedTuple):
    """A module that SQLAlchemy imports to reach a server."""

    module: str
    packages: tuple[str, ...]
    """All that have the module, by normalised name; one of them is enough."""
    requirement: str
    """What is installed where none of them is there."""


_PSYCOPG2 = Driver("psycopg2", ("psycopg2", "psycopg2-binary"), "psycopg2-binary")
_PSYCOPG = Driver("psycopg", ("psycopg",), "psycopg[binary]")
_MYSQLCLIENT = Driver("MySQLdb", ("mysqlclient",), "mysqlclient")
_PYMYSQL = Driver("pymysql", ("pymysql",), "PyMySQL")
_MYSQL_CONNECTOR = Driver("mysql.connector", ("mysql-connector-python",), "mysql-connector-python")
_MARIADB_CONNECTOR = Driver("mariadb", ("mariadb",), "mariadb")

#: The versions of SQLAlchemy that read ``postgresql://`` as psycopg 3 (jupyterhub 5275, 5276).
_PSYCOPG_SINCE = ">=2.1.0b1"
#: By the URL's dialect and driver; '' where it names none.
_DRIVERS = {
    "postgresql": {"psycopg2": _PSYCOPG2, "psycopg": _PSYCOPG},
    **dict.fromkeys(
        ("mysql", "mariadb"),
        {
            "": _MYSQLCLIENT,
            "mysqldb": _MYSQLCLIENT,
            "pymysql": _PYMYSQL,
            "mysqlconnector": _MYSQL_CONNECTOR,
            "mariadbconnector": _MARIADB_CONNECTOR,
        },
    ),
}


def drivers_of(url: str, sqlalchemy: str) -> list[Driver]:
    """The drivers that this version of SQLAlchemy may take for a URL, which may be masked.

    One, and none for SQLite and for what is not known here; several where ``sqlalchemy`` is '', since the
    version is not known. Raises HubError when it is no database URL.
    """
    parts = urls.parse(url)
    if (parts.dialect, parts.driver) == ("postgresql", ""):
        if not sqlalchemy:
            return [_PSYCOPG2, _PSYCOPG]
        return [_PSYCOPG if seems_to_satisfy(sqlalchemy, _PSYCOPG_SINCE, unclear=False) else _PSYCOPG2]
    driver = _DRIVERS.get(parts.dialect, {}).get(parts.driver)
    return [driver] if driver else []


def is_known(url: str) -> bool:
    """Whether a URL of a server's database names a driver that is known here, or none."""
    return bool(drivers_of(url, ""))


def missing_drivers(url: str, packages: Mapping[str, str]) -> list[Driver]:
    """Those that an environment with these packages (normalised name: version) lacks."""
    drivers = drivers_of(url, packages.get("sqlalchemy", ""))
    return [driver for driver in drivers if not packages.keys() & set(driver.packages)]
