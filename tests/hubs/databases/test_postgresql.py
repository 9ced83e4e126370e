"""PostgreSQL as sites have it: how it is reached, whose it is, who else is connected, what is in it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import (
    migration,
    postgresql_clients,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import (
    postgresql_statements as sql,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import (
    CopiesConfig,
    DatabaseConfig,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.facts import (
    DatabaseFacts,
    ServerFacts,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import find_database
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

from tests.hubs.databases.servers import KINDS, PASSWORD, SQLALCHEMY, Place, empty_place
from tests.hubs.databases.test_migration import add_revision
from tests.hubs.real_hub import environment, fill_database, link_environment
from tests.testbed.databases import POSTGRESQL_18, Postgresql
from tests.testbed.databases.postgresql import postgresql

KIND = KINDS["postgresql-15"]
PYTHON = environment("4.1.6", *KIND.packages) / "bin" / "python"
POINT = "20261120T211500Z-4.1.6-6.1.1"
#: What a site may have besides the hub's tables.
OF_SITE = """
CREATE VIEW names AS SELECT name FROM users;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS number FROM users;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN short AS varchar(3);
CREATE TABLE users_info (username varchar PRIMARY KEY, password bytea, how mood, code short, data jsonb);
INSERT INTO users_info VALUES ('ada', E'\\\\x00ff', 'good', 'abc', '{"a": "b\\\\nc"}');
INSERT INTO users_info (username) VALUES (E'o''n\\t\\\\e'), ('SET transaction_timeout = 0;'), ('\\.');
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
COPY users_info (username) FROM stdin;
RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON users_info FOR EACH ROW EXECUTE FUNCTION touch();
CREATE SCHEMA reports;
CREATE TABLE reports.monthly (id int GENERATED ALWAYS AS IDENTITY, what text);
INSERT INTO reports.monthly (what) VALUES ('x');
COMMENT ON TABLE users_info IS 'of NativeAuthenticator';
"""


#: Connects as the hub does, and then without its environment as the collection does.
CONNECT = """
import json, os, sys, sqlalchemy
for url, connect_args in json.load(sys.stdin).values():
    connection = sqlalchemy.create_engine(url, connect_args=connect_args).connect()
    print(connection.exec_driver_sql("select current_user || ' in ' || current_database()").scalar())
    for name in [each for each in os.environ if each.startswith("PG")]:
        del os.environ[name]
    os.environ["HOME"] = "/nowhere"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    with postgresql() as server:
        server.sql("CREATE ROLE dashboard LOGIN; CREATE ROLE people")
        yield server


@pytest.fixture
def place(server: Postgresql, tmp_path: Path) -> Place:
    return empty_place(server, KIND, tmp_path)


@pytest.fixture
def point(tmp_path: Path) -> Path:
    folder = tmp_path / POINT
    folder.mkdir()
    return folder


def fill(place: Place) -> None:
    fill_database(PYTHON.parent.parent, place.config.url)


def found(place: Place) -> DatabaseFacts:
    facts = find_database(place.config, place.context, SQLALCHEMY, 5)
    assert facts.problem is None
    return facts


def server_of(place: Place) -> ServerFacts:
    server = found(place).server
    assert server
    return server


@contextmanager
def connected(place: Place, statement: str) -> Iterator[None]:
    """Somebody's psql, which has carried out a statement and waits for the next."""
    server = place.server
    assert isinstance(server, Postgresql)
    argv: list[str | Path] = [
        *(server.programs / "psql", "-X", "-q", "-A", "-t", "-h", server.folder, "-p", str(server.port)),
        *("-U", "postgres", place.name),
    ]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        process.stdin.write(f"{statement};\n\\echo done\n")
        process.stdin.flush()
        while process.stdout.readline() != "done\n":
            assert process.poll() is None
        yield
    finally:
        process.kill()
        process.wait()


def test_others_sessions_are_ended_by_who_may(place: Place) -> None:
    fill(place)
    place.server.make_role(f"{place.name}_admin", PASSWORD)
    place.server.sql(f'ALTER ROLE "{place.name}_admin" SUPERUSER')
    copies = CopiesConfig(admin_url=place.server.url(f"{place.name}_admin", PASSWORD, "postgres"))
    by_admin = place._replace(config=replace(place.config, copies=copies))
    with connected(place, "BEGIN; LOCK TABLE users IN SHARE MODE"):
        assert not server_of(place).may_end_sessions
        assert place.database().end_sessions() == []
        assert server_of(by_admin).may_end_sessions
        [ended] = by_admin.database().end_sessions()
        assert ended.startswith("psql of postgres, process ")
        assert server_of(place).sessions == []
        place.database().run(["DELETE FROM users"], 1)


@pytest.mark.parametrize(
    ("url", "variables", "connect_args"),
    [
        ("postgresql://{user}:{password}@127.0.0.1:{port}/{user}", {}, {}),
        ("postgresql+psycopg://{user}:{password}@[::1]:{port}/{user}?sslmode=prefer", {}, {}),
        ("postgresql://{user}:{password}@/{user}?host={folder}&port={port}", {}, {}),
        ("postgresql://{user}@127.0.0.1:{port}/{user}?password={password}", {}, {}),
        ("postgresql://{user}@127.0.0.1:{port}/{user}", {"PGPASSWORD": PASSWORD}, {}),
        ("postgresql://{user}@127.0.0.1:{port}/{user}", {}, {"password": PASSWORD, "connect_timeout": 5}),
        (
            "postgresql://",
            {"PGHOST": "{folder}", "PGPORT": "{port}", "PGUSER": "{user}"},
            {"password": PASSWORD},
        ),
        ("postgresql://{user}@127.0.0.1:{port}/", {"PGOPTIONS": "-c work_mem=5MB"}, {}),
        ("postgresql:///{user}?service=hub", {"PGSERVICEFILE": "{home}/services"}, {}),
        ("postgresql://", {"PGSERVICE": "hub"}, {"dbname": "{user}", "prepare_threshold": None}),
        ("postgresql://{user}@localhost:{port}/{user}", {"PGPASSFILE": "{home}/passwords"}, {}),
    ],
)
def test_every_way_to_the_database_is_the_hubs(
    place: Place, url: str, variables: dict[str, str], connect_args: dict[str, object]
) -> None:
    quoted = place.config.url.split(":", 2)[2].split("@")[0]
    words = {
        "user": place.name,
        "password": quoted,
        "port": str(place.server.port),
        "folder": str(place.server.folder),
    }
    for line in ("*:*:another:*:wrong", "localhost:*:*:*:wrong", f"*:{place.server.port}:{place.name}:*:"):
        with Path(place.context.home, ".pgpass").open("a") as file:
            escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
            file.write(f"{line}{escaped if line.endswith(':') else ''}\n")
    home = Path(place.context.home)
    (home / ".pgpass").chmod(0o600)
    service = f"[other]\nport=1\n[hub]\n# the hub's\nhost={place.server.folder}\nport={place.server.port}\n"
    for name in (".pg_service.conf", "services"):
        (home / name).write_text(f"{service}user={place.name}\ndbname=another\n")
    (home / "passwords").write_text(f"localhost:*:{place.name}:*:{escaped}\n")
    (home / "passwords").chmod(0o600)
    words["home"] = str(home)
    environ = {
        **place.context.environment,
        **{name: value.format(**words) for name, value in variables.items()},
    }
    given = {
        name: each.format(**words) if isinstance(each, str) else each for name, each in connect_args.items()
    }
    here = place._replace(
        config=DatabaseConfig(url.format(**words), given),
        context=replace(place.context, environment=environ),
    )
    assert here.database().contents().rows == {}
    asked = {"hub": (here.config.url, given), "ours": (here.database().url(SQLALCHEMY), {})}
    done = subprocess.run(
        [PYTHON, "-c", CONNECT], input=json.dumps(asked), env=environ, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [f"{place.name} in {place.name}"] * 2, done.stderr


def test_a_file_of_passwords_that_others_may_read_is_the_hubs_no_more_than_ours(place: Place) -> None:
    """libpq ignores it."""
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    file = Path(place.context.home, ".pgpass")
    file.write_text(f"*:*:*:*:{escaped}\n")
    config = DatabaseConfig(f"postgresql://{place.name}@127.0.0.1:{place.server.port}/{place.name}")
    for mode, said in ((0o644, "password authentication failed"), (0o600, "None")):
        file.chmod(mode)
        assert said in str(find_database(config, place.context, SQLALCHEMY, 5).problem)


def test_a_server_that_refuses_says_why_without_the_password(place: Place) -> None:
    wrong = DatabaseConfig(place.config.url.replace("s3", "s4"))
    facts = find_database(wrong, place.context, SQLALCHEMY, 5)
    assert "password authentication failed" in str(facts.problem)
    assert "cr%40t" not in repr(facts) and "cr@t" not in repr(facts)


@pytest.mark.parametrize("by", ["copy", "dump"])
def test_what_a_site_has_besides_is_restored_exactly(place: Place, point: Path, by: str) -> None:
    server = place.server
    fill(place)
    place.sql(OF_SITE)
    server.sql("GRANT SELECT ON users TO dashboard; GRANT UPDATE (name) ON users TO people", place.name)
    server.sql(
        f"GRANT CONNECT ON DATABASE {place.name} TO dashboard;"
        f"REVOKE TEMP ON DATABASE {place.name} FROM PUBLIC;"
        f"ALTER DATABASE {place.name} SET work_mem = '5MB'; ALTER DATABASE {place.name} CONNECTION LIMIT 50;"
        f"ALTER ROLE {place.name} IN DATABASE {place.name} SET search_path = public, reports;"
        f"COMMENT ON DATABASE {place.name} IS 'the hub''s'; CREATE TABLE of_another_role (id int)",
        place.name,
    )
    database = place.database()
    backup = database.back_up(point, 5)
    if by == "copy":
        assert server_of(place).by_copy
        backup = database.seal(point, backup, 5)
        assert backup.particulars["copy"] in place.databases()
    before = server.content(place.name)
    place.sql(
        "DROP VIEW names; ALTER TABLE users DROP COLUMN cookie_id; CREATE TYPE added AS ENUM ('a');"
        "CREATE SCHEMA added; CREATE TABLE added.more (id int);"
        "CREATE FUNCTION added() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "REVOKE SELECT ON users FROM dashboard"
    )
    server.sql(
        f"ALTER DATABASE {place.name} SET work_mem = '6MB'; ALTER DATABASE {place.name} RESET search_path"
    )
    database.restore(point, backup, point / "replaced")
    database.give_owner_of(backup)
    assert server.content(place.name) == before
    assert database.prove(point, backup).rows == database.contents().rows
    database.discard(point, backup)


def test_a_schema_of_its_own_in_somebody_elses_database(place: Place, point: Path) -> None:
    place.server.sql(f"ALTER DATABASE {place.name} OWNER TO postgres")
    place.server.sql(
        f"CREATE SCHEMA hub; GRANT ALL ON SCHEMA hub TO {place.name}; CREATE TABLE users (id int);"
        f"ALTER ROLE {place.name} IN DATABASE {place.name} SET search_path = hub",
        place.name,
    )
    fill(place)
    database, server = place.database(), server_of(place)
    assert (server.by_copy, server.no_copies) == (False, "")
    assert database.contents().rows["users"] == 5
    backup = database.seal(point, database.back_up(point, 5), 5)
    assert "copy" not in backup.particulars
    before = place.server.content(place.name)
    with database.restored_copy(point, backup, place.context) as copy:
        assert copy.contents() == database.contents()
    place.sql("SET search_path = hub; DROP TABLE spawners CASCADE; CREATE TABLE added (id int)")
    database.restore(point, backup, point / "replaced")
    assert database.has_owner_of(backup)
    assert place.server.content(place.name) == before


def test_a_role_that_may_not_make_databases(server: Postgresql, tmp_path: Path, point: Path) -> None:
    place = empty_place(server, KIND, tmp_path, may_copy=False)
    fill(place)
    facts = server_of(place)
    scratch = f"{place.name}_hubops_scratch"
    assert facts.no_copies == f'CREATE DATABASE "{scratch}" OWNER "{place.name}";'
    database = place.database()
    with database.scratch(place.context) as folder, pytest.raises(
        HubError, match="may not make databases.* As "
    ):
        database.copy(folder, place.context, "new")
    server.sql(facts.no_copies)
    assert (server_of(place).no_copies, server_of(place).by_copy) == ("", False)
    before = server.content(place.name)
    with database.scratch(place.context) as folder:
        assert database.copy(folder, place.context, "new").contents() == database.contents()
    assert server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", scratch).strip() == "0"
    backup = database.seal(point, database.back_up(point, 5), 5)
    assert backup.file == "sealed.dump"
    place.sql("DROP TABLE spawners CASCADE; CREATE TABLE added (id int)")
    database.restore(point, backup, point / "replaced")
    assert server.content(place.name) == before


def test_somebody_is_connected(place: Place, point: Path) -> None:
    fill(place)
    database = place.database()
    backup = database.back_up(point, 5)
    with connected(place, "BEGIN; SELECT * FROM users"):
        [session] = server_of(place).sessions
        assert session.startswith("psql of postgres, process ")
        assert "copy" not in database.seal(point, backup, 5).particulars
        with pytest.raises(HubError, match="lock timeout"):
            database.run(["ALTER TABLE users ADD COLUMN added int"], timeout=0.2)
    assert server_of(place).sessions == []


def test_somebody_connects_before_a_restore(place: Place, point: Path) -> None:
    fill(place)
    database = place.database()
    backup = database.seal(point, database.back_up(point, 5), 5)
    before = place.server.content(place.name)
    place.sql("DROP TABLE spawners CASCADE; CREATE TABLE added (id int)")
    with connected(place, "SELECT 1"):
        database.restore(point, backup, point / "replaced")
        database.give_owner_of(backup)
    assert place.server.content(place.name) == before


def test_views_and_tables_of_others_are_named(place: Place) -> None:
    fill(place)
    place.sql("CREATE VIEW names AS SELECT u.name FROM users u JOIN api_tokens t ON t.user_id = u.id")
    place.server.sql("ALTER TABLE groups OWNER TO postgres", place.name)
    server = server_of(place)
    assert server.views == ["names (reads api_tokens, users)"]
    assert server.foreign_tables == ["groups (postgres's)"]


def test_a_role_that_has_grants_only(place: Place) -> None:
    """Its hub works; what it cannot do is migrate."""
    fill(place)
    server, tables = place.server, "api_tokens users"
    server.sql(f'REASSIGN OWNED BY "{place.name}" TO people', place.name)
    server.sql(f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{place.name}"', place.name)
    foreign = server_of(place).foreign_tables
    assert {f"{table} (people's)" for table in tables.split()} <= set(foreign)
    assert place.database().contents().rows["users"] == 5
    with pytest.raises(HubError, match="must be owner of table users"):
        place.database().run(["ALTER TABLE users ADD COLUMN added int"], 1)
    # Whoever is a member of the owner may do as the owner does.
    server.sql(f'GRANT people TO "{place.name}"')
    try:
        assert server_of(place).foreign_tables == []
        place.database().run(["ALTER TABLE users ADD COLUMN added int"], 1)
    finally:
        server.sql(f'REVOKE people FROM "{place.name}"')


def test_clients_that_are_missing(place: Place, point: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place)
    database = place.database()
    monkeypatch.setattr(postgresql_clients, "installed", lambda _path: ())
    facts = find_database(place.config, place.context, SQLALCHEMY, 5)
    assert facts.server and facts.server.clients == {"psql": "", "pg_dump": "", "pg_restore": ""}
    words = r"does not have PostgreSQL's programs psql, .*Install the package postgresql-client\."
    assert facts.problem and re.search(words, facts.problem)
    with pytest.raises(HubError, match=words):
        database.back_up(point, 5)


def test_clients_older_than_the_server(tmp_path: Path, point: Path) -> None:
    with postgresql(POSTGRESQL_18) as server:
        here = empty_place(server, KIND, tmp_path)
        facts = server_of(here)
        assert facts.clients_too_old and facts.package == "postgresql-client-18"
        assert set(facts.clients) == {"psql", "pg_dump", "pg_restore"}
        with pytest.raises(
            HubError, match=r"refuses a server of version 18\. Install .*postgresql-client-18"
        ):
            here.database().back_up(point, 5)


def test_a_server_that_can_clone_files_does_and_an_older_one_copies_them(
    place: Place, tmp_path: Path
) -> None:
    ask = [sql.CLONE_FILES, "SELECT 'by ' || current_setting('file_copy_method', true);"]
    assert "by" not in postgresql_clients.Clients(place.database().access).psql(ask)
    with postgresql(POSTGRESQL_18) as server:
        (tmp_path / "18").mkdir()
        newer = empty_place(server, KINDS["postgresql-18"], tmp_path / "18")
        assert postgresql_clients.Clients(newer.database().access).psql(ask).split() == [
            "clone",
            "by",
            "clone",
        ]


def test_clients_newer_than_the_server(place: Place, point: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place)
    newer = postgresql_clients.Programs(POSTGRESQL_18, "18.6")
    monkeypatch.setattr(postgresql_clients, "installed", lambda _path: (newer,))
    database = place.database()
    backup = database.back_up(point, 5)
    before = place.server.content(place.name)
    place.sql("DROP TABLE spawners CASCADE; CREATE TABLE added (id int)")
    database.restore(point, backup, point / "replaced")
    assert place.server.content(place.name) == before


def test_a_database_of_2_is_migrated_through_4(place: Place, tmp_path: Path) -> None:
    """SQLAlchemy 1.4 reads the URL as psycopg2, 2.1 as psycopg."""
    fill_database(environment("2.3.1", "psycopg2-binary"), place.config.url)
    place.sql(
        "INSERT INTO servers (id, proto, ip, port, base_url) VALUES (1, 'http', '127.0.0.1', 9, '/user/u/');"
        "INSERT INTO oauth_clients (identifier, secret, redirect_uri) "
        "VALUES ('jupyterhub-user-user0', '', '');"
        "INSERT INTO spawners (id, user_id, server_id, name, oauth_client_id) "
        "VALUES (1, 1, 1, '', 'jupyterhub-user-user0')"
    )
    database, target = place.database(), environment("6.1.1", *KIND.packages)
    state, through = tmp_path / "state", [str(environment("4.1.6", *KIND.packages))]
    try:
        assert migration.prepare(database, place.context, target, state, intermediate=through)
        done = migration.migrate(database, place.context, target, state, intermediate=through)
    finally:
        migration.abandon(state)
    assert (done.prepared, done.to_revision) == (True, "f460b0348206")
    assert done.rows_after["users"] == done.rows_before["users"] == 5
    assert place.databases() == [place.name]


def test_a_migration_that_fails_half_way_is_undone(place: Place, point: Path, tmp_path: Path) -> None:
    """Earlier revisions of JupyterHub's are committed by then, though PostgreSQL's DDL is transactional."""
    fill(place)
    database = place.database()
    backup = database.seal(point, database.back_up(point, 5), 5)
    before = place.server.content(place.name)
    target = link_environment("6.1.1", tmp_path / "bad", *KIND.packages)
    add_revision(target, "SELECT * FROM nowhere")
    with pytest.raises(HubError, match='relation "nowhere" does not exist'):
        migration.migrate(database, place.context, target, tmp_path / "state")
    assert place.server.content(place.name) != before
    database.restore(point, backup, point / "replaced")
    database.give_owner_of(backup)
    assert place.server.content(place.name) == before
