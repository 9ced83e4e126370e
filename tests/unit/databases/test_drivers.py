"""Which package SQLAlchemy needs for a URL, and whether an environment has it."""

from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.drivers import (
    drivers_of,
    missing_drivers,
)

OLD, NEW = "2.0.58", "2.1.9"


@pytest.mark.parametrize(
    ("url", "sqlalchemy", "requirements"),
    [
        ("sqlite:///jupyterhub.sqlite", NEW, []),
        ("jupyterhub.sqlite", "", []),
        ("postgresql://hub:***@db/hub", "1.4.54", ["psycopg2-binary"]),
        ("postgresql://hub:***@db/hub", OLD, ["psycopg2-binary"]),
        ("postgresql://hub:***@db/hub", "2.1.0b1", ["psycopg[binary]"]),
        ("postgresql://hub:***@db/hub", NEW, ["psycopg[binary]"]),
        ("postgresql://hub:***@db/hub", "", ["psycopg2-binary", "psycopg[binary]"]),
        ("postgresql+psycopg2://hub@/hub?host=/run/postgresql", NEW, ["psycopg2-binary"]),
        ("postgresql+psycopg://hub@/hub", OLD, ["psycopg[binary]"]),
        ("postgresql+pg8000://hub@/hub", OLD, []),
        ("mysql://hub:***@db/hub", OLD, ["mysqlclient"]),
        ("mysql://hub:***@db/hub", NEW, ["mysqlclient"]),
        ("mysql+mysqldb://hub:***@db/hub", NEW, ["mysqlclient"]),
        ("mysql+pymysql://hub:***@db/hub?charset=utf8mb4", NEW, ["PyMySQL"]),
        ("mariadb+pymysql://hub:***@db/hub", "", ["PyMySQL"]),
        ("mariadb+mariadbconnector://hub:***@db/hub", OLD, ["mariadb"]),
        ("mysql+mysqlconnector://hub:***@db/hub", OLD, ["mysql-connector-python"]),
        ("oracle://hub:***@db/hub", OLD, []),
    ],
)
def test_the_driver_follows_from_the_url_and_sqlalchemy(
    url: str, sqlalchemy: str, requirements: list[str]
) -> None:
    assert [driver.requirement for driver in drivers_of(url, sqlalchemy)] == requirements


@pytest.mark.parametrize(
    ("packages", "requirements"),
    [
        ({"sqlalchemy": OLD, "psycopg2": "2.9.9"}, []),
        ({"sqlalchemy": OLD, "psycopg2-binary": "2.9.9"}, []),
        ({"sqlalchemy": OLD, "psycopg": "3.2"}, ["psycopg2-binary"]),
        ({"sqlalchemy": NEW, "psycopg2-binary": "2.9.9"}, ["psycopg[binary]"]),
        ({"sqlalchemy": NEW, "psycopg": "3.2"}, []),
        ({"psycopg2": "2.9.9"}, ["psycopg[binary]"]),
    ],
)
def test_a_driver_that_is_there_is_not_missing(packages: dict[str, str], requirements: list[str]) -> None:
    assert [driver.requirement for driver in missing_drivers("postgresql://db/hub", packages)] == requirements
