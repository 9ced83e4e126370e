"""What a pod of MariaDB's own image does for a hub on Kubernetes: the same program, without the pod."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import urls
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.mysql_program import MysqlProgram

from tests.hubs.databases.pods import Pod, pod_of
from tests.testbed.databases.mysql import Mysql, mysql

#: What a shell, an option file or SQL would take for something else, and PyMySQL sends in its own encoding.
PASSWORD = "p@:/%?#&+'\"\\ `$é"
#: As a hub has it, with names and values of the same sort, and what a site may have added.
TABLES = r"""
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL);
INSERT INTO alembic_version VALUES ('651f5419b74d');
CREATE TABLE users (id int PRIMARY KEY AUTO_INCREMENT, name varchar(255) UNIQUE, last_activity datetime);
INSERT INTO users (name, last_activity) VALUES ('ada', now()), ('o''hara "x" \\y', NULL);
CREATE TABLE api_tokens (id int PRIMARY KEY AUTO_INCREMENT, user_id int, hashed text,
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE);
INSERT INTO api_tokens (user_id, hashed) SELECT 1, md5(seq) FROM seq_1_to_500;
CREATE TABLE `a ``"name` (text text CHARACTER SET latin1, bytes blob, number double, `when` timestamp(6) NULL)
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT INTO `a ``"name` VALUES
    ('é\n\t),(', X'00FF0A5C', 0.1, '2026-03-29 01:30:00.123456'), (NULL, '', 1e300, NULL);
CREATE TABLE audit (name varchar(255));
CREATE DEFINER = hub@localhost VIEW admins AS SELECT name FROM users WHERE id = 1;
CREATE DEFINER = hub@localhost TRIGGER noticed AFTER INSERT ON users FOR EACH ROW
    INSERT INTO jupyterhub.audit VALUES (NEW.name);
DELIMITER ;;
CREATE DEFINER = hub@localhost PROCEDURE greet() BEGIN SELECT 'a'; INSERT INTO users VALUES (1); END;;
DELIMITER ;
"""
#: What a migration does: columns, tables, rows of others removed, and a new revision.
MIGRATION = """
ALTER TABLE users ADD COLUMN created_anew datetime;
CREATE TABLE shares (id int PRIMARY KEY AUTO_INCREMENT, user_id int REFERENCES users (id));
DELETE FROM api_tokens;
UPDATE alembic_version SET version_num = '4621fec11365';
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Mysql]:
    with mysql() as server:
        server.make_role("hub", PASSWORD, may_copy=False)
        yield server


@pytest.fixture
def pod(server: Mysql) -> Iterator[Pod]:
    server.make_database("jupyterhub", "hub")
    with pod_of(server, server.url("hub", PASSWORD, "jupyterhub"), "/usr/bin") as pod:
        server.sql(TABLES, "jupyterhub")
        yield pod
    server.sql("DROP DATABASE jupyterhub; REVOKE ALL ON jupyterhub.* FROM hub@localhost")


def test_a_migrated_database_is_put_back_exactly_and_so_is_half_a_migration(pod: Pod, server: Mysql) -> None:
    before = server.content("jupyterhub")
    said = pod.back_up().splitlines()
    assert 'revision\t"651f5419b74d"' in said
    assert 'user\t"ada"' in said and 'user\t"o\'hara \\"x\\" \\\\y"' in said
    assert [line.split("\t")[:3] for line in said if "api_tokens" in line] == [["row", '"api_tokens"', "500"]]
    server.sql(MIGRATION, "jupyterhub")
    assert server.content("jupyterhub") != before
    assert pod.restore() == '{"used": "the dump of the recovery point"}'
    assert server.content("jupyterhub") == before
    # Where it is repeated, nothing is lost.
    assert pod.restore() == '{"used": "the database as it is, which was not migrated"}'
    assert server.content("jupyterhub") == before
    # Each change of the schema is committed by itself, and the revision comes last.
    server.sql(MIGRATION.splitlines()[1], "jupyterhub")
    assert pod.restore() == '{"used": "the dump of the recovery point"}'
    assert server.content("jupyterhub") == before
    # As a restore that was cut off.
    server.sql("DELETE FROM alembic_version; DELETE FROM api_tokens", "jupyterhub")
    assert pod.restore() == '{"used": "the dump of the recovery point"}'
    assert server.content("jupyterhub") == before


def test_what_the_old_hub_wrote_until_it_stopped_is_put_back(pod: Pod, server: Mysql) -> None:
    pod.back_up("first")
    server.sql("INSERT INTO users (name) VALUES ('edsger')", "jupyterhub")
    assert pod.restore() == '{"used": "the database as it is, which was not migrated"}'
    assert "edsger" in server.sql("SELECT name FROM users", "jupyterhub")
    before = server.content("jupyterhub")
    pod.back_up("last")
    server.sql(MIGRATION, "jupyterhub")
    assert pod.restore() == '{"used": "the dump that was made when the hub had stopped"}'
    assert server.content("jupyterhub") == before
    assert pod.run("remove", f"{pod.claim}/a").returncode == 0
    assert list(pod.claim.iterdir()) == []


def test_a_restore_ends_what_a_killed_hub_has_left_and_refuses_a_changed_dump(
    pod: Pod, server: Mysql
) -> None:
    before = server.content("jupyterhub")
    pod.back_up()
    server.sql(MIGRATION, "jupyterhub")
    dump = pod.claim / "a" / "first" / "dump"
    content = dump.read_bytes()
    dump.write_bytes(content.replace(b"ada", b"eda"))
    migrated = server.content("jupyterhub")
    assert pod.restore() == f'{{"error": "The dump {dump.parent} is not what it was."}}'
    assert server.content("jupyterhub") == migrated
    dump.write_bytes(content)
    options = pod.claim / "options"
    options.write_bytes(base64.b64decode(pod.environment["HUBOPS_MARIADB"]))
    statements = "START TRANSACTION; SELECT * FROM users; SELECT SLEEP(600)"
    argv = ["mariadb", f"--defaults-file={options}", "--execute", statements, "jupyterhub"]
    left = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    asleep = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO = 'SELECT SLEEP(600)'"
    while server.sql(asleep) != "1\n":
        assert left.poll() is None
    assert pod.restore() == '{"used": "the dump of the recovery point"}'
    assert left.wait(60) != 0
    assert server.content("jupyterhub") == before


def test_what_others_have_defined_is_refused(pod: Pod, server: Mysql) -> None:
    server.sql("CREATE VIEW of_root AS SELECT name FROM users", "jupyterhub")
    done = pod.run("back-up", f"{pod.claim}/a", "first")
    assert done.returncode != 0
    assert "Other users have defined in the database: VIEW of_root" in done.stderr
    assert not (pod.claim / "a" / "first").exists()


def test_a_server_that_cannot_be_reached_is_told_without_the_password(pod: Pod) -> None:
    pod.environment.update(
        MysqlProgram().variables(urls.parse(f"mysql://hub@127.0.0.1:{pod.server.port}/jupyterhub"), "another")
    )
    done: subprocess.CompletedProcess[str] = pod.run("back-up", f"{pod.claim}/a", "first")
    assert done.returncode != 0
    assert "Access denied for user 'hub'" in done.stderr
    assert "another" not in done.stderr + done.stdout
