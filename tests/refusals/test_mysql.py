"""A hub with MariaDB whose host or whose server is not ready for an upgrade."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testbed import Hub

from .refusal import refusal

NAME = "mysql+pymysql://jupyterhub:***@localhost/jupyterhub"
CLIENTS = ("/usr/bin/mariadb-dump", "/usr/bin/mysqldump")


@pytest.fixture(scope="module")
def on_mariadb() -> Iterator[Hub]:
    with Hub.start("mysql") as started:
        yield started


def sql(hub: Hub, statement: str) -> None:
    hub.exec(["mariadb", "jupyterhub", "--execute", statement])


def test_without_the_program_that_dumps(on_mariadb: Hub) -> None:
    for client in CLIENTS:
        on_mariadb.exec(["mv", client, f"{client}.away"])
    try:
        said = refusal(on_mariadb)
    finally:
        for client in CLIENTS:
            on_mariadb.exec(["mv", f"{client}.away", client])
    assert "MariaDB's mariadb-dump are not on this host." in said
    assert "Install the package mariadb-client." in said


def test_a_user_that_may_not_do_what_a_restore_takes(on_mariadb: Hub) -> None:
    sql(
        on_mariadb,
        "REVOKE TRIGGER ON jupyterhub.* FROM jupyterhub@localhost; "
        "REVOKE ALL ON `jupyterhub\\_hubops\\_%`.* FROM jupyterhub@localhost",
    )
    try:
        said = refusal(on_mariadb)
    finally:
        sql(
            on_mariadb,
            "GRANT TRIGGER ON jupyterhub.* TO jupyterhub@localhost; "
            "GRANT ALL ON `jupyterhub\\_hubops\\_%`.* TO jupyterhub@localhost",
        )
    assert f"The hub's user lacks privileges on {NAME}." in said
    assert "GRANT TRIGGER ON `jupyterhub`.* TO 'jupyterhub'@'localhost';" in said
    assert "GRANT ALL PRIVILEGES ON `jupyterhub\\_hubops\\_%`.* TO 'jupyterhub'@'localhost';" in said


def test_what_would_be_lost_or_is_of_no_single_moment(on_mariadb: Hub) -> None:
    sql(
        on_mariadb,
        "CREATE TABLE old_one (id INT) ENGINE = MyISAM; "
        "CREATE TRIGGER noticed AFTER INSERT ON `groups` FOR EACH ROW SET @seen = 1",
    )
    try:
        said = refusal(on_mariadb)
    finally:
        sql(on_mariadb, "DROP TABLE old_one; DROP TRIGGER noticed")
    assert f"In {NAME}: old_one (MyISAM)." in said
    assert f"In {NAME}: noticed (root@localhost)." in said
    assert "jupyterhub_accept: [database-unsafe-tables]" in said
