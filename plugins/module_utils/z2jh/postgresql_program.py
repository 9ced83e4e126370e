"""PostgreSQL in a pod of its own image: dumps as of one snapshot, a restore in one transaction."""

from __future__ import annotations

from ..databases import postgresql_statements as statements
from ..databases import urls
from .server_program import NAMES, ServerProgram, refuse_option

#: Options of SQLAlchemy's URLs and the variables of libpq that say the same.
OPTIONS = {
    "sslmode": "PGSSLMODE",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "options": "PGOPTIONS",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
}
IGNORED = ("application_name", "fallback_application_name", "client_encoding")
#: The role of a server within the pod.
OWN = "hubops"
_SESSION = """\
\\set ON_ERROR_STOP on
SET client_encoding = 'UTF8'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET timezone = 'UTC';
SET extra_float_digits = 1; SET bytea_output = 'hex';"""
_ROWS = f"""\
\\o :folder/rows
{statements.COUNT_AND_HASH_ROWS}
\\o"""
_SCHEMA = "\n".join(["\\o :folder/schema", *statements.COLUMNS_AND_REVISION, "\\o"])
_DROP_ALL = "\n".join(statements.DROP_ALL)

_FIRST = """\
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to be root, as which its own image starts.
    chown postgres "$HUBOPS_CLAIM" "$HUBOPS_SCRATCH"
    export HUBOPS_PATH="$PATH" HUBOPS_DO="$1" HUBOPS_FOLDER="$2" HUBOPS_NAME="${3:-}"
    exec su -s /bin/sh postgres -c \\
        'PATH=$HUBOPS_PATH exec sh -c "$HUBOPS_PROGRAM" hubops "$HUBOPS_DO" "$HUBOPS_FOLDER" "$HUBOPS_NAME"'
fi
"""
_OWN = f"""
export HUBOPS_WORK="$work" HUBOPS_LOG="$log" PGAPPNAME=hubops

sql() {{
    psql -X -q -A -t -v "folder=$1" -f - 2>>"$log"
}}

# Within the server of this pod, and not the hub's.
here() {{
    (export PGHOST="$socket" PGPORT=5432 PGUSER={OWN} PGDATABASE=postgres PGPASSWORD= PGOPTIONS=; "$@")
}}

stop_server() {{
    [ ! -d "$work/data" ] || pg_ctl --pgdata "$work/data" --wait --mode immediate stop
}}

take() {{
    export HUBOPS_PART="$1"
    sql "$1" >"$work/said" <<'END'
{_SESSION}
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT 'encoding' || chr(9) || current_setting('server_encoding');
SELECT 'server' || chr(9) || current_setting('server_version_num')::int / 10000;
SELECT 'foreign' || chr(9) || name || ' of ' || owner FROM ({statements.FOREIGN}) AS these (name, owner);
SELECT 'revision' || chr(9) || to_json(version_num) FROM alembic_version;
SELECT 'user' || chr(9) || to_json(name) FROM users ORDER BY name LIMIT {NAMES};
\\o :folder/excluded
SELECT format('--exclude-table=%I.%I', schema, name) FROM ({statements.EXCLUDED}) AS these (schema, name);
\\o :folder/foreign
SELECT name FROM ({statements.FOREIGN_SCHEMAS}) AS these (name);
{_ROWS}
{_SCHEMA}
SELECT pg_export_snapshot() AS snapshot \\gset
\\setenv HUBOPS_SNAPSHOT :snapshot
\\! tr '\\n' '\\0' <"$HUBOPS_PART/excluded" | xargs -0 pg_dump -Fc --snapshot="$HUBOPS_SNAPSHOT" \
-f "$HUBOPS_PART/dump" 2>>"$HUBOPS_LOG" && : >"$HUBOPS_PART/dumped"
COMMIT;
END
    server=$(value_of server)
    case "$(pg_dump --version)" in
        *" $server."* | *" $server"[a-z]*) ;;
        *) fail "The image has $(pg_dump --version), and the server is a PostgreSQL $server." ;;
    esac
    [ -e "$1/dumped" ] || fail "pg_dump has failed: $(tail -n 1 "$log")"
    theirs=$(value_of foreign)
    [ -z "$theirs" ] || fail "Tables of the hub belong to other roles: $(echo "$theirs" | tr '\\n' ' ')"
    rm "$1/dumped" "$1/excluded"
}}

start_server() {{
    socket=$1
    initdb --pgdata "$work/data" --username {OWN} --auth trust --encoding "$(value_of encoding)" \\
        --locale C --no-sync >>"$log" 2>&1
    pg_ctl --pgdata "$work/data" --wait --log "$work/server" \\
        --options "-k $socket -p 5432 -c listen_addresses= -c fsync=off" start >>"$log" 2>&1
}}

load() {{
    here pg_restore --no-owner --no-acl --exit-on-error --dbname postgres "$1/dump" 2>>"$log"
}}

prove() {{
    start_server "$work"
    load "$1"
    here sql "$work" <<'END'
{_SESSION}
{_ROWS}
END
    stop_server >>"$log" 2>&1
    rm -rf "$work/data"
    same "$1/rows" "$work/rows" || fail "The dump does not have the rows that the database has."
}}

read_schema() {{
    sql "$1" <<'END'
{_SESSION}
{_SCHEMA}
END
}}

put_back() {{
    pg_restore --list "$1/dump" 2>>"$log" | grep -v ' EXTENSION ' >"$work/list"
    while IFS= read -r schema; do
        grep -v -F -e " SCHEMA - $schema " -e " - SCHEMA $schema " "$work/list" >"$work/less" || :
        mv "$work/less" "$work/list"
    done <"$1/foreign"
    pg_restore --use-list "$work/list" --file "$work/dump.sql" "$1/dump" 2>>"$log"
    export HUBOPS_DUMP="$1"
    sql "$work" >"$work/said" <<'END'
{_SESSION}
-- The hub is at 0 pods: what is left of it is a session whose end the server has not noticed.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user
    AND datname = current_database() AND pid <> pg_backend_pid();
BEGIN;
SET LOCAL lock_timeout = '60s';
{_DROP_ALL}
\\o /dev/null
\\i dump.sql
\\o
{_SESSION}
{_ROWS}
\\set same `[ "$(sha256sum <"$HUBOPS_DUMP/rows")" = "$(sha256sum <"$HUBOPS_WORK/rows")" ] && echo 1 || echo 0`
\\if :same
COMMIT;
\\echo restored
\\endif
END
    grep -q '^restored$' "$work/said" || fail "The database would not have the rows that the dump has."
}}
"""


class PostgresqlProgram(ServerProgram):
    """psql, pg_dump, pg_restore, and a server by initdb."""

    dialects = ("postgresql", "postgres")
    product = "PostgreSQL"
    image = "postgres:16"
    marks = ("postgres",)
    password_variable = "PGPASSWORD"
    own = _OWN
    first = _FIRST

    def variables(self, parts: urls.Url, password: str | None) -> dict[str, str]:
        found = {
            "PGHOST": parts.host,
            "PGPORT": parts.port or "5432",
            "PGUSER": parts.username,
            "PGDATABASE": urls.database_name(parts, ""),
            "PGCONNECT_TIMEOUT": "10",
        }
        for name, values in parts.query.items():
            if name in OPTIONS:
                found[OPTIONS[name]] = values[-1]
            elif name not in IGNORED:
                raise refuse_option(name)
        if password is not None:
            found["PGPASSWORD"] = password
        return {name: value for name, value in found.items() if value}

    def copy_of(self, parts: urls.Url, folder: str) -> urls.Url:
        # At a socket none of the variables that a hub has for TLS counts.
        there = {"host": [folder]}
        return self.of_hub(parts)._replace(
            username=OWN, password=None, host="", port="", database="postgres", query=there
        )

    def of_hub(self, parts: urls.Url) -> urls.Url:
        # As SQLAlchemy from 1.4 on calls it.
        return parts._replace(dialect="postgresql")
