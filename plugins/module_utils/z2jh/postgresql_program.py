"""The program for a hub's PostgreSQL database, in a pod of PostgreSQL's own image, as text for ``sh``.

Such an image has no Python; it has a shell, PostgreSQL's clients, and the server. Arguments: what to do, and
a folder on the claim of the recovery points. How the database is reached is in libpq's variables.

``back-up FOLDER NAME``: a dump in FOLDER/NAME, with the number of rows and a hash of each table as of the
dump's own snapshot. Proven before it counts: a server within the pod takes the dump, and must have the same.
``restore FOLDER``: only with the hub at 0 pods. Puts the newest dump of FOLDER back, where a hub has
migrated the database since; all of it in one transaction, which is compared before it counts.
``remove FOLDER``: removes all dumps of it.

What a dump holds is printed as lines: a word, and what it is, separated by tabs. A Job's pod writes what has
become of its request to ``HUBOPS_MESSAGE``, where the guard reads it.
"""

from __future__ import annotations

from ..databases import postgresql_statements as statements

#: While the hub served, and when it had stopped: where there is a last one, the old hub has left that.
FIRST, LAST = "first", "last"
#: Names of people that a description has at most.
NAMES = 10000

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

PROGRAM = f"""\
set -eu
umask 077
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to be root, as which its own image starts.
    chown postgres "$HUBOPS_CLAIM" "$HUBOPS_SCRATCH"
    export HUBOPS_PATH="$PATH" HUBOPS_DO="$1" HUBOPS_FOLDER="$2" HUBOPS_NAME="${{3:-}}"
    exec su -s /bin/sh postgres -c \\
        'PATH=$HUBOPS_PATH exec sh -c "$HUBOPS_PROGRAM" hubops "$HUBOPS_DO" "$HUBOPS_FOLDER" "$HUBOPS_NAME"'
fi

work=$(mktemp -d "$HUBOPS_SCRATCH/work.XXXXXX")
log=$(mktemp "$HUBOPS_SCRATCH/log.XXXXXX")
cd "$work"
export HUBOPS_WORK="$work" HUBOPS_LOG="$log" PGAPPNAME=hubops

end() {{
    code=$?
    if [ $code != 0 ]; then
        tail -n 5 "$log" >&2
        tell error "$(tail -n 1 "$log")"
    fi
    [ ! -d "$work/data" ] || pg_ctl --pgdata "$work/data" --mode immediate stop >/dev/null 2>&1 || :
    rm -rf "$work" "$log"
    exit $code
}}
trap end EXIT

tell() {{
    [ -n "${{HUBOPS_MESSAGE:-}}" ] || return 0
    text=$(printf %s "$2" | tr -d '"\\\\' | tr '[:cntrl:]' ' ' | cut -c 1-1000)
    printf '{{"%s": "%s"}}' "$1" "$text" >"$HUBOPS_MESSAGE"
}}

fail() {{
    echo "$1" >>"$log"
    exit 1
}}

sql() {{
    psql -X -q -A -t -v "folder=$1" -f - 2>>"$log"
}}

# Within the server of this pod, and not the hub's.
here() {{
    (export PGHOST="$work" PGPORT=5432 PGUSER=hubops PGDATABASE=postgres PGPASSWORD= PGOPTIONS=; "$@")
}}

back_up() {{
    part=$1/$2.part
    rm -rf "$part"
    mkdir -p "$part"
    export HUBOPS_PART="$part"
    sql "$part" >"$work/said" <<'END'
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
    [ -e "$part/dumped" ] || fail "pg_dump has failed: $(tail -n 1 "$log")"
    theirs=$(value_of foreign)
    [ -z "$theirs" ] || fail "Tables of the hub belong to other roles: $(echo "$theirs" | tr '\\n' ' ')"
    prove "$part" "$(value_of encoding)"
    (cd "$part" && rm dumped excluded && sha256sum dump rows schema foreign >sums)
    sync
    rm -rf "$1/$2"
    mv "$part" "$1/$2"
    sync
    sed 's/^/row\\t/' "$1/$2/rows"
    grep -E '^(revision|user)' "$work/said" || :
    printf 'schema\\t"%s"\\n' "$(sha256sum <"$1/$2/schema" | cut -d ' ' -f 1)"
    printf 'sha256\\t"%s"\\n' "$(sha256sum <"$1/$2/dump" | cut -d ' ' -f 1)"
    printf 'bytes\\t%s\\n' "$(wc -c <"$1/$2/dump" | tr -d ' ')"
}}

value_of() {{
    sed -n "s/^$1\\t//p" "$work/said"
}}

prove() {{
    initdb --pgdata "$work/data" --username hubops --auth trust --encoding "$2" --locale C --no-sync \\
        >>"$log" 2>&1
    pg_ctl --pgdata "$work/data" --wait --log "$work/server" \\
        --options "-k $work -p 5432 -c listen_addresses= -c fsync=off" start >>"$log" 2>&1
    here pg_restore --no-owner --no-acl --exit-on-error --dbname postgres "$1/dump" 2>>"$log"
    here sql "$work" <<'END'
{_SESSION}
{_ROWS}
END
    pg_ctl --pgdata "$work/data" --wait --mode immediate stop >>"$log" 2>&1
    rm -rf "$work/data"
    cmp -s "$1/rows" "$work/rows" || fail "The dump does not have the rows that the database has."
}}

restore() {{
    dump=$1/{LAST}
    made="the dump that was made when the hub had stopped"
    if [ ! -d "$dump" ]; then
        dump=$1/{FIRST}
        made="the dump of the recovery point"
    fi
    (cd "$dump" && sha256sum -c sums) >/dev/null 2>&1 || fail "The dump $dump is not what it was."
    sql "$work" <<'END'
{_SESSION}
{_SCHEMA}
END
    if cmp -s "$dump/schema" "$work/schema"; then
        tell used "the database as it is, which was not migrated"
        return
    fi
    pg_restore --list "$dump/dump" 2>>"$log" | grep -v ' EXTENSION ' >"$work/list"
    while IFS= read -r schema; do
        grep -v -F -e " SCHEMA - $schema " -e " - SCHEMA $schema " "$work/list" >"$work/less" || :
        mv "$work/less" "$work/list"
    done <"$dump/foreign"
    pg_restore --use-list "$work/list" --file "$work/dump.sql" "$dump/dump" 2>>"$log"
    export HUBOPS_DUMP="$dump"
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
\\set same `cmp -s "$HUBOPS_DUMP/rows" "$HUBOPS_WORK/rows" && echo true || echo false`
\\if :same
COMMIT;
\\echo restored
\\endif
END
    grep -q '^restored$' "$work/said" || fail "The database would not have the rows that the dump has."
    tell used "$made"
}}

case "$1" in
    back-up) back_up "$2" "$3" ;;
    restore) restore "$2" ;;
    remove) rm -rf "$2" ;;
esac
"""
