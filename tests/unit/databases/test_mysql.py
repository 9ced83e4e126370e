"""MySQL and MariaDB without a server: what is said to clients, and how their answers and dumps are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import (
    mysql_clients,
    mysql_dumps,
    mysql_option_files,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import mysql_statements as sql
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import Access, DatabaseConfig
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.base import Contents
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.mysql_database import MysqlDatabase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import (
    ExecutionContext,
)

#: Every character that means something to a URL, an option file, a shell or SQL.
PASSWORD = "@:/%?#&+=;,!~^*()[]{}<>|$`'\"\\ \t é"


def context(folder: Path) -> ExecutionContext:
    return ExecutionContext("hub", 1, 1, (), str(folder), str(folder), {"HOME": str(folder), "PATH": "/bin"})


def access(folder: Path, url: str, **connect_args: Any) -> Access:
    return MysqlDatabase.access_of(DatabaseConfig(url, connect_args), context(folder), "2.0.58")


def program(folder: Path, name: str, prints: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{prints}'\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("value", [PASSWORD, " a ", "#a", "a#b", '"a"', "'a'", "\\n", "a\\", "[client]", "é"])
def test_an_option_file_keeps_any_value(tmp_path: Path, value: str) -> None:
    (tmp_path / "my.cnf").write_bytes(mysql_option_files.content({"password": value.encode(), "ssl": b""}))
    assert mysql_option_files.read(tmp_path / "my.cnf", ["client"]) == {"password": value, "ssl": ""}


def test_an_option_file_as_people_write_it(tmp_path: Path) -> None:
    (tmp_path / "my.cnf").write_text(
        "[mysqld]\nuser=mysql\n[client]\n# a comment\nuser = hub   # trailing\nssl-ca='/etc/ca.pem'\n"
        'password="a#b\\"c"\n!include /etc/other.cnf\n[hub]\nhost=db.example.org\n'
    )
    assert mysql_option_files.read(tmp_path / "my.cnf", ["client", "hub"]) == {
        "user": "hub",
        "ssl_ca": "/etc/ca.pem",
        "password": 'a#b"c',
        "host": "db.example.org",
    }


@pytest.mark.parametrize(
    ("said", "product", "version"),
    [
        ("mariadb  Ver 15.1 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)", "MariaDB", "10.11.19"),
        ("mariadb from 11.4.2-MariaDB, client 15.2 for debian-linux-gnu (x86_64)", "MariaDB", "11.4.2"),
        ("mysql  Ver 8.0.36-0ubuntu0.22.04.1 for Linux on x86_64 ((Ubuntu))", "MySQL", "8.0.36"),
        ("mysql  Ver 14.14 Distrib 5.7.44, for Linux (x86_64) using  EditLine wrapper", "MySQL", "5.7.44"),
    ],
)
def test_clients_say_what_they_are(tmp_path: Path, said: str, product: str, version: str) -> None:
    program(tmp_path, "mariadb", said)
    found = mysql_clients.find("client", str(tmp_path))
    assert found
    assert (found.path, found.product, found.version) == (str(tmp_path / "mariadb"), product, version)


@pytest.mark.parametrize(
    ("product", "version", "too_old"),
    [
        ("MariaDB", "10.11.3", False),
        ("MariaDB", "10.6.1", False),
        ("MariaDB", "11.4.2", True),
        ("MySQL", "8.0.36", False),
    ],
)
def test_a_client_of_an_earlier_series_than_the_server(product: str, version: str, too_old: bool) -> None:
    client = mysql_clients.Client("/usr/bin/mariadb", "MariaDB", "10.11.19")
    assert client.is_too_old_for(product, version) == too_old


@pytest.mark.parametrize(
    ("url", "connect_args", "product", "wanted"),
    [
        (
            "mysql://hub:x@db.example.org:3307/hub",
            {},
            "MariaDB",
            {"host": "db.example.org", "port": "3307", "skip-ssl-verify-server-cert": ""},
        ),
        # PyMySQL takes no socket for localhost; the C library does, and so do the clients.
        ("mysql://hub@localhost/hub", {}, "MySQL", {"host": "localhost"}),
        ("mysql+pymysql://hub@localhost/hub", {}, "MySQL", {"host": "localhost", "protocol": "TCP"}),
        ("mysql+pymysql://hub@[::1]/hub", {}, "MySQL", {"host": "::1", "protocol": "TCP"}),
        (
            "mysql+pymysql://hub@/hub?unix_socket=/run/mysqld/mysqld.sock",
            {},
            "MySQL",
            {"socket": "/run/mysqld/mysqld.sock"},
        ),
        (
            "mysql+pymysql://hub@db/hub?ssl_ca=/etc/ca.pem",
            {},
            "MariaDB",
            {
                **{"host": "db", "protocol": "TCP", "ssl-ca": "/etc/ca.pem", "ssl": ""},
                "ssl-verify-server-cert": "",
            },
        ),
        # An authority among the driver's arguments verifies nothing by itself.
        (
            "mysql+pymysql://hub@db/hub",
            {"ssl_ca": "ca.pem", "ssl_cert": "hub.pem", "ssl_key": "/etc/hub.key"},
            "MySQL",
            {
                **{"host": "db", "protocol": "TCP", "ssl-mode": "REQUIRED"},
                **{"ssl-cert": "{folder}/hub.pem", "ssl-key": "/etc/hub.key"},
            },
        ),
        (
            "mysql+pymysql://hub@db/hub",
            {"ssl_ca": "ca.pem", "ssl_verify_cert": True},
            "MySQL",
            {"host": "db", "protocol": "TCP", "ssl-mode": "VERIFY_CA", "ssl-ca": "{folder}/ca.pem"},
        ),
        (
            "mysql+pymysql://hub@db/hub",
            {"ssl_disabled": True, "ssl_ca": "ca.pem"},
            "MariaDB",
            {"host": "db", "protocol": "TCP", "skip-ssl": ""},
        ),
        (
            "mysql://hub@db/hub",
            {"ssl": {"ca": "/etc/ca.pem", "check_hostname": True}},
            "MySQL",
            {"host": "db", "ssl-ca": "/etc/ca.pem", "ssl-mode": "VERIFY_IDENTITY"},
        ),
        ("mysql://hub@db/hub?ssl_mode=REQUIRED", {}, "MySQL", {"host": "db", "ssl-mode": "REQUIRED"}),
    ],
)
def test_clients_reach_the_server_as_the_driver_does(
    tmp_path: Path, url: str, connect_args: dict[str, Any], product: str, wanted: dict[str, str]
) -> None:
    found = mysql_clients.options(access(tmp_path, url, **connect_args), product)
    wanted = {name: value.replace("{folder}", str(tmp_path)) for name, value in wanted.items()}
    assert found == {"user": "hub", "default-character-set": "utf8mb4", **wanted}


def test_clients_are_in_the_groups_of_the_service_which_may_read_keys(tmp_path: Path) -> None:
    hub = ExecutionContext("root", 0, 100, (100, 4711), str(tmp_path), str(tmp_path), {"PATH": "/bin"})
    found = MysqlDatabase.access_of(DatabaseConfig("mysql+pymysql://hub@db/hub"), hub, "2.0.58").context()
    assert (found.gid, found.groups) == (100, (100, 4711))


def test_what_the_config_leaves_to_an_option_file_is_read_from_there(tmp_path: Path) -> None:
    (tmp_path / "my.cnf").write_text("[client]\nuser=hub\npassword=secret\nsocket=/run/db.sock\nssl-ca=/ca\n")
    found = access(tmp_path, "mysql:///hub?read_default_file=~/my.cnf")
    assert (found.user, found.password, found.host, found.options) == (
        *("hub", "secret", "/run/db.sock"),
        {"ssl_ca": "/ca"},
    )


def test_the_url_for_programs_has_all_that_the_config_has(tmp_path: Path) -> None:
    database = MysqlDatabase(
        access(tmp_path, "mysql+pymysql://hub:a%40b@/hub?unix_socket=/s&charset=utf8mb4"), ""
    )
    assert database.url("2.1.9") == (
        "mysql+pymysql://hub:a%40b@/hub?charset=utf8mb4"
        "&init_command=SET%20SESSION%20lock_wait_timeout%3D30&unix_socket=%2Fs"
    )


def test_a_password_is_sent_as_the_driver_sends_it(tmp_path: Path) -> None:
    assert mysql_clients.password(access(tmp_path, "mysql+pymysql://hub:%C3%A9@db/hub")) == b"\xe9"
    assert mysql_clients.password(access(tmp_path, "mysql://hub:%C3%A9@db/hub")) == b"\xc3\xa9"
    with pytest.raises(HubError, match="PyMySQL cannot send: it encodes passwords in Latin-1"):
        mysql_clients.password(access(tmp_path, "mysql+pymysql://hub:%D0%BF@db/hub"))


def test_no_password_is_shown(tmp_path: Path) -> None:
    found = access(tmp_path, "mysql://hub:secret@db/hub?ssl_key=secret")
    assert "secret" not in repr(found)


def test_rows_are_what_they_were() -> None:
    printed = b"1\ta\\tb\\nc\\\\d\\0\tNULL\n\nNULL\r\n"
    assert sql.rows(printed) == [("1", "a\tb\nc\\d\0", None), ("",), ("NULL\r",)]


@pytest.mark.parametrize(
    ("line", "database", "allowed"),
    [
        ("GRANT ALL PRIVILEGES ON `hub`.* TO `hub`@`localhost`", "hub", True),
        ("GRANT ALL PRIVILEGES ON `hub`.* TO `hub`@`localhost`", "hub_hubops_scratch", False),
        ("GRANT ALL PRIVILEGES ON `hub%`.* TO `hub`@`%` WITH GRANT OPTION", "hub_hubops_scratch", True),
        ("GRANT ALL PRIVILEGES ON `hub\\_hubops\\_%`.* TO `hub`@`%`", "hub_hubops_scratch", True),
        ("GRANT ALL PRIVILEGES ON `hub\\_hubops\\_%`.* TO `hub`@`%`", "hubxhubops_scratch", False),
        ("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`", "anything", True),
        ("GRANT SELECT, INSERT ON `hub`.* TO `hub`@`localhost`", "hub", False),
        ("GRANT ALL PRIVILEGES ON `hub`.`users` TO `hub`@`localhost`", "hub", False),
        ("GRANT USAGE ON *.* TO `hub`@`localhost` IDENTIFIED BY PASSWORD '*0'", "hub", False),
        ("GRANT ALL PRIVILEGES ON `a``b`.* TO `hub`@`localhost`", "a`b", True),
    ],
)
def test_which_databases_a_grant_is_for(line: str, database: str, allowed: bool) -> None:
    found = sql.privileges_on(database, sql.grants([(line,)]))
    assert (found >= sql.NEEDED_PRIVILEGES) == allowed


#: One row to a line, as MariaDB's program writes it, and all in one, as MySQL's does.
DUMPS = {
    "MariaDB": (
        "INSERT INTO `users` VALUES\n(1,'a),(b\\'','INSERT INTO `x` VALUES (1)'),\n(2,NULL,0x2827);\n",
        "INSERT INTO `alembic_version` VALUES\n('0eee8c825d24');\n",
    ),
    "MySQL": (
        "INSERT INTO `users` VALUES (1,'a),(b\\'','INSERT INTO `x` VALUES (1)'),(2,NULL,0x2827);\n"
        "INSERT INTO `users` (`id`, `a)``b`, `c`) VALUES (3,'','\\\\');\n",
        "INSERT INTO `alembic_version` VALUES ('0eee8c825d24');\n",
    ),
}


def dump(file: Path, inserts: str, stamp: str) -> Path:
    """A dump as `mysql_dumps.write` leaves it."""
    end = "-- Dump completed\n"
    parts = [
        f"CREATE TABLE `users` (\n  `id` int\n);\n{inserts}CREATE TABLE `no``ne` (\n  `id` int\n);\n{end}",
        end,
        f"DELIMITER ;;\nCREATE PROCEDURE `p`()\nBEGIN\nINSERT INTO `users` VALUES (9);\nEND ;;\n{end}",
        f"CREATE TABLE `alembic_version` (\n  `version_num` varchar(32)\n);\n{stamp}{end}",
    ]
    ends = [len(mysql_dumps.header([0] * 4))]
    for part in parts:
        ends.append(ends[-1] + len(part))
    file.write_text(mysql_dumps.header(ends[1:]).decode() + "".join(parts))
    return file


@pytest.mark.parametrize(("product", "users"), [("MariaDB", 2), ("MySQL", 3)])
def test_the_rows_of_a_dump_are_counted(tmp_path: Path, product: str, users: int) -> None:
    found = mysql_dumps.contents(dump(tmp_path / "dump", *DUMPS[product]))
    assert found == Contents("0eee8c825d24", {"users": users, "no`ne": 0, "alembic_version": 1})


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_dump_without_its_end_is_refused(tmp_path: Path, cut: int) -> None:
    file = dump(tmp_path / "dump", *DUMPS["MariaDB"])
    file.write_bytes(file.read_bytes()[:-cut])
    with pytest.raises(HubError, match=f"The dump {file} is not complete"):
        mysql_dumps.contents(file)


def test_what_is_no_dump_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dump").write_text("something else\n")
    with pytest.raises(HubError, match="is not complete"):
        mysql_dumps.require_whole(tmp_path / "dump")
