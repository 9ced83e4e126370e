"""The program for a hub's database on a server, in a pod of the database's own image, as text for ``sh``.

Such an image has no Python; it has a shell, the database's clients, and the server. Arguments: what to do,
and a folder on the claim of the recovery points.

``back-up FOLDER NAME``: a dump in FOLDER/NAME, with the number of rows and a hash of each table. Proven
before it counts: a server within the pod takes the dump, and must have the same.
``restore FOLDER``: only with the hub at 0 pods. Puts the newest dump of FOLDER back, where a hub has
migrated the database since, and compares it.
``remove FOLDER``: removes all dumps of it.
``rehearse FOLDER``: serves a copy of the database by a server of the pod, at a socket in FOLDER, which a
rehearsal's hub shares: ``ready`` is there then, and the server ends when the hub has made ``done``, or has
not touched ``alive`` for two minutes. The database itself is only read.

What a dump holds is printed as lines: a word, and what it is, separated by tabs. A Job's pod writes what has
become of its request to ``HUBOPS_MESSAGE``, where the guard reads it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..databases.urls import Url
from ..errors import HubError

#: While the hub served, and when it had stopped: where there is a last one, the old hub has left that.
FIRST, LAST = "first", "last"
#: A hub may take a moment to know what was written into its database.
SEEN_SECONDS = 20.0
#: Names of people that a description has at most.
NAMES = 10000

_BEGIN = """\
set -eu
umask 077
"""
_SHARED = f"""
work=$(mktemp -d "$HUBOPS_SCRATCH/work.XXXXXX")
log=$(mktemp "$HUBOPS_SCRATCH/log.XXXXXX")
cd "$work"

end() {{
    code=$?
    if [ $code != 0 ]; then
        tail -n 5 "$log" >&2
        tell error "$(tail -n 1 "$log")"
    fi
    stop_server >/dev/null 2>&1 || :
    rm -rf "$work" "$log"
    exit $code
}}
trap end EXIT

tell() {{
    [ -n "${{HUBOPS_MESSAGE:-}}" ] || return 0
    text=$(printf %s "$2" | tr -d '"\\\\' | tr '[:cntrl:]' ' ' | cut -c 1-1000)
    printf '{{"%s": "%s"}}' "$1" "$text" >"$HUBOPS_MESSAGE"
    chmod 644 "$HUBOPS_MESSAGE" 2>/dev/null || :
}}

fail() {{
    echo "$1" >>"$log"
    exit 1
}}

same() {{
    [ "$(sha256sum <"$1")" = "$(sha256sum <"$2")" ]
}}

value_of() {{
    sed -n "s/^$1\\t//p" "$work/said"
}}

# Older programs take no names, and wait for all disks of the node.
to_disk() {{
    sync "$@" 2>/dev/null || sync
}}

back_up() {{
    part=$1/$2.part
    rm -rf "$part"
    mkdir -p "$part"
    take "$part" "$2"
    prove "$part"
    (cd "$part" && sha256sum -- * >"$work/sums" && cat "$work/sums" >sums)
    to_disk "$part"/* "$part"
    rm -rf "$1/$2"
    mv "$part" "$1/$2"
    to_disk "$1"
    sed 's/^/row\\t/' "$1/$2/rows"
    grep -E '^(revision|user)' "$work/said" || :
    printf 'schema\\t"%s"\\n' "$(sha256sum <"$1/$2/schema" | cut -d ' ' -f 1)"
    printf 'sha256\\t"%s"\\n' "$(sha256sum <"$1/$2/dump" | cut -d ' ' -f 1)"
    printf 'bytes\\t%s\\n' "$(wc -c <"$1/$2/dump" | tr -d ' ')"
}}

restore() {{
    dump=$1/{LAST}
    made="the dump that was made when the hub had stopped"
    if [ ! -d "$dump" ]; then
        dump=$1/{FIRST}
        made="the dump of the recovery point"
    fi
    (cd "$dump" && sha256sum -c sums) >/dev/null 2>&1 || fail "The dump $dump is not what it was."
    read_schema "$work"
    if same "$dump/schema" "$work/schema"; then
        tell used "the database as it is, which was not migrated"
        return
    fi
    put_back "$dump"
    tell used "$made"
}}

rehearse() {{
    mkdir "$work/copy"
    take "$work/copy" {FIRST}
    start_server "$1"
    load "$work/copy"
    : >"$1/ready"
    until [ -e "$1/done" ]; do
        if [ -e "$1/alive" ] && [ -z "$(find "$1/alive" -mmin -2)" ]; then
            fail "The rehearsal's hub has ended."
        fi
        sleep 1
    done
}}
"""
_END = """
case "$1" in
    back-up) back_up "$2" "$3" ;;
    restore) restore "$2" ;;
    remove) rm -rf "$2" ;;
    rehearse) rehearse "$2" ;;
esac
"""


class ServerProgram(ABC):
    """What a kind of server is reached and dumped by: one file for each kind."""

    #: As SQLAlchemy's URLs begin.
    dialects: tuple[str, ...]
    product: str
    #: An image of it, as an example, and what stands in the names of others.
    image: str
    marks: tuple[str, ...]
    #: From which variable of the hub's its driver takes the password, where the URL has none.
    password_variable: str
    #: Seconds within which a hub that nobody uses knows what was written into its database.
    seen_within: float = SEEN_SECONDS

    @property
    @abstractmethod
    def own(self) -> str:
        """The kind's part of the program, in sh.

        ``take FOLDER NAME`` dumps into a folder, with the files ``dump`` and ``schema``; ``start_server
        FOLDER`` starts one of the pod with a socket there, ``load FOLDER`` has it take a dump, and
        ``stop_server`` ends it; ``prove FOLDER`` does all that, leaves ``rows`` there, and what the dump
        holds in ``$work/said``; ``read_schema FOLDER`` writes the file ``schema`` of the database as it is:
        all that a migration changes beside rows; ``put_back FOLDER`` replaces what the database has.
        """

    @property
    def first(self) -> str:
        """What the program begins with, before it has made any file; nothing for most."""
        return ""

    @property
    def text(self) -> str:
        """The whole program."""
        return f"{_BEGIN}{self.first}{_SHARED}{self.own}{_END}"

    @abstractmethod
    def variables(self, parts: Url, password: str | None) -> dict[str, str]:
        """What the program needs to reach the database, as variables of its environment.

        Raises HubError for what only the hub's pod has.
        """

    @abstractmethod
    def copy_of(self, parts: Url, folder: str) -> Url:
        """The URL of the copy that ``rehearse`` serves, by the driver that the hub has."""

    def of_hub(self, parts: Url) -> Url:
        """The URL as every SQLAlchemy reads it."""
        return parts


def refuse_option(name: str) -> HubError:
    """For an option of a URL that a pod of the database's image cannot use."""
    return HubError(
        f"hub.db.url has the option {name}, which a pod of the database's image cannot use: files "
        "that it names are in the hub's pod.",
        "Name what there is of the database in z2jh_database_evidence.",
    )
