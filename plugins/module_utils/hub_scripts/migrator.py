"""Runs inside the hub's environment, handed over as text: migrates a database to that environment.

It is run with ``-I``, so that neither PYTHONPATH nor the working directory brings in another version.

Equal to ``jupyterhub upgrade-db`` of hubs 1.5 to 6.1, except that it starts Python once, needs no ``alembic``
on PATH, and migrates exactly the database it is given. There are two ways to use it. With a request (one
line of JSON) on standard input it answers with one line on standard output. With a listening socket as
standard input it imports everything first, and answers requests that arrive there until it is ended, or none
came for as many seconds as ``argv[1]`` says. ``argv[2]`` tells it from others.

Requests: ``{"do": "describe"}``, ``{"do": "migrate", "url": SQLAlchemy's URL}``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import time
from typing import Any


def main() -> None:
    stay_in_this_environment()
    if stat.S_ISSOCK(os.fstat(0).st_mode):
        serve(socket.socket(fileno=0), float(sys.argv[1]))
    else:
        json.dump(answer(json.loads(sys.stdin.readline())), sys.stdout)


def stay_in_this_environment() -> None:
    """Import from the environment's folders as they are now, by descriptor.

    While this process waits, the environment gets another path and its path another environment. A late
    import by path would take a module of the other version.
    """
    for number, folder in enumerate(sys.path):
        if folder.startswith(sys.prefix + os.sep) and os.path.isdir(folder):
            sys.path[number] = f"/proc/self/fd/{os.open(folder, os.O_RDONLY)}"


def serve(listener: socket.socket, patience: float) -> None:
    """Answer one request for each connection. The process outlives the session that started it."""
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    import jupyterhub.app  # noqa: F401

    listener.settimeout(patience)
    while True:
        try:
            connection = listener.accept()[0]
        except socket.timeout:
            return
        connection.settimeout(10)
        with connection, connection.makefile("rw") as stream:
            try:
                request = json.loads(stream.readline())
                stream.write(json.dumps(answer(request)) + "\n")
                stream.flush()
            except (OSError, ValueError):
                # The client has gone; wait for the next one.
                continue


def answer(request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "migrate":
        try:
            return migrate(request["url"])
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}
    if request["do"] == "describe":
        return {"pid": os.getpid(), "package": sys.argv[2]}
    return {}


def migrate(url: str) -> dict[str, Any]:
    """What `jupyterhub.dbutil.upgrade_if_needed` does, without its second process and its file copy."""
    # jupyterhub.app: as in `jupyterhub upgrade-db`, alembic's env.py finds it loaded.
    import jupyterhub.app  # noqa: F401
    from alembic import command
    from alembic.config import Config
    from jupyterhub import dbutil, orm
    from sqlalchemy import create_engine

    started = time.monotonic()
    engine = create_engine(url)
    try:
        # It also stamps a database that is older than hub 0.8 with the revision it must have.
        orm.check_db_revision(engine)
    except orm.DatabaseSchemaMismatch:
        # The template itself, and not a copy that would be left behind by a process that is killed.
        settings = Config(dbutil.ALEMBIC_INI_TEMPLATE_PATH)
        settings.set_main_option("script_location", dbutil.ALEMBIC_DIR.replace("%", "%%"))
        settings.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        command.upgrade(settings, "head")
    finally:
        engine.dispose()
    return {"seconds": round(time.monotonic() - started, 3)}


if __name__ == "__main__":
    main()
