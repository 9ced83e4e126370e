"""Runs inside the hub's environment, handed over as text: lends a token for what the hub is to be asked.

It reads one line of JSON from standard input, ``{"url": database's, "seconds": lifetime, "scopes": what the
token may do, "starts": whether the hub is about to start}``, and writes one with the token to standard
output. It waits for the end of its input, and then removes what it wrote. Should it be killed, the token
expires by itself, and the next loan removes the rest.

A hub that starts removes services that its config does not have, and goes on to read its database. Where it
``starts``, a service is written that it will remove, and the token is lent as soon as it has: so it is in all
that the hub reads from then on. A second line of input has the token lent in any case.

Works with the models of hubs 1.5 to 6.1: an admin service before 2.0, a service with a role of its own from
then on.
"""

from __future__ import annotations

import json
import secrets
import select
import signal
import sys
from io import FileIO
from typing import Any

# A leftover's row in these tables is identified by its name.
PREFIX = "hubops-verify-"
# A hub that starts goes on meanwhile, and what it has read before the token is there may be all that it sees.
LOOK_SECONDS = 0.002


def end(*_: object) -> None:
    """Leave by way of the `finally` that removes the token, which no further signal may interrupt."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(1)


def main() -> None:
    if sys.path[0] == "":
        # `python -c` imports from the working directory first; the hub's own script does not.
        del sys.path[0]
    signal.signal(signal.SIGTERM, end)
    # Without a buffer, for whether there is another line is asked later.
    stdin = FileIO(0)
    request = json.loads(stdin.readline())
    from jupyterhub import orm

    # What the database lacks, the hub that starts makes at the same moment, and the later of two fails.
    orm.Base.metadata.create_all = lambda *_arguments, **_options: None
    make_session = orm.new_session_factory(request["url"])
    number_rows_apart()
    name, awaited = PREFIX + secrets.token_hex(8), PREFIX + secrets.token_hex(8)
    try:
        session = make_session()
        forget_leftovers(session)
        session.commit()
        if request["starts"]:
            wait_for_start(make_session(), awaited, stdin)
        token = lend(session, name, request["seconds"], request["scopes"])
        sys.stdout.write(json.dumps({"token": token}) + "\n")
        sys.stdout.flush()
        stdin.read()
        # Where its owner was killed, the service manager ends all that it has started, too.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    finally:
        session = make_session()
        remove(session, name)
        remove(session, awaited)
        session.close()


def wait_for_start(session: Any, name: str, stdin: FileIO) -> None:
    """Return once the hub has removed a service of this name, or something more is to be read."""
    from jupyterhub import orm

    session.add(orm.Service(name=name))
    session.commit()
    while session.query(orm.Service.id).filter(orm.Service.name == name).first():
        # Each look is a transaction of its own, and sees what is there.
        session.rollback()
        if select.select([stdin], [], [], LOOK_SECONDS)[0]:
            break
    session.close()


def kinds() -> list[Any]:
    """Models of what is lent: services first, and their tokens go with them."""
    from jupyterhub import orm

    return [orm.Service, orm.Role] if hasattr(orm, "Role") else [orm.Service]


def number_rows_apart() -> None:
    """Give new rows random negative numbers.

    The running hub remembers rows by number. Would a second loan get the number of the first, as SQLite does
    it, the hub would compare the new token with the hash of the old one. Negative ones leave the hub's own
    count alone.
    """
    from jupyterhub import orm
    from sqlalchemy import event

    def number(_mapper: Any, _connection: Any, row: Any) -> None:
        row.id = -1 - secrets.randbelow(2**31 - 1)

    for kind in [*kinds(), orm.APIToken]:
        event.listen(kind, "before_insert", number)


def lend(session: Any, name: str, seconds: int, scopes: list[str]) -> str:
    from jupyterhub import orm

    service = orm.Service(name=name)
    session.add(service)
    if hasattr(orm, "Role"):
        role = orm.Role(name=name, description="An upgrade, while it takes place", scopes=scopes)
        session.add(role)
        role.services.append(service)
    else:
        service.admin = True
    # The token needs the number; all of it is committed with it, at once.
    session.flush()
    token = service.new_api_token(note="verification of an upgrade", expires_in=seconds)
    session.close()
    return str(token)


def forget_leftovers(session: Any) -> None:
    """Remove what earlier loans left whose token has expired: their process was killed."""
    from jupyterhub import orm

    now = orm.APIToken.now()
    for service in session.query(orm.Service).filter(orm.Service.name.startswith(PREFIX)).all():
        if all(token.expires_at < now for token in service.api_tokens):
            remove(session, service.name)


def remove(session: Any, name: str) -> None:
    for kind in kinds():
        found = session.query(kind).filter(kind.name == name).first()
        if found is not None:
            session.delete(found)
    session.commit()


if __name__ == "__main__":
    main()
