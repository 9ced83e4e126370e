"""Runs inside the hub's environment, handed over as text: copies a hub's database to another one, row by row.

It also makes a hub's database anew, with those of its rows that are carried over.

It reads one line of JSON from standard input and writes one with the answer, ``{"error": why}`` where it
fails; before that of a copy, about one a second, ``{"done": rows, "total": rows}``.

Requests, whose URLs are SQLAlchemy's:

    do              with                      answer
    look            url                       tables, views (names), owner (who moves to it, or null)
    copy            source, target, owner     rows (number by table)
    digest          url, like                 tables ({rows, digest} by name)
    forget servers  url, tables, owner
    empty           url, owner                tables (names of those that are gone)
    release         url, owner
    start fresh     url, carried (columns     rows (number by table), servers (that were registered)
                    left out, by table),
                    stopped (whether no
                    server runs any more)

The hub's own models make its tables. All other tables, and columns that the models do not know, are made as
the source has them. While a move is under way, a table of the target names its owner and what it has made:
only that is removed again.

Works with SQLAlchemy 1.4 to 2.1.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from typing import Any, Callable, Iterator

ROWS_AT_ONCE = 2000
SECONDS_BETWEEN_COUNTS = 1.0
#: The table of the target that says who moves a database to it.
MARK = "hubops_move"
#: The table with the revision.
REVISION = "alembic_version"
#: Of hubs before this one.
EARLIER_TABLES = (
    *("hubs", "proxies", "oauth_access_tokens"),
    *("api_token_role_map", "oauth_client_role_map", "oauth_code_role_map"),
)
#: SQLite's own tables.
INTERNAL = "sqlite_"


class NotPossible(Exception):
    """A reason in words."""


def main() -> None:
    if sys.path[0] == "":
        # `python -c` imports from the working directory first; the hub's own script does not.
        del sys.path[0]
    request = json.loads(sys.stdin.readline())
    doing: dict[str, Callable[..., dict[str, Any]]] = {
        "look": look,
        "copy": copy,
        "digest": digest,
        "forget servers": forget_servers,
        "empty": empty,
        "release": release,
        "start fresh": start_fresh,
    }
    do = doing[request.pop("do")]
    try:
        answer = do(**request)
    except Exception as error:
        answer = {"error": reason(error)}
    say(answer)


def say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def reason(error: Exception) -> str:
    """Why it failed, without statements and values of rows; the driver's words where it was the driver."""
    if isinstance(error, (NotPossible, ImportError)):
        return str(error)
    words = " ".join(str(getattr(error, "orig", None) or error).partition("\n[SQL")[0].split())
    return f"{type(error).__name__}: {words}"


def open_database(url: str) -> Any:
    import sqlalchemy

    return sqlalchemy.create_engine(url, future=True)


def tables_of(engine: Any) -> list[str]:
    """The names of all tables, but for the database's own and our mark."""
    import sqlalchemy

    names = sqlalchemy.inspect(engine).get_table_names()
    return sorted(name for name in names if name != MARK and not name.startswith(INTERNAL))


def look(url: str) -> dict[str, Any]:
    import sqlalchemy

    engine = open_database(url)
    marks = marked(engine)
    return {
        "tables": tables_of(engine),
        "views": sorted(sqlalchemy.inspect(engine).get_view_names()),
        "owner": marks[0].owner if marks else None,
    }


def copy(source: str, target: str, owner: str) -> dict[str, Any]:
    """Copy all rows; what an earlier copy of the same owner has left is removed first."""
    old, new = open_database(source), open_database(target)
    empty(target, owner)
    if tables_of(new):
        raise NotPossible(f"The new database is not empty: it has {', '.join(tables_of(new)[:5])}.")
    make_tables(old, new, owner)
    tables = reflected(new, tables_of(old))
    rows = {}
    with old.connect() as reading:
        counts = Counts(reading, tables)
        for table in tables:
            try:
                rows[table.name] = copy_table(reading, common_columns(old, table), new, table, counts)
            except Exception as error:
                raise NotPossible(f"The rows of {table.name} cannot be copied: {reason(error)}") from error
    return {"rows": rows}


def copy_table(reading: Any, columns: list[str], new: Any, table: Any, counts: Counts) -> int:
    """Copy the rows of one table; how many there are."""
    rows = 0
    with new.begin() as writing:
        for batch in in_order(table, columns, read(reading, table, columns)):
            writing.execute(table.insert(), [dict(zip(columns, row)) for row in batch])
            rows += len(batch)
            counts.add(len(batch))
        set_sequences(writing, table)
    return rows


def make_tables(old: Any, new: Any, owner: str) -> None:
    """Make every table of the old database in the new one, with no rows; first of all our mark."""
    import sqlalchemy
    from jupyterhub import orm

    others = sqlalchemy.MetaData()
    sqlalchemy.event.listen(others, "column_reflect", generalize)
    others.reflect(old, only=tables_of(old))
    names = sorted({*others.tables, *orm.Base.metadata.tables})
    mark = mark_table()
    mark.create(new)
    with new.begin() as connection:
        connection.execute(mark.insert(), [{"owner": owner, "made": name} for name in names])
    if orm.mysql_large_prefix_check(new):
        orm.add_row_format(orm.Base)
    orm.Base.metadata.create_all(new)
    others.create_all(
        new, [table for name, table in others.tables.items() if name not in orm.Base.metadata.tables]
    )
    for table in reflected(new, names):
        for column in others.tables[table.name].columns if table.name in others.tables else ():
            if column.name not in table.columns:
                add_column(new, table, column)


def generalize(_inspector: Any, _table: str, column: dict[str, Any]) -> None:
    """Have a reflected column of the type that every database has for it."""
    column["type"] = general(column["type"])


def general(kind: Any) -> Any:
    """The type that every database has for this one, and that holds no less."""
    import sqlalchemy

    found = kind.as_generic(allow_nulltype=True)
    if isinstance(found, sqlalchemy.Float):
        # Eight bytes everywhere, and the same numbers of Python's.
        return sqlalchemy.Float(53)
    if type(found) in (sqlalchemy.String, sqlalchemy.Unicode) and found.length is None:
        return sqlalchemy.Text()
    return found


def add_column(new: Any, table: Any, column: Any) -> None:
    """Add one that the hub's models do not know, such as an earlier version's."""
    import sqlalchemy
    from sqlalchemy.schema import CreateColumn

    added = CreateColumn(sqlalchemy.Column(column.name, column.type)).compile(dialect=new.dialect)
    with new.begin() as connection:
        name = new.dialect.identifier_preparer.format_table(table)
        connection.execute(sqlalchemy.text(f"ALTER TABLE {name} ADD COLUMN {added}"))


def reflected(engine: Any, names: list[str]) -> list[Any]:
    """Tables as the database has them; one that others refer to comes before them."""
    import sqlalchemy

    found = sqlalchemy.MetaData()
    found.reflect(engine, only=names)
    return list(found.sorted_tables)


def common_columns(engine: Any, table: Any) -> list[str]:
    """The columns of a table that another database has, too."""
    import sqlalchemy

    known = {column["name"] for column in sqlalchemy.inspect(engine).get_columns(table.name)}
    return [column.name for column in table.columns if column.name in known]


def read(connection: Any, table: Any, columns: list[str]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a table as the columns of the new database's ``table`` hold them, in batches."""
    import sqlalchemy
    from sqlalchemy.dialects import mysql

    kinds = {name: table.columns[name].type for name in columns}
    wanted = [sqlalchemy.column(name, general(kind)) for name, kind in kinds.items()]
    # MySQL has no fractions of a second unless it is asked for them, and MariaDB and MySQL round differently.
    whole = [
        number
        for number, kind in enumerate(kinds.values())
        if isinstance(kind, (mysql.DATETIME, mysql.TIMESTAMP)) and not kind.fsp
    ]
    query = sqlalchemy.select(*wanted).select_from(sqlalchemy.table(table.name))
    found = connection.execute(query.execution_options(stream_results=True))
    for batch in found.partitions(ROWS_AT_ONCE):
        yield [without_fractions(row, whole) if whole else tuple(row) for row in batch]


def without_fractions(row: Any, columns: list[int]) -> tuple[Any, ...]:
    values = list(row)
    for number in columns:
        if values[number] is not None:
            values[number] = values[number].replace(microsecond=0)
    return tuple(values)


def in_order(
    table: Any, columns: list[str], batches: Iterator[list[tuple[Any, ...]]]
) -> Iterator[list[tuple[Any, ...]]]:
    """The same rows; where a table refers to itself, a row comes after the one that it refers to."""
    references = [
        (columns.index(key.parent.name), columns.index(key.column.name))
        for key in table.foreign_keys
        if key.column.table is table
    ]
    if not references:
        yield from batches
        return
    waiting = [row for batch in batches for row in batch]
    while waiting:
        missing = [{row[to] for row in waiting} for _of, to in references]
        ready = [
            row
            for row in waiting
            if not any(
                row[of] in names and row[of] != row[to] for (of, to), names in zip(references, missing)
            )
        ]
        # Rows in a circle: the database says which.
        yield ready or waiting
        waiting = [row for row in waiting if row not in ready] if ready else []


def set_sequences(connection: Any, table: Any) -> None:
    """Have the numbers of new rows follow those that were copied, where a database counts them apart."""
    import sqlalchemy

    name = connection.dialect.identifier_preparer.format_table(table)
    for column in table.primary_key:
        default = getattr(column.server_default, "arg", "")
        if not column.identity and "nextval(" not in str(default):
            continue
        last = connection.execute(sqlalchemy.select(sqlalchemy.func.max(column))).scalar()
        if last is not None and last > 0:
            sequence = sqlalchemy.func.pg_get_serial_sequence(name, column.name)
            connection.execute(sqlalchemy.select(sqlalchemy.func.setval(sequence, last)))


class Counts:
    """Tells how far a copy has come."""

    def __init__(self, connection: Any, tables: list[Any]) -> None:
        import sqlalchemy

        number = sqlalchemy.func.count()
        queries = [sqlalchemy.select(number).select_from(sqlalchemy.table(table.name)) for table in tables]
        self.total = sum(connection.execute(query).scalar() for query in queries)
        self.done = 0
        self.told = time.monotonic()

    def add(self, rows: int) -> None:
        self.done += rows
        if time.monotonic() - self.told >= SECONDS_BETWEEN_COUNTS:
            self.told = time.monotonic()
            say({"done": self.done, "total": self.total})


def digest(url: str, like: str) -> dict[str, Any]:
    """Number and digest of each table's rows, in whatever order, as the columns of ``like`` hold them."""
    engine, new = open_database(url), open_database(like)
    tables = {}
    with engine.connect() as connection:
        for table in reflected(new, tables_of(engine)):
            total, number = 0, 0
            for batch in read(connection, table, common_columns(engine, table)):
                number += len(batch)
                for row in batch:
                    total += int.from_bytes(
                        hashlib.blake2b(repr(row).encode(), digest_size=16).digest(), "big"
                    )
            tables[table.name] = {"rows": number, "digest": f"{total % 2**128:032x}"}
    return {"tables": tables}


def forget_servers(url: str, tables: list[str], owner: str) -> dict[str, Any]:
    """Take single-user servers out: a hub that knows of one asks after it, and may stop it."""
    import sqlalchemy

    engine = open_database(url)
    require_owner(engine, owner)
    with engine.begin() as connection:
        services = sqlalchemy.table("services", sqlalchemy.column("_server_id"))
        connection.execute(services.update().values(_server_id=None))
        for name in tables:
            if name in tables_of(engine):
                connection.execute(sqlalchemy.table(name).delete())
    return {}


def empty(url: str, owner: str) -> dict[str, Any]:
    """Remove what a move has made, and our mark last; what has no mark is left alone."""
    engine = open_database(url)
    if not marked(engine):
        return {"tables": []}
    made = {mark.made for mark in require_owner(engine, owner)}
    tables = reflected(engine, [name for name in tables_of(engine) if name in made])
    if tables:
        tables[0].metadata.drop_all(engine, tables)
    mark_table().drop(engine)
    return {"tables": [table.name for table in tables]}


def release(url: str, owner: str) -> dict[str, Any]:
    """From here on what was made is the hub's."""
    engine = open_database(url)
    if marked(engine):
        require_owner(engine, owner)
        mark_table().drop(engine)
    return {}


def start_fresh(url: str, carried: dict[str, list[str]], stopped: bool) -> dict[str, Any]:
    """Make the hub's tables anew, with the rows that are carried over; all others are left alone.

    The revision goes first and comes last: what is cut off has none.
    """
    from jupyterhub import orm

    engine = open_database(url)
    if orm.mysql_large_prefix_check(engine):
        orm.add_row_format(orm.Base)
    with engine.begin() as connection:
        there = tables_of(connection)
        if "users" not in there or REVISION not in there:
            raise NotPossible("It is not a whole database of a hub: it has no users, or no revision.")
        old = {
            table.name: table
            for table in reflected(connection, [name for name in there if name in hubs_tables()])
        }
        servers = count_servers(connection)
        if servers and not stopped:
            raise NotPossible(
                f"{servers} servers are registered that go on without the hub; stop them first."
            )
        kept = {
            name: read_all(connection, old[name], without) for name, without in carried.items() if name in old
        }
        old[REVISION].drop(connection)
        old["users"].metadata.drop_all(connection, list(old.values()))
        orm.Base.metadata.create_all(connection)
        for table in orm.Base.metadata.sorted_tables:
            if kept.get(table.name):
                write_all(connection, old[table.name], table, kept[table.name])
        for table in reflected(connection, list(kept)):
            set_sequences(connection, table)
        stamp(connection)
    return {"rows": {name: len(rows) for name, rows in kept.items()}, "servers": servers}


def hubs_tables() -> set[str]:
    """The names of tables that hubs of any version have."""
    from jupyterhub import orm

    return {*orm.Base.metadata.tables, *EARLIER_TABLES, REVISION}


def count_servers(connection: Any) -> int:
    import sqlalchemy

    running = sqlalchemy.column("server_id").isnot(None)
    query = (
        sqlalchemy.select(sqlalchemy.func.count()).select_from(sqlalchemy.table("spawners")).where(running)
    )
    return int(connection.execute(query).scalar())


def read_all(connection: Any, table: Any, without: list[str]) -> list[dict[str, Any]]:
    """The rows of a table, but for some columns."""
    columns = [column.name for column in table.columns if column.name not in without]
    return [dict(zip(columns, row)) for batch in read(connection, table, columns) for row in batch]


def write_all(connection: Any, old: Any, new: Any, rows: list[dict[str, Any]]) -> None:
    """Insert the rows of ``old``; a column that is only in ``new`` has what the hub gives it."""
    import sqlalchemy

    columns = [name for name in rows[0] if name in new.columns]
    values = {
        name: sqlalchemy.bindparam(f"old_{name}", type_=general(old.columns[name].type)) for name in columns
    }
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        batch = [{f"old_{name}": row[name] for name in columns} for row in rows[begin : begin + ROWS_AT_ONCE]]
        connection.execute(new.insert().values(values), batch)


def stamp(connection: Any) -> None:
    """Have the database be of this hub's revision."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from jupyterhub import dbutil

    MigrationContext.configure(connection).stamp(ScriptDirectory(dbutil.ALEMBIC_DIR), "head")


def mark_table() -> Any:
    import sqlalchemy

    text = sqlalchemy.Text
    columns = (sqlalchemy.Column("owner", text), sqlalchemy.Column("made", text))
    return sqlalchemy.Table(MARK, sqlalchemy.MetaData(), *columns)


def marked(engine: Any) -> list[Any]:
    """The rows of our mark; none where there is no move to this database."""
    import sqlalchemy

    if MARK not in sqlalchemy.inspect(engine).get_table_names():
        return []
    with engine.connect() as connection:
        return list(connection.execute(sqlalchemy.select(mark_table())).all())


def require_owner(engine: Any, owner: str) -> list[Any]:
    marks = marked(engine)
    owners = {mark.owner for mark in marks}
    if owners != {owner}:
        raise NotPossible(f"Nothing in it is of this move, but of {', '.join(owners) or 'nobody'}.")
    return marks


if __name__ == "__main__":
    main()
