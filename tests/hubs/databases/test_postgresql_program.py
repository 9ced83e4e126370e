"""What a pod of PostgreSQL's own image does for a hub on Kubernetes: the same program, without the pod."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.hubs.databases.pods import Pod, pod_of
from tests.testbed.databases import Server
from tests.testbed.databases.postgresql import POSTGRESQL_15, POSTGRESQL_18, Postgresql
from tests.testbed.databases.server import running

PASSWORD = "s3 cr@t:/%?#'"
#: As a hub has it, with names and values that a shell or SQL would take for something else.
TABLES = """
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL);
INSERT INTO alembic_version VALUES ('651f5419b74d');
CREATE TABLE users (id serial PRIMARY KEY, name varchar(255) UNIQUE, last_activity timestamp);
INSERT INTO users (name, last_activity) VALUES ('ada', now()), ('o''hara "x" \\y', NULL);
CREATE TABLE api_tokens (id serial PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, hashed text);
INSERT INTO api_tokens (user_id, hashed) SELECT 1, md5(n::text) FROM generate_series(1, 500) AS n;
CREATE TYPE color AS ENUM ('red', 'green');
CREATE TABLE "a ""name" (color color);
INSERT INTO "a ""name" VALUES ('green');
"""
#: What a migration does: columns, tables, rows of others removed, and a new revision.
MIGRATION = """
ALTER TABLE users ADD COLUMN created_anew timestamp;
CREATE TABLE shares (id serial PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE);
DELETE FROM api_tokens;
UPDATE alembic_version SET version_num = '4621fec11365';
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    with running(Postgresql, POSTGRESQL_15) as server:
        server.make_role("hub", PASSWORD, may_copy=False)
        yield server


@pytest.fixture
def pod(server: Postgresql) -> Iterator[Pod]:
    server.make_database("jupyterhub", "hub")
    with pod_of(server, server.url("hub", PASSWORD, "jupyterhub"), POSTGRESQL_15) as pod:
        sql(server, TABLES)
        yield pod
    server.sql("DROP DATABASE jupyterhub WITH (FORCE)")


def sql(server: Server, text: str) -> str:
    return server.sql(f"SET ROLE hub; {text}", "jupyterhub")


def test_a_migrated_database_is_put_back_exactly(pod: Pod, server: Postgresql) -> None:
    before = server.content("jupyterhub")
    said = pod.back_up().splitlines()
    assert 'revision\t"651f5419b74d"' in said
    assert 'user\t"ada"' in said and 'user\t"o\'hara \\"x\\" \\\\y"' in said
    assert [line.split("\t")[:3] for line in said if "api_tokens" in line] == [
        ["row", '"public.api_tokens"', "500"]
    ]
    sql(pod.server, MIGRATION)
    assert server.content("jupyterhub") != before
    assert pod.restore() == '{"used": "the dump of the recovery point"}'
    assert server.content("jupyterhub") == before
    # Where it is repeated, nothing is lost.
    assert pod.restore() == '{"used": "the database as it is, which was not migrated"}'
    assert server.content("jupyterhub") == before


def test_what_the_old_hub_wrote_until_it_stopped_is_put_back(pod: Pod, server: Postgresql) -> None:
    pod.back_up("first")
    sql(pod.server, "INSERT INTO users (name) VALUES ('edsger')")
    before = server.content("jupyterhub")
    pod.back_up("last")
    sql(pod.server, MIGRATION)
    assert pod.restore() == '{"used": "the dump that was made when the hub had stopped"}'
    assert server.content("jupyterhub") == before


def test_rows_that_came_since_stay_where_no_hub_has_migrated(pod: Pod) -> None:
    pod.back_up()
    sql(pod.server, "INSERT INTO users (name) VALUES ('edsger')")
    assert pod.restore() == '{"used": "the database as it is, which was not migrated"}'
    assert "edsger" in sql(pod.server, "SELECT name FROM users")


def test_a_session_that_a_killed_hub_has_left_does_not_stop_a_restore(pod: Pod, server: Postgresql) -> None:
    before = server.content("jupyterhub")
    pod.back_up()
    sql(pod.server, MIGRATION)
    argv = ["psql", "-X", "-q", "-c", "BEGIN; LOCK TABLE users; SELECT 1", "-c", "SELECT pg_sleep(600)"]
    left = subprocess.Popen(argv, env=pod.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'"
    while server.sql(asleep) != "1\n":
        assert left.poll() is None
    assert pod.restore() == '{"used": "the dump of the recovery point"}'
    assert left.wait(60) != 0
    assert server.content("jupyterhub") == before


def test_a_dump_that_has_changed_since_is_refused_and_the_database_left_alone(
    pod: Pod, server: Postgresql
) -> None:
    pod.back_up()
    sql(pod.server, MIGRATION)
    migrated = server.content("jupyterhub")
    dump = pod.claim / "a" / "first" / "dump"
    content = bytearray(dump.read_bytes())
    content[len(content) // 2] ^= 1
    dump.write_bytes(content)
    assert pod.restore() == f'{{"error": "The dump {dump.parent} is not what it was."}}'
    assert server.content("jupyterhub") == migrated


def test_a_restore_that_would_not_have_the_rows_changes_nothing(pod: Pod, server: Postgresql) -> None:
    """As where a trigger of the server's drops rows: everything is undone."""
    pod.back_up()
    sql(pod.server, MIGRATION)
    migrated = server.content("jupyterhub")
    first = pod.claim / "a" / "first"
    rows = first / "rows"
    rows.write_text(rows.read_text().replace("500", "501"))
    sums = subprocess.check_output(["sha256sum", "dump", "rows", "schema", "foreign"], cwd=first)
    (first / "sums").write_bytes(sums)
    assert pod.restore() == '{"error": "The database would not have the rows that the dump has."}'
    assert server.content("jupyterhub") == migrated


def test_an_image_of_another_version_is_named_and_nothing_kept(pod: Pod) -> None:
    pod.environment["PATH"] = pod.environment["PATH"].replace(str(POSTGRESQL_15), str(POSTGRESQL_18))
    done = pod.run("back-up", f"{pod.claim}/a", "first")
    assert done.returncode != 0
    assert "The image has pg_dump (PostgreSQL) 18." in done.stderr
    assert "and the server is a PostgreSQL 15." in done.stderr
    assert not (pod.claim / "a" / "first").exists()


def test_tables_of_the_hub_that_another_role_owns_are_refused(pod: Pod, server: Postgresql) -> None:
    server.sql("ALTER TABLE api_tokens OWNER TO postgres; GRANT ALL ON api_tokens TO hub", "jupyterhub")
    done = pod.run("back-up", f"{pod.claim}/a", "first")
    assert done.returncode != 0
    assert "Tables of the hub belong to other roles: api_tokens of postgres" in done.stderr


def test_a_server_that_cannot_be_reached_is_told_without_the_password(pod: Pod) -> None:
    pod.environment["PGPASSWORD"] = "another"
    done = pod.run("back-up", f"{pod.claim}/a", "first")
    assert done.returncode != 0
    assert "password authentication failed" in done.stderr
    assert "another" not in done.stderr + done.stdout


def test_what_is_removed_is_gone(pod: Pod) -> None:
    pod.back_up()
    assert pod.run("remove", f"{pod.claim}/a").returncode == 0
    assert list(pod.claim.iterdir()) == []
