"""MySQL and MariaDB in a pod of their own image: whichever programs are there.

No dump shares its snapshot with another session. So rows are counted and hashed before and after: what has
not changed meanwhile has to be in the dump, and of a hub that has stopped that is everything. Neither is
there a transaction for a restore: the table with the stamp of the schema's revision is the first that is
dropped and the last that is made, so that what was cut off is never taken for a whole database.
"""

from __future__ import annotations

import base64

from ..databases import mysql_clients, mysql_dumps, mysql_option_files, urls
from ..databases import mysql_statements as sql
from ..databases.access import Access
from ..databases.mysql_access import DIALECTS
from ..databases.mysql_database import IDLE_HUB_SECONDS
from .server_program import FIRST, NAMES, ServerProgram, refuse_option

#: Options of SQLAlchemy's URLs that clients are told of.
TLS = ("ssl", "ssl_mode", "ssl_disabled", "ssl_cipher", "ssl_check_hostname", "ssl_verify_cert")
OPTIONS = (*TLS, "ssl_verify_identity")
#: What is the driver's own business.
IGNORED = ("charset", "use_unicode", "autocommit", "init_command", "local_infile")
TIMEOUTS = ("connect_timeout", "read_timeout", "write_timeout")
LOCK_SECONDS = 60.0
#: User and password at a server within the pod, and its socket, which only the pod has.
OWN, SOCKET = "hubops", "socket"

_SESSION = sql.script(sql.settings(LOCK_SECONDS)).decode()
_ROWS = sql.script([sql.SNAPSHOT, *sql.COUNT_AND_HASH_ROWS]).decode()
_SCHEMA = sql.script(sql.STAMP).decode()
_FOREIGN = sql.script([sql.FOREIGN, sql.FOREIGN_TRIGGERS]).decode()
_OBJECTS = sql.script([sql.OBJECTS, sql.ROUTINES]).decode()
_OWN = f"""
first_of() {{
    for each; do
        ! command -v "$each" || return 0
    done
    fail "The image has none of these programs: $*."
}}

client=$(first_of mariadb mysql)
dumper=$(first_of mariadb-dump mysqldump)
server=$(first_of mariadbd mysqld)
product=MySQL
arguments="{" ".join(mysql_dumps.ARGUMENTS)}"
case "$("$client" --version)" in
    *MariaDB*) product=MariaDB options=${{HUBOPS_MARIADB:-}} ;;
    *) arguments="$arguments --loose-column-statistics=0 --set-gtid-purged=OFF" options=${{HUBOPS_MYSQL:-}} ;;
esac
# The hub's server, and that of this pod.
theirs=$work/theirs
own=$work/own
printf %s "$options" | base64 -d >"$theirs"
printf '[mysql]\\ninit-command="SET SESSION lock_wait_timeout = {LOCK_SECONDS:.0f}"\\n' >>"$theirs"
pid=

# What these statements print, at the server that an option file names.
sql() {{
    at=$1
    shift
    "$client" --defaults-file="$at" --batch --raw --skip-column-names --binary-mode --skip-reconnect \\
        --max-allowed-packet=1G "$@" 2>>"$log"
}}

run_dump() {{
    "$dumper" --defaults-file="$theirs" $arguments "$@" >"$work/part" 2>>"$log" ||
        fail "The dump has failed: $(tail -n 1 "$log")"
}}

# The same, whole, and without the first line of newer programs, which is only one at the begin of a file.
dump() {{
    run_dump "$@"
    tail -n 1 "$work/part" | grep -q '^-- Dump completed' || fail "The dump has no end."
    if head -n 1 "$work/part" | grep -q 'enable the sandbox mode'; then
        tail -n +2 "$work/part"
    else
        cat "$work/part"
    fi
    rm "$work/part"
}}

# Into a file: name, number and hash of each table at a server, but for one column.
read_rows() {{
    {{
        echo "SET @hubops_left_out = '$3';"
        cat <<'END'
{_SESSION}{_ROWS}END
    }} | sql "$1" "$HUBOPS_DATABASE" >"$work/unsorted"
    LC_ALL=C sort "$work/unsorted" >"$2"
}}

read_schema() {{
    run_dump --no-data --triggers --routines --events --skip-comments "$HUBOPS_DATABASE"
    sed 's/ AUTO_INCREMENT=[0-9]*//' "$work/part" >"$1/schema"
    sql "$theirs" "$HUBOPS_DATABASE" >>"$1/schema" <<'END'
{_SCHEMA}END
}}

series() {{
    sed -n 's/^[^0-9]*\\([0-9]*\\.[0-9]*\\).*/\\1/p'
}}

require_series() {{
    version=$(echo 'SELECT VERSION()' | sql "$theirs" "$HUBOPS_DATABASE")
    case "$version" in
        *MariaDB*) found="MariaDB $(echo "$version" | series)" ;;
        *) found="MySQL $(echo "$version" | series)" ;;
    esac
    mine="$product $("$server" --version | sed 's/.* Ver //' | series)"
    [ "$mine" = "$found" ] || fail "The image has $mine, and the server is a $found."
}}

take() {{
    require_series
    others=$(sql "$theirs" "$HUBOPS_DATABASE" <<'END'
{_FOREIGN}END
)
    [ -z "$others" ] || fail "Other users have defined in the database: $(echo "$others" | tr '\\t\\n' ' ')"
    sql "$theirs" "$HUBOPS_DATABASE" >"$work/like" <<'END'
SELECT CONCAT('CREATE DATABASE `', REPLACE(DATABASE(), '`', '``'), '` CHARACTER SET ',
    DEFAULT_CHARACTER_SET_NAME, ' COLLATE ', DEFAULT_COLLATION_NAME, ';')
    FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE();
SET @hubops_account = CURRENT_USER();
SET @hubops_account = CONCAT(QUOTE(LEFT(@hubops_account, LENGTH(@hubops_account)
    - LENGTH(SUBSTRING_INDEX(@hubops_account, '@', -1)) - 1)), '@',
    QUOTE(SUBSTRING_INDEX(@hubops_account, '@', -1)));
-- Who has defined views and triggers, and carries them out.
SELECT CONCAT('CREATE USER IF NOT EXISTS ', @hubops_account, '; GRANT ALL ON *.* TO ', @hubops_account, ';');
END
    # A hub that serves writes whenever it is used.
    left_out=
    [ "$2" != {FIRST} ] || left_out=last_activity
    for _attempt in 1 2 3; do
        read_rows "$theirs" "$work/before" "$left_out"
        dump --triggers --routines --events --ignore-table="$HUBOPS_DATABASE.{mysql_dumps.STAMP}" \\
            "$HUBOPS_DATABASE" >"$1/dump"
        dump "$HUBOPS_DATABASE" {mysql_dumps.STAMP} >>"$1/dump"
        read_rows "$theirs" "$work/after" "$left_out"
        ! same "$work/before" "$work/after" || break
    done
    LC_ALL=C comm -12 "$work/before" "$work/after" >"$work/unchanged"
    changed=$(LC_ALL=C comm -13 "$work/unchanged" "$work/after" | cut -f 1 | tr '\\n' ' ')
    [ "$2" = {FIRST} ] || [ -z "$changed" ] || fail "Others than the hub write into its tables: $changed"
    read_schema "$1"
}}

start_server() {{
    printf '[client]\\nuser=root\\nsocket="%s"\\ndefault-character-set=utf8mb4\\n' "$1/{SOCKET}" >"$own"
    # It is thrown away: nothing of it has to reach a disk.
    as="--innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=OFF --loose-innodb-log-file-size=8M"
    [ "$(id -u)" != 0 ] || as="$as --user=root"
    if [ "$product" = MariaDB ]; then
        "$(first_of mariadb-install-db mysql_install_db)" --no-defaults --datadir="$work/data" $as \\
            --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve >>"$log" 2>&1
    else
        "$server" --no-defaults --initialize-insecure --datadir="$work/data" $as >>"$log" 2>&1
    fi
    "$server" --no-defaults --datadir="$work/data" $as --socket="$1/{SOCKET}" --pid-file="$work/pid" \\
        --tmpdir="$work" --skip-networking --loose-mysqlx=OFF --skip-log-bin --event-scheduler=OFF \\
        --innodb-buffer-pool-size=32M >>"$log" 2>&1 &
    pid=$!
    until echo 'SELECT 1' | "$client" --defaults-file="$own" >/dev/null 2>&1; do
        kill -0 $pid 2>/dev/null || fail "The pod's own server has ended: $(tail -n 1 "$log")"
        sleep 0.2
    done
}}

stop_server() {{
    [ -z "$pid" ] || {{
        kill -9 $pid
        wait $pid || :
        pid=
        rm -rf "$work/data"
    }}
}}

load() {{
    sql "$own" <"$work/like"
    sql "$own" "$HUBOPS_DATABASE" <"$1/dump"
    echo "CREATE USER {OWN}@localhost IDENTIFIED BY '{OWN}'; GRANT ALL ON *.* TO {OWN}@localhost" | sql "$own"
}}

prove() {{
    start_server "$work"
    load "$1"
    read_rows "$own" "$1/rows" ''
    read_rows "$own" "$work/rows" "$left_out"
    sql "$own" "$HUBOPS_DATABASE" >"$work/said" <<'END'
{_SESSION}SELECT 'revision', JSON_QUOTE(version_num) FROM {mysql_dumps.STAMP};
SELECT 'user', JSON_QUOTE(name) FROM users ORDER BY name LIMIT {NAMES};
END
    stop_server >/dev/null 2>&1
    wrong=$(LC_ALL=C comm -13 "$work/rows" "$work/unchanged" | cut -f 1 | tr '\\n' ' ')
    [ -z "$wrong" ] || fail "The dump does not have the rows that the database has: $wrong"
}}

# What is left of the hub is a session whose end the server has not noticed.
end_sessions() {{
    for _attempt in 1 2 3 4 5 6 7 8 9 10; do
        sql "$theirs" "$HUBOPS_DATABASE" >"$work/sessions" <<'END'
SELECT CONCAT('KILL ', ID, ';') FROM information_schema.PROCESSLIST
    WHERE DB = DATABASE() AND ID <> CONNECTION_ID() AND USER = SUBSTRING_INDEX(USER(), '@', 1);
END
        [ -s "$work/sessions" ] || return 0
        sql "$theirs" --force <"$work/sessions" || :
        sleep 0.5
    done
}}

put_back() {{
    end_sessions
    sql "$theirs" "$HUBOPS_DATABASE" >"$work/objects" <<'END'
{_OBJECTS}END
    {{
        echo 'SET SESSION foreign_key_checks = 0;'
        sed 's/`/``/g; s/^\\([A-Z ]*\\)\\t\\(.*\\)$/DROP \\1 IF EXISTS `\\2`;/' "$work/objects"
    }} >"$work/drop"
    sql "$theirs" "$HUBOPS_DATABASE" <"$work/drop"
    sql "$theirs" "$HUBOPS_DATABASE" <"$1/dump"
    read_rows "$theirs" "$work/rows" ''
    same "$1/rows" "$work/rows" || fail "The database does not have the rows that the dump has."
}}
"""


class MysqlProgram(ServerProgram):
    """mariadb or mysql, their dump program, and a server of the pod's own."""

    dialects = DIALECTS
    product = "MySQL or MariaDB"
    image = "mariadb:10.11"
    marks = ("mariadb", "mysql")
    password_variable = "MYSQL_PWD"
    seen_within = IDLE_HUB_SECONDS
    own = _OWN

    def variables(self, parts: urls.Url, password: str | None) -> dict[str, str]:
        given = {name: values[-1] for name, values in parts.query.items()}
        for name in given:
            if name not in (*OPTIONS, *IGNORED, *TIMEOUTS):
                raise refuse_option(name)
        access = Access(
            dialect=parts.dialect,
            driver=parts.driver,
            user=parts.username,
            password=password,
            host=parts.host,
            port=parts.port,
            database=urls.database_name(parts, ""),
            options={name: value for name, value in given.items() if name in OPTIONS},
            system_user="",
            directory="",
            variables={},
        )
        secret = mysql_clients.password(access)
        return {
            "HUBOPS_DATABASE": access.database,
            "HUBOPS_MARIADB": _option_file(access, mysql_clients.MARIADB, secret),
            "HUBOPS_MYSQL": _option_file(access, mysql_clients.MYSQL, secret),
        }

    def copy_of(self, parts: urls.Url, folder: str) -> urls.Url:
        there = {"unix_socket": [f"{folder}/{SOCKET}"]}
        kept = {name: values for name, values in parts.query.items() if name == "charset"}
        return parts._replace(username=OWN, password=OWN, host="", port="", query={**kept, **there})


def _option_file(access: Access, product: str, password: bytes) -> str:
    """An option file for the clients of a product, in base64: passwords may be in any encoding."""
    told = {name: value.encode() for name, value in mysql_clients.options(access, product).items()}
    told.update({"password": password} if password else {})
    return base64.b64encode(mysql_option_files.content(told)).decode()
