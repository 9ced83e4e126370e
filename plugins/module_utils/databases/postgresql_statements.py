"""The SQL with which PostgreSQL is asked and told; names and texts in it are quoted here."""

from __future__ import annotations

from typing import NamedTuple, Sequence

from .hub_tables import KEYS

#: Tables that make a database a hub's.
HUBS = (*KEYS, "alembic_version", "servers", "oauth_codes")
#: Objects that neither PostgreSQL nor an extension has made, in schemas that are not its own; ``{oid}`` of
#: catalogue ``{catalogue}``, ``{schema}`` of its schema.
_OF_PEOPLE = (
    "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND NOT EXISTS "
    "(SELECT FROM pg_depend x WHERE x.classid = '{catalogue}'::regclass AND x.objid = {oid} "
    "AND x.deptype = 'e')"
)
_MINE = "pg_has_role({owner}, 'MEMBER')"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    quotes = text.replace("'", "''")
    return f"E'{quotes.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{quotes}'"


#: The schema that the hub's tables are in: the first of the search path that has some.
HUB_SCHEMA = (
    "(SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.oid IN (to_regclass('users'), to_regclass('alembic_version')) ORDER BY c.relname DESC LIMIT 1)"
)


def _relations(*joins: str) -> str:
    """``FROM`` and ``WHERE``: relations ``c`` of people's, their schemas ``n``, and what else is joined."""
    sources = ["FROM pg_class c", "JOIN pg_namespace n ON n.oid = c.relnamespace", *joins]
    return f"{' '.join(sources)} WHERE {_OF_PEOPLE.format(catalogue='pg_class', oid='c.oid')}"


_RELATIONS = _relations()
_NAME = "CASE WHEN n.nspname = {schema} THEN c.relname ELSE n.nspname || '.' || c.relname END"
_NAMES = f"c.relname IN ({', '.join(map(literal, HUBS))})"
#: Which of them are tables with rows that can be read, of the hub's role or known as a hub's.
_READABLE = (
    "AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT') AND "
    f"({_MINE.format(owner='c.relowner')} OR {_NAMES})"
)
_TABLES = f"{_RELATIONS} {_READABLE}"


def count_rows() -> list[str]:
    """psql's commands that print rows ``name, number`` of each table, and ``None, revision``."""
    name = _NAME.format(schema=HUB_SCHEMA)
    return [
        f"SELECT format('COPY (SELECT %L, count(*) FROM %I.%I) TO STDOUT', {name}, n.nspname, c.relname) "
        f"{_TABLES} \\gexec",
        "SELECT format('COPY (SELECT NULL, version_num FROM %I.%I) TO STDOUT', n.nspname, c.relname) "
        f"{_TABLES} AND c.oid = to_regclass('alembic_version') \\gexec",
    ]


#: psql's command that prints each table with its rows' number and a hash of them, in whatever order they are.
COUNT_AND_HASH_ROWS = (
    "SELECT format('SELECT concat_ws(chr(9), to_json(%L::text), count(*), coalesce(sum((''x'' || "
    "substr(md5(this::text), 1, 15))::bit(60)::bigint), 0)) FROM %I.%I AS this', "
    f"n.nspname || '.' || c.relname, n.nspname, c.relname) {_TABLES} "
    'ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C" \\gexec'
)
#: psql's commands that print all that a migration changes beside rows: each column, and the revision.
COLUMNS_AND_REVISION = [
    "SELECT concat_ws(' ', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), "
    'a.attnotnull) COLLATE "C" '
    + _relations("JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped")
    + f" {_READABLE} ORDER BY 1;",
    "SELECT format('SELECT version_num FROM %s', to_regclass('alembic_version')) "
    "WHERE to_regclass('alembic_version') IS NOT NULL \\gexec",
]

#: Rows of: table, column, whether it is in the primary key; of the hub's schema and of what is the hub's.
COLUMNS = (
    f"SELECT {_NAME.format(schema=HUB_SCHEMA)}, a.attname, EXISTS (SELECT FROM pg_index i WHERE "
    "i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)) "
    + _relations("JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped")
    + f" {_READABLE} ORDER BY 1, a.attnum"
)


class Server(NamedTuple):
    """What the server says of itself, of the database and of the hub's role: the row of `SERVER`."""

    number: int
    """Its version, ``150013``."""
    version: str
    may_create: bool
    """Whether the role may make databases."""
    owns: bool
    bytes: int
    owner: str
    role: str
    is_bound: bool
    """Whether something hangs on the database that a copy of it would not have, and nobody of ours could give
    it: a replication slot, a setting of another role's."""

    @classmethod
    def of(cls, row: Sequence[str | None]) -> Server:
        number, version, may_create, owns, size, owner, role, is_bound = map(str, row)
        return cls(
            *(int(number), version, may_create == "t", owns == "t"),
            *(int(size), owner, role, is_bound == "t"),
        )

    @property
    def major(self) -> int:
        return self.number // 10000

    @property
    def may_copy(self) -> bool:
        """Whether it may be asked to copy the database."""
        return self.may_create and self.owns and not self.is_bound


SERVER = (
    "SELECT current_setting('server_version_num'), current_setting('server_version'), "
    "r.rolcreatedb OR r.rolsuper, pg_has_role(d.datdba, 'MEMBER'), pg_database_size(d.oid), "
    "pg_get_userbyid(d.datdba), r.rolname, "
    "EXISTS (SELECT FROM pg_replication_slots s WHERE s.datoid = d.oid) "
    "OR EXISTS (SELECT FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS one "
    "LEFT JOIN pg_settings p ON p.name = split_part(one, '=', 1) WHERE s.setdatabase = d.oid "
    "AND NOT r.rolsuper AND (s.setrole NOT IN (0, r.oid) OR p.context IS DISTINCT FROM 'user')) "
    "FROM pg_database d JOIN pg_roles r ON r.rolname = current_user WHERE d.datname = current_database()"
)


def sessions(own: Sequence[str]) -> str:
    """Rows of sessions in this database that are not the hub's: number, role, program, address, state.

    The hub's are those of its role, from this host, whose program has one of the names ``own``.
    """
    names = ", ".join(map(literal, own))
    return (
        "SELECT pid, usename, application_name, client_addr, state FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename IS NOT NULL "
        # Hidden from roles that may not look at others' sessions.
        "AND coalesce(backend_type, 'client backend') = 'client backend' "
        f"AND (usename <> current_user OR application_name NOT IN ({names}) "
        "OR client_addr IS DISTINCT FROM inet_client_addr()) ORDER BY pid"
    )


#: Who asks, and whether this role may end sessions of all others but superusers.
MAY_END_SESSIONS = (
    "SELECT rolname, rolsuper OR pg_has_role(rolname, 'pg_signal_backend', 'MEMBER') "
    "FROM pg_roles WHERE rolname = current_user"
)
#: Rows of views that read tables of the hub's: view, tables.
VIEWS = (
    "SELECT v.oid::regclass::text, string_agg(DISTINCT c.relname, ', ' ORDER BY c.relname) "
    + _relations(
        "JOIN pg_depend y ON y.refclassid = 'pg_class'::regclass AND y.refobjid = c.oid "
        "AND y.classid = 'pg_rewrite'::regclass",
        "JOIN pg_rewrite w ON w.oid = y.objid",
        "JOIN pg_class v ON v.oid = w.ev_class AND v.oid <> c.oid",
    )
    + f" AND c.relkind IN ('r', 'p') AND {_NAMES} GROUP BY v.oid ORDER BY 1"
)
#: Rows of the hub's tables that another role owns: table, role.
FOREIGN = (
    f"SELECT c.relname, pg_get_userbyid(c.relowner) {_RELATIONS} AND c.relkind IN ('r', 'p') "
    f"AND n.nspname = {HUB_SCHEMA} AND {_NAMES} "
    f"AND NOT {_MINE.format(owner='c.relowner')} ORDER BY 1"
)
#: Rows of tables, views and sequences of others, which no dump of ours can hold: schema, name.
EXCLUDED = (
    f"SELECT n.nspname, c.relname {_RELATIONS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') "
    f"AND NOT {_MINE.format(owner='c.relowner')}"
)
#: Rows of schemas that belong to others: name.
FOREIGN_SCHEMAS = (
    f"SELECT nspname FROM pg_namespace WHERE nspname = 'public' OR NOT {_MINE.format(owner='nspowner')}"
)
#: psql's commands that drop whatever the hub's role has in this database.
DROP_ALL = [
    f"SELECT format('DROP SCHEMA IF EXISTS %I CASCADE', n.nspname) FROM pg_namespace n WHERE "
    f"{_OF_PEOPLE.format(catalogue='pg_namespace', oid='n.oid')} AND n.nspname <> 'public' "
    f"AND {_MINE.format(owner='n.nspowner')} \\gexec",
    "SELECT format('DROP %s IF EXISTS %I.%I CASCADE', CASE c.relkind WHEN 'v' THEN 'VIEW' "
    "WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE' "
    f"ELSE 'TABLE' END, n.nspname, c.relname) {_RELATIONS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') "
    f"AND {_MINE.format(owner='c.relowner')} \\gexec",
    "SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure) FROM pg_proc p "
    "JOIN pg_namespace n ON n.oid = p.pronamespace WHERE "
    f"{_OF_PEOPLE.format(catalogue='pg_proc', oid='p.oid')} AND {_MINE.format(owner='p.proowner')} \\gexec",
    "SELECT format('DROP %s IF EXISTS %I.%I CASCADE', CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, "
    "n.nspname, t.typname) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace "
    "LEFT JOIN pg_class k ON k.oid = t.typrelid WHERE "
    f"{_OF_PEOPLE.format(catalogue='pg_type', oid='t.oid')} AND t.typelem = 0 "
    f"AND t.typtype IN ('c', 'd', 'e', 'r') AND (k.relkind IS NULL OR k.relkind = 'c') "
    f"AND {_MINE.format(owner='t.typowner')} \\gexec",
]


# Databases on the server


def databases_like(prefix: str) -> str:
    """Rows of databases whose names begin so: name."""
    return f"SELECT datname FROM pg_database WHERE starts_with(datname, {literal(prefix)}) ORDER BY 1"


def exists(database: str) -> str:
    return f"SELECT 1 FROM pg_database WHERE datname = {literal(database)}"


def create_like(database: str, model: str) -> str:
    """psql's command that makes an empty database with encoding and locale of another."""
    return (
        f"SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', "
        f"{literal(database)}, pg_encoding_to_char(encoding), datcollate, datctype) || "
        "CASE to_jsonb(d) ->> 'datlocprovider' WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', "
        "coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')) "
        "WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', to_jsonb(d) ->> 'datlocale') "
        f"ELSE '' END FROM pg_database d WHERE datname = {literal(model)} \\gexec"
    )


#: Have the kernel copy files where a server can ask for that (18): some file systems share blocks then.
CLONE_FILES = (
    "SELECT set_config(name, 'clone', false) FROM pg_settings "
    "WHERE name = 'file_copy_method' AND 'clone' = ANY (enumvals);"
)


def create_from(database: str, template: str, owner: str, by_files: bool) -> str:
    """Copy a database that nobody is connected to; ``by_files`` from 15 on, where the server can choose."""
    strategy = " STRATEGY file_copy" if by_files else ""
    return f"CREATE DATABASE {quoted(database)} TEMPLATE {quoted(template)} OWNER {quoted(owner)}{strategy};"


def make_private(database: str) -> str:
    """Let nobody else connect to a copy, and be in the way of its use."""
    return f"REVOKE ALL ON DATABASE {quoted(database)} FROM PUBLIC;"


def drop(database: str, force: bool = False) -> str:
    return f"DROP DATABASE IF EXISTS {quoted(database)}{' WITH (FORCE)' if force else ''};"


def swap(new: str, database: str, aside: str) -> list[str]:
    """psql's commands that put one database in another's place, which goes aside: both or neither."""
    return [
        "BEGIN;",
        f"SELECT format('ALTER DATABASE %I RENAME TO %I', datname, {literal(aside)}) FROM pg_database "
        f"WHERE datname = {literal(database)} \\gexec",
        f"ALTER DATABASE {quoted(new)} RENAME TO {quoted(database)};",
        "COMMIT;",
    ]


def end_sessions(database: str, own: Sequence[str]) -> str:
    """End the hub's sessions, as `sessions` knows them: it has stopped."""
    return (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user "
        f"AND datname = {literal(database)} AND pid <> pg_backend_pid() "
        f"AND application_name IN ({', '.join(map(literal, own))});"
    )


# What hangs on the database and not on what is in it


def settings(database: str) -> list[str]:
    """Queries that yield: owner, connection limit, comment; grants; settings."""
    where = f"WHERE d.datname = {literal(database)}"
    return [
        "SELECT pg_get_userbyid(d.datdba), d.datconnlimit, shobj_description(d.oid, 'pg_database') "
        f"FROM pg_database d {where}",
        "SELECT CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, "
        "a.is_grantable FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a "
        f"{where} ORDER BY 1, 2, 3",
        "SELECT CASE s.setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END, "
        "split_part(one, '=', 1), substr(one, strpos(one, '=') + 1) FROM pg_database d "
        f"JOIN pg_db_role_setting s ON s.setdatabase = d.oid CROSS JOIN unnest(s.setconfig) AS one {where} "
        "ORDER BY 1, 2",
    ]


def give_setting(database: str, role: str | None, name: str, value: str) -> list[str]:
    """A setting of a database as it was: the server quotes lists in it itself."""
    return [
        f"SELECT set_config({literal(name)}, {literal(value)}, false);",
        f"ALTER {_scope(database, role)} SET {name} FROM CURRENT;",
    ]


def take_setting(database: str, role: str | None, name: str) -> str:
    return f"ALTER {_scope(database, role)} RESET {name};"


def _scope(database: str, role: str | None) -> str:
    """Where a setting holds: in a database, for one role or for all."""
    return f"ROLE {quoted(role)} IN DATABASE {quoted(database)}" if role else f"DATABASE {quoted(database)}"


def grantee(role: str | None) -> str:
    return quoted(role) if role else "PUBLIC"


def exclude(rows: Sequence[tuple[str | None, ...]]) -> list[str]:
    """pg_dump's arguments that leave these tables out."""
    return [f"--exclude-table={quoted(str(schema))}.{quoted(str(name))}" for schema, name in rows]
