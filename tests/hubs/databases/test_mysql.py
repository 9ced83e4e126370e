"""MariaDB as the hub's database: a real server, real hubs, and the way back to every byte of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import (
    migration,
    mysql_database,
    mysql_dumps,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import (
    CopiesConfig,
    DatabaseConfig,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.base import NOTHING
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.facts import (
    DatabaseBackup,
    DatabaseFacts,
    ServerFacts,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import find_database
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.mysql_database import MysqlDatabase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle, verification
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.database import database_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import (
    ExecutionContext,
    account,
)

from tests import REPOSITORY
from tests.hubs.real_hub import environment, fill_database, supervised
from tests.testbed.databases.mysql import Mysql, mysql

OLD, NEW = "4.1.6", "6.1.1"
HEADS = {OLD: "0eee8c825d24", NEW: "f460b0348206"}
DRIVER = "PyMySQL"
#: As bad as PyMySQL can send it.
PASSWORD = "p@:/%?#&+'\"\\ `$é"

#: What a site adds to the hub's database: an older table, texts with all that SQL gives a meaning, code.
SITE = r"""
ALTER TABLE `groups` CONVERT TO CHARACTER SET latin1, ROW_FORMAT = COMPACT;
CREATE TABLE `site's ``own``` (
    id INT AUTO_INCREMENT PRIMARY KEY, text LONGTEXT, bytes BLOB, `when` TIMESTAMP(6) NULL, number DOUBLE,
    doubled INT GENERATED ALWAYS AS (number * 2) STORED,
    note VARCHAR(20) COMMENT 'it''s a \n note', KEY (note)
) AUTO_INCREMENT = 1000 CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT = 'a ; b';
INSERT INTO `site's ``own``` (text, bytes, `when`, number, note) VALUES
    ('a\r\nb\tc\\d''e"f%_', X'00FF270A5C', '2026-03-29 01:30:00.123456', 0.1, 'é'),
    ('),(', '', NULL, 1e300, NULL), (NULL, NULL, '1970-01-01 00:00:01', -0.0, 'NULL'),
    ('😀 \0 \Z', X'2829', NULL, NULL, '');
CREATE TABLE audit (name VARCHAR(255)) ENGINE = InnoDB;
CREATE VIEW of_root AS SELECT name FROM users WHERE admin;
CREATE DEFINER = hub@localhost VIEW people AS SELECT u.name, COUNT(*) AS tokens FROM users u
    JOIN api_tokens t ON t.user_id = u.id GROUP BY u.name;
CREATE DEFINER = hub@localhost TRIGGER noticed AFTER INSERT ON users FOR EACH ROW
    INSERT INTO hub_db.audit VALUES (NEW.name);
DELIMITER ;;
CREATE DEFINER = hub@localhost PROCEDURE greet(IN who TEXT) COMMENT 'says'
BEGIN
    /* ; 'odd */
    SELECT CONCAT('hello ', who);
    INSERT INTO `users` VALUES (1);
END ;;
DELIMITER ;
CREATE DEFINER = hub@localhost EVENT nightly ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM audit;
CREATE USER reader@localhost;
GRANT SELECT ON users TO reader@localhost;
GRANT SELECT (name), UPDATE (name) ON spawners TO reader@localhost;
GRANT EXECUTE ON PROCEDURE greet TO reader@localhost;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Mysql]:
    """With a mode and a character set that no hub would choose."""
    with mysql("--sql-mode=NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT", "--character-set-server=utf8mb4") as found:
        found.make_role("hub", PASSWORD)
        yield found


@pytest.fixture
def hub(server: Mysql, tmp_path: Path) -> Iterator[MysqlDatabase]:
    """A hub's database, with five users."""
    server.make_database("hub_db", "hub")
    try:
        fill_database(environment(OLD, DRIVER), server.url("hub", PASSWORD, "hub_db"))
        yield at(server, tmp_path)
    finally:
        scratch = "DROP DATABASE IF EXISTS hub_db_hubops_scratch; DROP USER IF EXISTS reader@localhost;"
        server.sql(f"DROP DATABASE hub_db; {scratch}")


def context_in(folder: Path, path: str = "") -> ExecutionContext:
    variables = {"PATH": path or os.environ["PATH"], "HOME": str(folder)}
    return replace(account(str(os.geteuid())).context(str(folder), variables), home=str(folder))


def config(server: Mysql, password: str = PASSWORD, name: str = "hub_db", query: str = "") -> DatabaseConfig:
    return DatabaseConfig(server.url("hub", password, name, query))


def at(server: Mysql, folder: Path, path: str = "", **changes: Any) -> MysqlDatabase:
    access = MysqlDatabase.access_of(config(server, **changes), context_in(folder, path), "2.0.58")
    return MysqlDatabase(access, "the hub's database")


def found(server: Mysql, folder: Path, path: str = "", **changes: Any) -> DatabaseFacts:
    return find_database(config(server, **changes), context_in(folder, path), "2.0.58", 10)


def of_server(facts: DatabaseFacts) -> ServerFacts:
    assert facts.server
    return facts.server


def sealed(database: MysqlDatabase, folder: Path) -> DatabaseBackup:
    """A backup of a hub that serves, and then one of the stopped hub."""
    folder.mkdir(exist_ok=True)
    first = database.back_up(folder, 10)
    second = database.seal(folder, first, 10)
    database.remove_other_copies(folder, second)
    return second


def migrate(database: MysqlDatabase, folder: Path, version: str = NEW) -> migration.Migration:
    context = context_in(folder)
    return migration.migrate(database, context, environment(version, DRIVER), folder / "state")


def test_what_is_found_of_a_healthy_database(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    facts = found(server, tmp_path)
    assert (facts.kind, facts.exists, facts.problem) == ("mysql", True, None)
    assert PASSWORD not in str(to_dict(facts))
    assert (facts.revision, facts.revisions, facts.ahead) == (HEADS[OLD], 1, [])
    assert facts.rows == hub.contents().rows
    assert hub.contents().rows["users"] == 5
    assert of_server(facts) == ServerFacts(
        product="MariaDB",
        version=server.sql("SELECT VERSION()").partition("-")[0],
        clients={name: of_server(facts).version for name in ("mariadb", "mariadb-dump")},
        package="mariadb-client",
    )
    assert "user3" in hub.users()
    assert "user3' OR '1'='1" not in hub.users()


def test_what_is_found_of_one_with_obstacles(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    server.sql(
        "CREATE TABLE old_one (id INT) ENGINE = MyISAM; CREATE TRIGGER of_root AFTER INSERT ON users "
        "FOR EACH ROW SET @seen = 1; REVOKE TRIGGER, EVENT ON `hub\\_db`.* FROM hub@localhost; "
        "REVOKE ALL ON `hub\\_db\\_hubops\\_%`.* FROM hub@localhost",
        "hub_db",
    )
    facts = of_server(found(server, tmp_path))
    assert facts.unsafe_tables == {"old_one": "MyISAM"}
    assert facts.no_restore == "GRANT EVENT, TRIGGER ON `hub\\_db`.* TO 'hub'@'localhost';"
    assert facts.no_copies == "GRANT ALL PRIVILEGES ON `hub\\_db\\_hubops\\_%`.* TO 'hub'@'localhost';"
    # The remedies are what the server takes, and they help.
    server.sql(facts.no_restore + facts.no_copies)
    facts = of_server(found(server, tmp_path))
    assert (facts.no_restore, facts.no_copies) == ("", "")
    assert facts.foreign_triggers == ["of_root (root@localhost)"]


def test_why_it_cannot_be_read(server: Mysql, tmp_path: Path) -> None:
    wrong = found(server, tmp_path, password="wrong")
    assert "ERROR 1045 (28000): Access denied for user 'hub'@'localhost'" in str(wrong.problem)
    assert not found(server, tmp_path, name="nowhere").exists
    away = found(server, tmp_path, query="?unix_socket=/nowhere/socket")
    assert "ERROR 2002 (HY000): Can't connect to local server through socket '/nowhere/socket'" in str(
        away.problem
    )


#: Connects as the hub does, and then as the collection does.
CONNECT = """
import json, sys, sqlalchemy
for url, connect_args in json.load(sys.stdin):
    connection = sqlalchemy.create_engine(url, connect_args=connect_args).connect()
    print(*connection.exec_driver_sql("SELECT SUBSTRING_INDEX(USER(), '@', 1), DATABASE()").one())
"""
#: As PyMySQL reads it of an option file, which knows no escapes.
PASSWORD_IN_FILE = "p@ss :/%?'é"


#: URLs, and what `db_kwargs` has besides.
WAYS: list[tuple[str, dict[str, Any]]] = [
    ("mysql+pymysql://hub:{password}@[::1]:{port}/hub_db", {}),
    ("mysql+pymysql://hub:{password}@/hub_db?unix_socket={socket}", {}),
    ("mariadb+pymysql://hub@127.0.0.1:{port}/hub_db?charset=utf8mb4", {"password": PASSWORD}),
    ("mysql+pymysql://", {"unix_socket": "{socket}", "user": "hub", "passwd": PASSWORD, "db": "hub_db"}),
    ("mysql+pymysql:///hub_db?read_default_file={file}", {"connect_timeout": 5}),
    ("mysql+pymysql://127.0.0.1/", {"read_default_file": "{file}", "read_default_group": "hub"}),
]


def test_every_way_to_the_database_is_the_hubs(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    file = tmp_path / "my.cnf"
    login = f'user = filed\npassword = "{PASSWORD_IN_FILE}"\nport = {server.port}\n'
    file.write_text(f"[client]\nhost = 127.0.0.1\n{login}[hub]\n{login}database = hub_db\n")
    places = {"port": server.port, "socket": server.socket, "file": file}
    server.make_role("filed", PASSWORD_IN_FILE)
    server.sql("GRANT ALL ON `hub\\_db`.* TO filed@localhost")
    for name in ("hub", "filed"):
        for statement in (f"SHOW CREATE USER {name}@localhost", f"SHOW GRANTS FOR {name}@localhost"):
            for line in server.sql(statement).splitlines():
                server.sql(line.replace("`localhost`", "`::1`"))
    try:
        asked, users, rows = [], [], hub.contents().rows
        for url, more in WAYS:
            given = {
                name: str(each).format(**places) if name in ("unix_socket", "read_default_file") else each
                for name, each in more.items()
            }
            configured = DatabaseConfig(url.format(password=quote(PASSWORD, safe=""), **places), given)
            facts = find_database(configured, context_in(tmp_path), "2.0.58", 10)
            assert (facts.problem, facts.rows) == (None, rows), url
            access = MysqlDatabase.access_of(configured, context_in(tmp_path), "2.0.58")
            ours = MysqlDatabase(access, "the hub's database").url("2.0.58")
            asked += [(configured.url, given), (ours, {})]
            users += ["filed" if "read_default_file" in f"{url}{more}" else "hub"] * 2
        done = subprocess.run(
            [environment(OLD, DRIVER) / "bin" / "python", "-c", CONNECT],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
        )
        assert done.stdout.splitlines() == [f"{user} hub_db" for user in users], done.stderr
    finally:
        server.sql("DROP USER IF EXISTS filed@localhost, filed@`::1`, hub@`::1`")


def test_clients_that_are_missing(server: Mysql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "defpath", "/nowhere")
    facts = found(server, tmp_path, "/nowhere")
    assert of_server(facts).clients == {"mariadb": "", "mariadb-dump": ""}
    with pytest.raises(HubError, match=r"There is no mariadb or mysql on this host. Install the package"):
        at(server, tmp_path, "/nowhere").back_up(tmp_path, 10)
    (tmp_path / "mariadb").symlink_to("/usr/bin/mariadb")
    (tmp_path / "sh").symlink_to("/bin/sh")
    assert of_server(found(server, tmp_path, str(tmp_path))).clients["mariadb-dump"] == ""


def test_a_restore_brings_every_byte_back(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    server.sql(SITE, "hub_db")
    before, point = server.content("hub_db"), tmp_path / "point"
    backup = sealed(hub, point)
    assert server.content("hub_db") == before
    assert backup.rows == hub.contents().rows
    assert hub.prove(point, backup) == hub.contents()
    assert hub.is_as_backed_up(backup)

    migrate(hub, tmp_path)
    server.sql(
        "INSERT INTO users (name, admin, cookie_id) VALUES ('late', 0, 'x'); DROP TRIGGER noticed; "
        "CREATE TABLE more (id INT); CREATE DEFINER = hub@localhost VIEW other AS SELECT 1; "
        "ALTER TABLE audit CHARACTER SET latin1; ALTER DATABASE CHARACTER SET latin1",
        "hub_db",
    )
    assert not hub.is_as_backed_up(backup)
    hub.restore(point, backup, tmp_path / "aside")
    assert server.content("hub_db") == before
    assert hub.is_as_backed_up(backup)
    # What was replaced is kept.
    assert mysql_dumps.contents(tmp_path / "aside" / "database.dump").rows["users"] == 6


def test_routines_that_are_gone_come_back(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    server.sql(SITE, "hub_db")
    server.sql("REVOKE EXECUTE ON PROCEDURE hub_db.greet FROM reader@localhost")
    before = server.content("hub_db")
    backup = sealed(hub, tmp_path / "point")
    own = "CREATE DEFINER = hub@localhost FUNCTION f() RETURNS INT RETURN 1"
    server.sql(f"DROP PROCEDURE greet; DROP EVENT nightly; {own}", "hub_db")
    hub.restore(tmp_path / "point", backup, tmp_path / "aside")
    # Whoever makes a routine is given the right to it.
    automatic = "hub\thub_db\tgreet\tExecute,Alter Routine"
    assert [line for line in server.content("hub_db") if line != automatic] == before


def test_what_other_users_have_defined_is_left_alone(
    hub: MysqlDatabase, server: Mysql, tmp_path: Path
) -> None:
    server.sql(
        "CREATE VIEW v AS SELECT name FROM users; CREATE FUNCTION f() RETURNS INT RETURN 1; "
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SET @x = 1",
        "hub_db",
    )
    before, backup = server.content("hub_db"), sealed(hub, tmp_path / "point")
    assert hub.is_as_backed_up(backup)
    migrate(hub, tmp_path)
    hub.restore(tmp_path / "point", backup, tmp_path / "aside")
    assert server.content("hub_db") == before
    assert hub.since(tmp_path / "point", backup) == NOTHING


def test_a_database_that_is_gone_is_made_again(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    server.sql("ALTER DATABASE hub_db CHARACTER SET latin1 COLLATE latin1_german2_ci")
    before = server.content("hub_db")
    backup = sealed(hub, tmp_path / "point")
    server.sql("DROP DATABASE hub_db")
    assert not hub.exists()
    assert not hub.is_as_backed_up(backup)
    hub.restore(tmp_path / "point", backup, tmp_path / "aside")
    assert server.content("hub_db") == before


def test_a_latin1_database_stays_one_on_a_utf8mb4_server(server: Mysql, tmp_path: Path) -> None:
    """In utf8mb4 its keys would be longer than its row format takes."""
    server.make_database("old_db", "hub")
    server.sql("ALTER DATABASE old_db CHARACTER SET latin1 COLLATE latin1_swedish_ci")
    fill_database(environment(OLD, DRIVER), server.url("hub", PASSWORD, "old_db"))
    server.sql(
        "ALTER TABLE users ROW_FORMAT = COMPACT; ALTER TABLE oauth_clients ROW_FORMAT = COMPACT; "
        "UPDATE users SET name = 'müller' WHERE name = 'user1'",
        "old_db",
    )
    database, before = at(server, tmp_path, name="old_db"), server.content("old_db")
    try:
        backup, context = sealed(database, tmp_path / "point"), context_in(tmp_path)
        with database.restored_copy(tmp_path / "point", backup, context) as copy:
            assert copy.contents() == database.contents()
            collations = (
                "SELECT DISTINCT TABLE_COLLATION FROM information_schema.TABLES WHERE TABLE_SCHEMA = "
            )
            assert server.sql(f"{collations} 'old_db_hubops_scratch'").split() == ["latin1_swedish_ci"]
        migrate(database, tmp_path)
        database.restore(tmp_path / "point", backup, tmp_path / "aside")
        assert server.content("old_db") == before and "müller" in database.users()
    finally:
        server.sql("DROP DATABASE old_db")


#: Runs a restore in a process of its own.
RESTORE = """
import json, sys
from pathlib import Path
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import Access
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.facts import DatabaseBackup
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.mysql_database import MysqlDatabase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict

request = json.load(sys.stdin)
point = Path(request["point"])
database = MysqlDatabase(from_dict(Access, request["access"]), "the hub's database")
database.restore(point, from_dict(DatabaseBackup, request["backup"]), point / "aside")
"""
#: In the place of a client: the n-th one takes in the half of its input, and then the restore is killed.
KILLER = """#!/bin/sh
echo x >> {folder}/calls
if [ "$(wc -l < {folder}/calls)" -eq "$(cat {folder}/kill)" ]; then
    cat > {folder}/input
    head -c $(( $(wc -c < {folder}/input) / 2 )) {folder}/input | /usr/bin/{name} "$@"
    kill -KILL $PPID
else
    exec /usr/bin/{name} "$@"
fi
"""


#: In the place of a client: what other users of the host may see of it.
WATCHER = """#!/bin/sh
[ "$1" = --version ] || {{ echo "$@"; env; }} >> {folder}/seen
exec /usr/bin/{name} "$@"
"""


def replace_clients(folder: Path, script: str) -> None:
    for name in ("mariadb", "mariadb-dump"):
        (folder / name).write_text(script.format(folder=folder, name=name))
        (folder / name).chmod(0o755)


def test_a_restore_that_is_killed_anywhere_is_repeated(
    hub: MysqlDatabase, server: Mysql, tmp_path: Path
) -> None:
    server.sql(SITE, "hub_db")
    before, point = server.content("hub_db"), tmp_path / "point"
    backup = sealed(hub, point)
    migrate(hub, tmp_path)
    replace_clients(tmp_path, KILLER)
    access = at(server, tmp_path, f"{tmp_path}:{os.environ['PATH']}").access
    request = {"point": str(point), "access": to_dict(access), "backup": to_dict(backup)}

    def restore(kill: int) -> int:
        (tmp_path / "calls").write_text("")
        (tmp_path / "kill").write_text(str(kill))
        done = subprocess.run(
            [sys.executable, "-c", RESTORE],
            input=json.dumps(request),
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / ".collections")},
        )
        return done.returncode

    revisions = []
    for kill in range(1, 100):
        if restore(kill) == 0:
            break
        revisions.append(hub.contents().revision)
        if revisions[-1] == HEADS[OLD]:
            assert server.content("hub_db") == before
    assert server.content("hub_db") == before
    # The new hub's revision until something is dropped, none while it is half restored.
    assert list(dict.fromkeys(revisions)) == [HEADS[NEW], None]


def test_a_copy_for_a_rehearsal(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    server.sql(SITE, "hub_db")
    server.sql("UPDATE users SET encrypted_auth_state = X'00ff' WHERE name = 'user2'", "hub_db")
    before, context = server.content("hub_db"), context_in(tmp_path)
    with hub.scratch(context) as scratch:
        copy = hub.copy(scratch, context, "rehearsal")
        assert copy.contents() == hub.contents()
        assert copy.users_with_auth_state(5) == ["user2"]
        assert {row[1] for row in copy.keys()["users"].rows} == {f"user{number}" for number in range(5)}
        done = migration.rehearse(hub, context, environment(NEW, DRIVER), tmp_path / "state", copy)
        migration.abandon(tmp_path / "state")
        assert (done.from_revision, copy.contents().revision) == (HEADS[OLD], HEADS[NEW])
        # Its trigger names the hub's own table.
        server.sql(
            "INSERT INTO users (name, admin, cookie_id) VALUES ('new', 0, 'n')", "hub_db_hubops_scratch"
        )
        copy.forget_servers()
        assert copy.contents().rows["spawners"] == 0
    assert server.content("hub_db") == before
    assert "hub_db_hubops_scratch" not in server.sql("SHOW DATABASES")


def test_a_copy_that_may_not_be_made(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    server.sql("REVOKE ALL ON `hub\\_db\\_hubops\\_%`.* FROM hub@localhost")
    context = context_in(tmp_path)
    try:
        with pytest.raises(HubError) as refused, hub.scratch(context) as scratch:
            hub.copy(scratch, context, "rehearsal")
    finally:
        server.sql("GRANT ALL ON `hub\\_db\\_hubops\\_%`.* TO hub@localhost")
    assert "ERROR 1044 (42000)" in refused.value.message
    assert refused.value.hint == (
        "Run on the server: GRANT ALL PRIVILEGES ON `hub\\_db\\_hubops\\_%`.* TO 'hub'@'localhost';"
    )


def test_a_restored_copy_and_what_was_written_since(
    hub: MysqlDatabase, server: Mysql, tmp_path: Path
) -> None:
    backup = sealed(hub, tmp_path / "point")
    assert hub.since(tmp_path / "point", backup) == NOTHING
    with hub.restored_copy(tmp_path / "point", backup, context_in(tmp_path)) as copy:
        assert copy.contents() == hub.contents()
    migrate(hub, tmp_path)
    server.sql(
        "INSERT INTO users (name, admin, cookie_id) VALUES ('ada', 0, 'a'); "
        "UPDATE users SET admin = 1 WHERE name = 'user1'; DELETE FROM api_tokens WHERE id = 1; "
        "UPDATE users SET last_activity = NOW()",
        "hub_db",
    )
    since = hub.since(tmp_path / "point", backup)
    assert (since.users, since.lost) == (["ada"], True)
    assert since.tables["users"]._asdict() == {"now": 6, "then": 5, "new": 1, "changed": 1}
    assert since.tables["api_tokens"]._asdict() == {"now": 4, "then": 5, "new": 0, "changed": 0}


def test_it_is_migrated_as_upgrade_db_does(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    server.make_database("other", "hub")
    url = server.url("hub", PASSWORD, "other")
    fill_database(environment(OLD, DRIVER), url)
    folder = environment(NEW, DRIVER) / "bin"
    (tmp_path / "config.py").write_text(f"c.JupyterHub.db_url = {url!r}\n")
    subprocess.run(
        [folder / "jupyterhub", "upgrade-db", "-f", tmp_path / "config.py"],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    state, context = tmp_path / "state", context_in(tmp_path)
    assert migration.prepare(hub, context, environment(NEW, DRIVER), state)
    done = migration.migrate(hub, context, environment(NEW, DRIVER), state)
    assert (done.prepared, done.from_revision, done.to_revision) == (True, HEADS[OLD], HEADS[NEW])
    assert schema(server, "hub_db") == schema(server, "other")
    server.sql("DROP DATABASE other")


def test_a_database_of_2_is_migrated_through_4(server: Mysql, tmp_path: Path) -> None:
    server.make_database("of_2", "hub")
    fill_database(environment("2.3.1", DRIVER), server.url("hub", PASSWORD, "of_2"))
    server.sql(
        "INSERT INTO servers (id, proto, ip, port, base_url) VALUES (1, 'http', '127.0.0.1', 9, '/user/u/'); "
        "INSERT INTO spawners (id, user_id, server_id, name) VALUES (1, 1, 1, '')",
        "of_2",
    )
    facts, database = found(server, tmp_path, name="of_2"), at(server, tmp_path, name="of_2")
    assert (facts.revision, facts.servers) == ("833da8570507", 1)
    before, backup = server.content("of_2"), sealed(database, tmp_path / "point")
    state, context = tmp_path / "state", context_in(tmp_path)
    through, target = [str(environment(OLD, DRIVER))], environment(NEW, DRIVER)
    try:
        assert migration.prepare(database, context, target, state, intermediate=through)
        done = migration.migrate(database, context, target, state, intermediate=through)
    finally:
        migration.abandon(state)
    assert (done.prepared, done.to_revision, done.rows_after["users"]) == (True, HEADS[NEW], 5)
    database.restore(tmp_path / "point", backup, tmp_path / "aside")
    assert server.content("of_2") == before
    server.sql("DROP DATABASE of_2")


def schema(server: Mysql, name: str) -> list[str]:
    dumped = server.content(name)
    return [line for line in dumped if re.match(r"(  `|  \w*KEY|  CONSTRAINT|CREATE)", line)]


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_hub_that_starts_sees_a_lent_token_at_once(server: Mysql, tmp_path: Path, version: str) -> None:
    """One that is idle keeps the state of the database that it has read, for up to five minutes."""
    server.make_database("lent", "hub")
    place, url = environment(version, DRIVER), server.url("hub", PASSWORD, "lent")
    fill_database(place, url)
    with supervised(version, tmp_path, f"c.JupyterHub.db_url = {url!r}\n", place) as name:
        deployment = find_deployment(name)
        database, context = database_of(deployment), service_of(deployment.service).context()
        assert database.seen_within > 300
        with verification.lending(database, str(place), context, verification.SCOPES, starts=True) as lender:
            lifecycle.start(deployment, str(tmp_path / "state"), version, 60)
            answer = api.ask(f"{deployment.config.hub_api_url}/info", lender.token())
            assert (answer.status, answer.body["version"]) == (200, version)
        assert "hubops" not in server.sql("SELECT name FROM services UNION SELECT name FROM roles", "lent")
    server.sql("DROP DATABASE lent")


@pytest.mark.parametrize(
    "option", ["?init_command=SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", ""]
)
def test_a_hub_that_reads_what_is_committed_sees_it_at_once(
    hub: MysqlDatabase, server: Mysql, tmp_path: Path, option: str
) -> None:
    assert (at(server, tmp_path, query=option).seen_within == 0) == bool(option)


def test_a_session_that_keeps_a_lock_does_not_hang_a_migration(
    hub: MysqlDatabase, server: Mysql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql_database, "LOCK_SECONDS", 1)
    holds = session(server, "START TRANSACTION; SELECT COUNT(*) FROM users;")
    with holds, pytest.raises(HubError, match="Lock wait timeout exceeded"):
        migrate(hub, tmp_path)


def test_a_session_that_keeps_a_lock_is_noticed_before_anything_is_changed(
    hub: MysqlDatabase, server: Mysql, tmp_path: Path
) -> None:
    before, backup = server.content("hub_db"), hub.back_up(tmp_path, 10)
    holds = session(server, "START TRANSACTION; SELECT COUNT(*) FROM users;")
    with holds, pytest.raises(
        HubError, match=r"Another session than the hub's keeps tables.*Lock wait timeout"
    ):
        hub.seal(tmp_path, backup, 1)
    assert server.content("hub_db") == before
    assert hub.seal(tmp_path, backup, 10).rows == backup.rows


def test_the_hub_s_own_sessions_do_not_keep_a_restore_from_its_work(
    hub: MysqlDatabase, server: Mysql, tmp_path: Path
) -> None:
    before, backup = server.content("hub_db"), sealed(hub, tmp_path / "point")
    server.sql("DELETE FROM api_tokens", "hub_db")
    with session(server, "START TRANSACTION; SELECT COUNT(*) FROM users;", "--user=hub", password=PASSWORD):
        hub.restore(tmp_path / "point", backup, tmp_path / "aside")
    assert server.content("hub_db") == before


def test_others_sessions_are_ended_by_who_may(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    server.make_role("admin", PASSWORD)
    server.sql("GRANT ALL ON *.* TO 'admin'@'localhost'")
    copies = CopiesConfig(admin_url=server.url("admin", PASSWORD, "hub_db"))
    by_admin = replace(config(server), copies=copies)
    access = MysqlDatabase.access_of(by_admin, context_in(tmp_path), "2.0.58")
    assert of_server(find_database(by_admin, context_in(tmp_path), "2.0.58", 10)).may_end_sessions
    with session(server, "START TRANSACTION; DELETE FROM users WHERE id = 1;"):
        assert hub.end_sessions() == []
        [ended] = MysqlDatabase(access, "the hub's database").end_sessions()
        assert ended.startswith("root@localhost (Sleep, ")
        hub.run(["DELETE FROM users"], 1)


@contextlib.contextmanager
def session(server: Mysql, statements: str, user: str = "--user=root", password: str = "") -> Iterator[None]:
    """A client that stays connected, once it has carried out these statements."""
    argv = ["mariadb", "--no-defaults", f"--socket={server.socket}", user, "--unbuffered", "-N", "hub_db"]
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environb, b"MYSQL_PWD": password.encode("latin-1")},
    ) as client:
        assert client.stdin and client.stdout
        client.stdin.write(f"{statements}\nSELECT 'ready';\n")
        client.stdin.flush()
        while client.stdout.readline() != "ready\n":
            assert client.poll() is None
        try:
            yield
        finally:
            client.send_signal(signal.SIGKILL)


def test_no_password_can_be_seen(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    """Neither in arguments nor in variables nor in a file that a killed process would leave."""
    replace_clients(tmp_path, WATCHER)
    watched = at(server, tmp_path, f"{tmp_path}:{os.environ['PATH']}")
    sealed(watched, tmp_path / "point")
    seen = (tmp_path / "seen").read_text()
    assert "--defaults-file=/proc/self/fd/" in seen
    assert "hub_db" in seen
    for secret in (PASSWORD, PASSWORD[-8:], "p@:/"):
        assert secret not in seen
        assert secret not in (tmp_path / "point" / "sealed.dump").read_text()
    assert PASSWORD not in repr(watched.access)


def test_the_line_that_older_clients_refuse_is_not_in_a_dump(hub: MysqlDatabase, tmp_path: Path) -> None:
    hub.dump(tmp_path / "dump")
    assert b"999999" not in (tmp_path / "dump").read_bytes()


def test_a_dump_can_be_brought_back_by_hand(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    server.sql(SITE.replace("CREATE VIEW of_root", "CREATE DEFINER = hub@localhost VIEW of_root"), "hub_db")
    before, backup = server.content("hub_db"), sealed(hub, tmp_path / "point")
    like = backup.particulars
    made = f"CREATE DATABASE hub_db CHARACTER SET {like['character_set']} COLLATE {like['collation']}"
    server.sql(f"DROP DATABASE hub_db; {made}")
    with (tmp_path / "point" / backup.file).open() as dump:
        login = ["--no-defaults", f"--socket={server.socket}", "--user=root"]
        subprocess.run(["mariadb", *login, "--binary-mode", "hub_db"], stdin=dump, check=True)
    assert server.content("hub_db") == before


def test_as_an_unprivileged_user_of_the_host(hub: MysqlDatabase, server: Mysql, tmp_path: Path) -> None:
    """The clients run as the hub's user, who can read neither our files nor the recovery point's."""
    unprivileged = MysqlDatabase(replace(hub.access, system_user="nobody"), "the hub's database")
    before = server.content("hub_db")
    backup = sealed(unprivileged, tmp_path / "point")
    server.sql("DELETE FROM api_tokens", "hub_db")
    unprivileged.restore(tmp_path / "point", backup, tmp_path / "aside")
    assert server.content("hub_db") == before


@pytest.mark.parametrize("option", ["--lower-case-table-names=1", "--innodb-default-row-format=compact"])
def test_servers_with_settings_of_their_own(option: str, tmp_path: Path) -> None:
    with mysql(option, "--character-set-server=latin1") as server:
        server.make_role("hub", PASSWORD)
        server.make_database("hub_db", "hub")
        fill_database(environment(OLD, DRIVER), server.url("hub", PASSWORD, "hub_db"))
        hub, before = at(server, tmp_path), server.content("hub_db")
        backup = sealed(hub, tmp_path / "point")
        migrate(hub, tmp_path)
        hub.restore(tmp_path / "point", backup, tmp_path / "aside")
        assert server.content("hub_db") == before
        assert hub.since(tmp_path / "point", backup) == NOTHING
