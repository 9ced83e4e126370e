"""What MySQL and MariaDB are told and asked in SQL, and how a client's answer is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .server import Row

#: Where a name or a pattern of a GRANT allows everything below it.
_ALL = "ALL PRIVILEGES"
#: What a database takes that is dumped, and restored with all that is in it.
NEEDED_PRIVILEGES = frozenset(
    (
        *("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES"),
        *("CREATE VIEW", "SHOW VIEW", "TRIGGER", "EVENT", "CREATE ROUTINE", "ALTER ROUTINE", "LOCK TABLES"),
    )
)
#: One of them is enough to make views and triggers that another user has defined.
DEFINERS_PRIVILEGES = frozenset(("SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"))
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\0": "\0", "\\\\": "\\"}
#: What holds rows.
_TABLES = "TABLE_SCHEMA = DATABASE() AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"

SNAPSHOT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
TABLES = f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE {_TABLES} ORDER BY TABLE_NAME"
COLUMNS = (
    "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_KEY = 'PRI' FROM information_schema.COLUMNS "
    "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN "
    f"(SELECT TABLE_NAME FROM information_schema.TABLES WHERE {_TABLES}) "
    "ORDER BY TABLE_NAME, ORDINAL_POSITION"
)
#: By kind, what has to be dropped so that a database is empty.
OBJECTS = (
    "SELECT IF(TABLE_TYPE IN ('VIEW', 'SEQUENCE'), TABLE_TYPE, 'TABLE'), TABLE_NAME "
    "FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() "
    # Without its stamp, a database that is half restored is not taken for a whole one.
    "ORDER BY TABLE_NAME <> 'alembic_version', TABLE_TYPE <> 'VIEW', TABLE_NAME"
)
ROUTINES = (
    "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() "
    "UNION ALL SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()"
)
#: How many rows each table has, in the same transaction as what is read before and after.
COUNTS = (
    "SET SESSION group_concat_max_len = 16777216",
    "SET @hubops_counts = (SELECT GROUP_CONCAT('SELECT ', QUOTE(TABLE_NAME), ', COUNT(*) FROM `', "
    "REPLACE(TABLE_NAME, '`', '``'), '`' SEPARATOR ' UNION ALL ') "
    f"FROM information_schema.TABLES WHERE {_TABLES})",
    "SET @hubops_counts = COALESCE(@hubops_counts, 'SELECT NULL, NULL FROM DUAL WHERE FALSE')",
    "PREPARE hubops_counts FROM @hubops_counts",
    "EXECUTE hubops_counts",
)
#: The same with each table's name in JSON, and a hash of its rows in all columns but @hubops_left_out.
COUNT_AND_HASH_ROWS = (
    "SET SESSION group_concat_max_len = 16777216",
    "SET @hubops_rows = (SELECT GROUP_CONCAT('SELECT JSON_QUOTE(', QUOTE(TABLE_NAME), '), COUNT(*), "
    "COALESCE(SUM(CAST(CONV(LEFT(SHA2(CONCAT_WS('','', ', parts, '), 256), 15), 16, 10) AS UNSIGNED)), 0) "
    "FROM `', REPLACE(TABLE_NAME, '`', '``'), '`' SEPARATOR ' UNION ALL ') FROM (SELECT TABLE_NAME, "
    "GROUP_CONCAT('COALESCE(HEX(CONCAT(`', REPLACE(COLUMN_NAME, '`', '``'), '`)), ''-'')' "
    "ORDER BY ORDINAL_POSITION) AS parts FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() "
    # Whatever their collations are.
    "AND CAST(COLUMN_NAME AS BINARY) <> CAST(@hubops_left_out AS BINARY) "
    "AND TABLE_NAME IN (SELECT TABLE_NAME FROM information_schema.TABLES "
    f"WHERE {_TABLES}) GROUP BY TABLE_NAME) AS hubops_tables)",
    "PREPARE hubops_rows FROM @hubops_rows",
    "EXECUTE hubops_rows",
)
STAMP = (
    "SET @hubops_stamp = IF(EXISTS (SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() "
    "AND TABLE_NAME = 'alembic_version'), 'SELECT version_num FROM alembic_version', "
    "'SELECT 1 FROM DUAL WHERE FALSE')",
    "PREPARE hubops_stamp FROM @hubops_stamp",
    "EXECUTE hubops_stamp",
)
VERSION = "SELECT VERSION(), @@version_comment"
SIZE = "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
UNSAFE_TABLES = (
    f"SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE {_TABLES} AND ENGINE <> 'InnoDB' "
    "ORDER BY TABLE_NAME"
)
#: What other users have defined. Whoever may not act for these cannot make it again, nor read all of it.
FOREIGN = (
    "SELECT 'VIEW', TABLE_NAME FROM information_schema.VIEWS "
    "WHERE TABLE_SCHEMA = DATABASE() AND DEFINER <> CURRENT_USER() UNION ALL "
    "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES "
    "WHERE ROUTINE_SCHEMA = DATABASE() AND DEFINER <> CURRENT_USER() UNION ALL "
    "SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS "
    "WHERE EVENT_SCHEMA = DATABASE() AND DEFINER <> CURRENT_USER()"
)
FOREIGN_TRIGGERS = (
    "SELECT TRIGGER_NAME, DEFINER FROM information_schema.TRIGGERS "
    "WHERE TRIGGER_SCHEMA = DATABASE() AND DEFINER <> CURRENT_USER() ORDER BY TRIGGER_NAME"
)
GRANTS = "SHOW GRANTS"
CHARACTER_SET = (
    "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA "
    "WHERE SCHEMA_NAME = DATABASE()"
)
OWN_NAME = "SELECT SUBSTRING_INDEX(USER(), '@', 1)"
#: Other connections to the database, as far as the hub's user may see them.
SESSIONS = (
    "SELECT ID, USER, HOST, COMMAND, TIME, COALESCE(STATE, '') FROM information_schema.PROCESSLIST "
    "WHERE DB = DATABASE() AND ID <> CONNECTION_ID()"
)


def settings(timeout: float) -> list[str]:
    """What a session begins with: it reads texts as they are written here, and waits for no lock for long.

    ``timeout`` in seconds.
    """
    seconds = max(1, int(timeout))
    return [
        "SET NAMES utf8mb4",
        # No mode of the server's: backslashes are escapes, and 0 is 0.
        "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', "
        f"lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}",
    ]


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text in any session, whatever its character set and its mode are."""
    return f"_utf8mb4 X'{text.encode().hex()}'"


def digest(columns: Sequence[str]) -> str:
    """An SQL expression: text that tells the content of these columns from any other."""
    parts = ", ".join(f"COALESCE(HEX(CONCAT({quoted(column)})), '-')" for column in columns)
    return f"SHA2(CONCAT_WS(',', {parts}), 256)"


def drop(objects: Sequence[Row]) -> list[str]:
    """Statements that drop objects, rows of `OBJECTS` and `ROUTINES`, in this order."""
    return [
        "SET SESSION foreign_key_checks = 0",
        *(f"DROP {kind} IF EXISTS {quoted(str(name))}" for kind, name in objects),
    ]


def alter_database(character_set: str, collation: str) -> str:
    """Have new tables of the session's database be of these."""
    return f"ALTER DATABASE CHARACTER SET {character_set} COLLATE {collation}"


def make_database(name: str, character_set: str, collation: str) -> str:
    return f"CREATE DATABASE IF NOT EXISTS {quoted(name)} CHARACTER SET {character_set} COLLATE {collation}"


def script(statements: Sequence[str]) -> bytes:
    return "".join(f"{statement};\n" for statement in statements).encode("utf-8", "surrogateescape")


def rows(printed: bytes) -> list[Row]:
    """The rows that a client prints in batch mode, without names of columns."""
    lines = printed.decode("utf-8", "surrogateescape").split("\n")
    return [tuple(map(_value, line.split("\t"))) for line in lines[:-1]]


def _value(printed: str) -> str | None:
    if printed == "NULL":
        return None
    return re.sub(r"\\[nt0\\]", lambda found: _ESCAPES[found[0]], printed)


class Grant(NamedTuple):
    """One line of SHOW GRANTS: privileges, and the databases that they are for."""

    privileges: frozenset[str]
    pattern: re.Pattern[str]

    def allows(self, database: str) -> bool:
        return bool(self.pattern.fullmatch(database))


def grants(printed: Sequence[Row]) -> list[Grant]:
    """Those grants that are for whole databases."""
    found = []
    for (line,) in printed:
        match = re.match(r"GRANT (.+?) ON (\*|`(?:[^`]|``)*`)\.\* TO ", line or "")
        if match:
            privileges = frozenset(each.strip() for each in match[1].split(","))
            if _ALL in privileges:
                privileges = NEEDED_PRIVILEGES | (DEFINERS_PRIVILEGES if match[2] == "*" else frozenset())
            pattern = ".*" if match[2] == "*" else _pattern(match[2][1:-1].replace("``", "`"))
            found.append(Grant(privileges, re.compile(pattern, re.DOTALL)))
    return found


def privileges_on(database: str, granted: Sequence[Grant]) -> frozenset[str]:
    """What may be done with a database, which need not exist."""
    return frozenset().union(*(grant.privileges for grant in granted if grant.allows(database)))


def escaped(name: str) -> str:
    """A name of a database for a GRANT that is for this one alone."""
    return re.sub(r"([\\_%])", r"\\\1", name)


def _pattern(name: str) -> str:
    """A name of a database in a GRANT, in which _ and % stand for others unless a backslash precedes them."""
    parts = re.findall(r"\\(.)|(.)", name, re.DOTALL)
    wild = {"_": ".", "%": ".*"}
    return "".join(
        re.escape(escaped) if escaped else wild.get(plain, re.escape(plain)) for escaped, plain in parts
    )
