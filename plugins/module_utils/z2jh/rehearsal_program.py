"""Runs in a Job, in the image of the hub to be: rehearses its start on a copy of the database.

It imports nothing of this collection. ``argv[1]`` is the folder with ``request.json`` and the programs that
it starts: `migrator.py`, `rehearsed_app.py`. The copy arrives by ``python3 program.py FOLDER receive``,
packed by gzip on standard input. Its last line of output is ``RESULT`` and JSON. The request:

    folder              of its own, for the copy and what the hub writes
    url                 of the copy, or of the database that the hub makes
    copied              whether a copy of a database arrives
    shared              the folder that is shared with a container which serves the copy, or ''; ``ready`` is
                        in it then, or ``message`` with the reason; ``alive`` and ``done`` are for it
    argv, base_url      the hub's command, and where it is below its address
    scopes              of the token by which it is asked
    keys                columns of each table that no migration may change
    gives_up            tables whose rows a revision of the schema gives up on purpose
    servers, services   tables of servers, and what takes those of services out
    waiting, migration, start
                        seconds for the copy, the migration, and the first answer of the hub
    marker, nice        as `rehearsed_app` has them

The result: ``rows`` before and after, ``seconds`` of each part, ``version`` that the hub answers, its
``log``; and, where something fails, ``failed`` (``copy``, ``dump``, ``migration``, ``rows``, ``start``,
``answer``, ``users``, ``log-in``) and ``problem``.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Iterator

RESULT = "hubops-rehearsal: "
COPY, PART, HUB_LOG = "jupyterhub.sqlite", "jupyterhub.sqlite.part", "hub.log"
#: Seconds without a byte, after which nobody sends the copy any more.
SILENCE_SECONDS = 120.0
LOOK_SECONDS = 0.1
ALIVE_SECONDS = 10.0
READING_SECONDS = 600
ASKING_SECONDS = 30
STOP_SECONDS = 20
LOG_LINES = 400
PAGE = 100
CHUNK = 1024 * 1024
#: What a database has: revision, number of rows of each table, and the columns of ``keys``.
_READ = """
import json, sys
from sqlalchemy import create_engine, inspect, text
request = json.load(sys.stdin)
engine = create_engine(request["url"])
quoted = engine.dialect.identifier_preparer.quote_identifier
def plain(value):
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return value if value is None else str(value)
with engine.connect() as connection:
    def ask(statement):
        return [list(map(plain, row)) for row in connection.execute(text(statement))]
    names = inspect(engine).get_table_names()
    rows = {name: int(ask("SELECT count(*) FROM " + quoted(name))[0][0]) for name in names}
    stamp = ask("SELECT version_num FROM alembic_version") if rows.get("alembic_version") else [[None]]
    keys = {}
    for table, wanted in request["keys"].items():
        if table in rows:
            there = [column["name"] for column in inspect(engine).get_columns(table)]
            columns = [column for column in wanted if column in there]
            if columns:
                chosen = ", ".join(map(quoted, columns))
                keys[table] = [columns, ask("SELECT " + chosen + " FROM " + quoted(table))]
print(json.dumps({"rows": rows, "revision": stamp[0][0], "keys": keys}))
"""
#: Takes out what servers of services are, and all rows of tables, if they are there.
_FORGET = """
import json, sys
from sqlalchemy import create_engine, inspect, text
request = json.load(sys.stdin)
engine = create_engine(request["url"])
quoted = engine.dialect.identifier_preparer.quote_identifier
names = inspect(engine).get_table_names()
with engine.begin() as connection:
    connection.execute(text(request["services"]))
    for table in request["servers"]:
        if table in names:
            connection.execute(text("DELETE FROM " + quoted(table)))
print("{}")
"""
#: The revisions of the schema between that of a database, argv[1], and this release's.
_PASSED = """
import json, sys
import jupyterhub.app
from alembic.script import ScriptDirectory
from jupyterhub import dbutil
script = ScriptDirectory(dbutil.ALEMBIC_DIR)
print(json.dumps([each.revision for each in script.iterate_revisions("head", sys.argv[1] or "base")]))
"""


class Failed(Exception):
    """What the new hub cannot do; ``part`` is the one of the rehearsal."""

    def __init__(self, part: str, problem: str) -> None:
        super().__init__(problem)
        self.part = part


def main() -> None:
    folder = sys.argv[1]
    request = json.loads(Path(folder, "request.json").read_text(encoding="utf-8"))
    if sys.argv[2:] == ["receive"]:
        sys.stdout.write(json.dumps(receive(request["folder"])) + "\n")
        return
    rehearsal = Rehearsal(request, folder)
    sys.stdout.write(RESULT + json.dumps(rehearsal.run()) + "\n")


def receive(folder: str) -> dict[str, Any]:
    """Take the copy from standard input; ``problem`` is what came instead of one."""
    part = os.path.join(folder, PART)
    head = sys.stdin.buffer.read(2)
    if head != b"\x1f\x8b":
        return {"problem": (head + sys.stdin.buffer.read(2000)).decode(errors="replace")}
    packed = f"{part}.gz"
    with Path(packed).open("wb") as file:
        file.write(head)
        shutil.copyfileobj(sys.stdin.buffer, file, CHUNK)
    try:
        with gzip.open(packed) as source, Path(part).open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK)
    except (EOFError, OSError) as error:
        return {"problem": f"The copy is not whole: {error}"}
    finally:
        os.unlink(packed)
    os.replace(part, os.path.join(folder, COPY))
    return {"bytes": os.path.getsize(os.path.join(folder, COPY))}


class Rehearsal:
    """The parts of a rehearsal, in their order."""

    def __init__(self, request: dict[str, Any], programs: str) -> None:
        self.request = request
        self.programs = programs
        self.folder: str = request["folder"]
        self.copy = os.path.join(self.folder, COPY)
        self.url: str = request["url"]
        self.shared: str = request["shared"]
        self.there: dict[str, Any] = {"rows": {}, "revision": None, "keys": {}}
        self.script = shutil.which("jupyterhub") or ""
        self.result: dict[str, Any] = {"rows": {}, "seconds": {}, "version": "", "log": [], "known": {}}

    def run(self) -> dict[str, Any]:
        """Rehearse; what it has shown."""
        if self.shared:
            threading.Thread(target=self.keep_alive, daemon=True).start()
        try:
            if self.request["copied"]:
                with self.timed("copy"):
                    self.await_server() if self.shared else self.await_copy()
            if not self.script:
                raise Failed("start", "The image has no program jupyterhub on its PATH.")
            if self.request["copied"]:
                self.migrate()
                self.forget_servers()
            self.play()
        except Failed as failed:
            self.result.update(failed=failed.part, problem=str(failed))
        except (OSError, ValueError, KeyError) as error:
            self.result.update(failed="start", problem=f"{type(error).__name__}: {error}")
        finally:
            if self.shared:
                Path(self.shared, "done").touch()
        self.result["log"] = self.log()[-LOG_LINES:]
        return self.result

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.result["seconds"][part] = round(time.monotonic() - began, 3)

    def await_copy(self) -> None:
        """Return once the copy is there; who should send it may have been killed."""
        deadline = time.monotonic() + self.request["waiting"]
        heard, size = time.monotonic(), -1
        while not os.path.exists(self.copy):
            now = sum(
                os.path.getsize(os.path.join(self.folder, each))
                for each in os.listdir(self.folder)
                if each.startswith(PART)
            )
            if now != size:
                heard, size = time.monotonic(), now
            if time.monotonic() > deadline or time.monotonic() - heard > SILENCE_SECONDS:
                raise Failed("copy", "No copy of the database has come.")
            time.sleep(LOOK_SECONDS)

    def await_server(self) -> None:
        """Return once the copy is served by the container beside this one."""
        deadline = time.monotonic() + self.request["waiting"]
        message = Path(self.shared, "message")
        while not Path(self.shared, "ready").exists():
            with contextlib.suppress(OSError, ValueError, KeyError):
                raise Failed("dump", json.loads(message.read_text(encoding="utf-8"))["error"])
            if time.monotonic() > deadline:
                raise Failed("dump", "There was no copy of the database in time.")
            time.sleep(LOOK_SECONDS)

    def keep_alive(self) -> None:
        """Tell the container beside this one that it is still needed."""
        while True:
            Path(self.shared, "alive").touch()
            time.sleep(ALIVE_SECONDS)

    def migrate(self) -> None:
        """Migrate the copy, and see that the rows are there that must be."""
        before = self.read()
        with self.timed("migrate"):
            answer = self.in_hub(
                [os.path.join(self.programs, "migrator.py")],
                json.dumps({"do": "migrate", "url": self.url}) + "\n",
                self.request["migration"],
                "migration",
            )
        if "error" in answer:
            # What follows the first line may be parameters of a statement.
            raise Failed("migration", answer["error"].splitlines()[0])
        after = self.read()
        tables = sorted({*before["rows"], *after["rows"]})
        self.result["rows"] = {
            table: {"before": before["rows"].get(table, 0), "after": after["rows"].get(table, 0)}
            for table in tables
        }
        given_up = {"alembic_version"}
        if before["revision"] != after["revision"]:
            passed = self.in_hub(
                ["-c", _PASSED, before["revision"] or ""], "", ASKING_SECONDS * 4, "migration"
            )
            given_up.update(*(self.request["gives_up"].get(each, []) for each in passed))
        wrong = compare(before["keys"], after["keys"], given_up)
        if wrong:
            raise Failed("rows", "; ".join(wrong))

    def in_hub(self, argv: list[str], stdin: str, seconds: float, part: str) -> Any:
        """What a program in the hub's own Python prints, as JSON. Raises Failed where it does not."""
        try:
            done = subprocess.run(
                [self.python(), "-I", "-B", *argv],
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise Failed(part, f"It has not ended within {seconds:.0f} s.") from None
        self.write_log(done.stderr)
        lines = done.stdout.strip().splitlines()
        if done.returncode or not lines:
            reason = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
            raise Failed(part, reason)
        return json.loads(lines[-1])

    def python(self) -> str:
        """The Python that runs the hub, by the first line of its script."""
        with Path(self.script).open("rb") as file:
            words = file.readline(500).decode(errors="replace").split()
        named = words[0][2:] if words and words[0].startswith("#!/") else ""
        return named if "python" in os.path.basename(named) else sys.executable

    def read(self) -> dict[str, Any]:
        """What the copy has: ``rows`` of each table, ``revision``, and ``keys``, by table."""
        asked = json.dumps({"url": self.url, "keys": self.request["keys"]})
        found = self.in_hub(["-c", _READ], asked, READING_SECONDS, "migration")
        found["keys"] = {
            table: (columns, {tuple(row) for row in rows}) for table, (columns, rows) in found["keys"].items()
        }
        self.there = dict(found)
        return self.there

    def forget_servers(self) -> None:
        """Take people's servers out of the copy: a hub that knows of one asks after it, and may stop it."""
        wanted = {"url": self.url, "servers": self.request["servers"], "services": self.request["services"]}
        self.in_hub(["-c", _FORGET], json.dumps(wanted), READING_SECONDS, "migration")

    def play(self) -> None:
        """Start the hub, ask it, and stop it."""
        ports = free_ports(3)
        name, token = f"hubops-rehearsal-{secrets.token_hex(4)}", secrets.token_hex(16)
        base = f"/{self.request['base_url'].strip('/')}/".replace("//", "/")
        words = self.request["argv"]
        names = [os.path.basename(word) for word in words]
        wanted = {
            "script": self.script,
            "arguments": words[names.index("jupyterhub") + 1 :] if "jupyterhub" in names else [],
            "folder": self.folder,
            "db_url": self.url,
            "base_url": base,
            **dict(zip(("public_port", "api_port", "hub_port"), ports)),
            "proxy": None,
            "proxy_token": secrets.token_hex(16),
            "token": token,
            "name": name,
            "scopes": self.request["scopes"],
            "single_user": [],
            "single_user_arguments": [],
            "seconds": int(self.request["start"]),
            "marker": self.request["marker"],
            "nice": self.request["nice"],
        }
        program = Path(self.programs, "rehearsed_app.py").read_text(encoding="utf-8")
        began = time.monotonic()
        with Path(self.folder, HUB_LOG).open("ab") as log:
            hub = subprocess.Popen(
                [self.python(), "-B", "-c", program],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            if hub.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    hub.stdin.write(json.dumps(wanted).encode() + b"\n")
                    hub.stdin.close()
            url = f"http://127.0.0.1:{ports[2]}{base}hub"
            self.result["version"] = self.first_answer(hub, url)
            self.result["seconds"]["start"] = round(time.monotonic() - began, 3)
            known = Path(self.folder, "known.json")
            if known.exists():
                self.result["known"] = json.loads(known.read_text(encoding="utf-8"))
            self.ask(url, name, token)
        finally:
            with self.timed("stop"):
                hub.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    hub.wait(STOP_SECONDS)
            hub.kill()
            hub.wait()

    def first_answer(self, hub: subprocess.Popen[bytes], url: str) -> str:
        """The version that the hub answers, as soon as it does."""
        deadline = time.monotonic() + self.request["start"]
        while True:
            with contextlib.suppress(OSError, ValueError, KeyError):
                return str(ask(f"{url}/api/")[1]["version"])
            if hub.poll() is not None:
                raise Failed("start", f"The new hub exited at its start, with status {hub.returncode}.")
            if time.monotonic() > deadline:
                seconds = self.request["start"]
                raise Failed("answer", f"The new hub was started, and did not answer within {seconds:.0f} s.")
            time.sleep(LOOK_SECONDS)

    def ask(self, url: str, name: str, token: str) -> None:
        """Ask the hub for its users, groups and services, let a user in by a token, open the log-in page."""

        def wanted(part: str, path: str, by: str = token, note: str = "") -> Any:
            method = "POST" if note else "GET"
            status, body = ask(f"{url}{path}", by, method, {"note": note} if note else None)
            # Without a token, only a page that fails is wrong.
            if not (status < 300 or not by and status < 500):
                asked = f"{method} /hub{path.partition('?')[0]}"
                raise Failed(part, f"The new hub answers {asked} with {status}.")
            return body

        for what in ("users", "groups", "services"):
            listed = wanted("users", f"/api/{what}?limit={PAGE}")
            if what == "users":
                there = self.there["rows"].get("users", 0)
                if len(listed) < min(there, PAGE):
                    raise Failed(
                        "users", f"The new hub knows {len(listed)} users of the {there} in its database."
                    )
        made = wanted("log-in", f"/api/users/{name}/tokens", note="rehearsal")
        if wanted("log-in", "/api/user", by=made["token"]).get("name") != name:
            raise Failed("log-in", "The new hub does not know a user by the token that it has made.")
        wanted("log-in", "/login", by="")

    def write_log(self, text: str) -> None:
        with Path(self.folder, HUB_LOG).open("a", encoding="utf-8") as log:
            log.write(text)

    def log(self) -> list[str]:
        """The output of the hub, and of the migration before it."""
        with contextlib.suppress(FileNotFoundError):
            text = Path(self.folder, HUB_LOG).read_text(encoding="utf-8", errors="replace")
            return text.splitlines()
        return []


def compare(
    before: dict[str, tuple[list[str], set[Any]]],
    after: dict[str, tuple[list[str], set[Any]]],
    given_up: set[str],
) -> list[str]:
    """What rows are missing after a migration, a sentence for each table, as `hub_tables.compare` says it."""
    wrong = []
    for table, (columns, old) in before.items():
        if table in given_up:
            continue
        present, new = after.get(table, ([], set()))
        kept = [column for column in columns if column in present]
        lost = [column for column in columns if column not in present]
        gone = projected(columns, old, kept) - projected(present, new, kept)
        if lost and old:
            wrong.append(f"{table} has no {', '.join(lost)} any more")
        elif gone:
            wrong.append(f"{len(gone)} rows of {table} are not what they were")
    return wrong


def projected(columns: list[str], rows: set[Any], kept: list[str]) -> set[Any]:
    places = [columns.index(column) for column in kept]
    return {tuple(row[place] for place in places) for row in rows}


def free_ports(count: int) -> list[int]:
    """Free ports of the loopback interface, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _number in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def ask(url: str, token: str = "", method: str = "GET", body: Any = None) -> tuple[int, Any]:
    """Status and body of the hub's answer; the body as it is where it is no JSON. OSError without one."""
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None)
    if token:
        request.add_header("Authorization", f"token {token}")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=ASKING_SECONDS) as reply:
            status, content = reply.status, reply.read()
    except urllib.error.HTTPError as error:
        status, content = error.code, error.read()
    try:
        return status, json.loads(content)
    except ValueError:
        return status, content.decode(errors="replace")


if __name__ == "__main__":
    main()
