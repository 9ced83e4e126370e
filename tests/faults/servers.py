"""Faults of a hub's database server: it goes away, has no connection left, or no space."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .host import STUCK
from .hosts import HALF_WAY, restore_interrupted, restore_manually, wait_until_restoring
from .releases import made_of, refused
from .row import NEW, OLD, RESTORE_SECONDS, Fault, Row
from .tasks import MIGRATE, START, SWITCH


@dataclass(frozen=True)
class Server:
    """A database server beside the hub, in its container."""

    unit: str
    data: str
    #: A superuser's client on a database that is not the hub's; it stays connected while its input is open.
    client: tuple[str, ...]
    #: The client's option for a statement.
    option: str
    #: Limits the connections, those of superusers included.
    limit: str

    def carrying_out(self, statement: str) -> list[str]:
        """The command that carries out a statement."""
        return [*self.client, self.option, statement]


#: Fewer than a hub, a migration and a restore need is no fault but a wrong configuration.
CONNECTIONS = 20
SERVERS = {
    "postgresql": Server(
        "postgresql@15-main.service",
        "/var/lib/postgresql",
        ("runuser", "-u", "postgres", "--", "psql", "--dbname=postgres"),
        "--command",
        f"ALTER SYSTEM SET max_connections = {CONNECTIONS}",
    ),
    "mysql": Server(
        "mariadb.service",
        "/var/lib/mysql",
        ("mariadb", "--database=mysql"),
        "--execute",
        f"SET GLOBAL max_connections = {CONNECTIONS}",
    ),
}
#: Its data, and two more copies of a hub's database.
MEBIBYTES = 400


def faults(good: Callable[[Row], None]) -> Iterator[Fault]:
    """For each kind of server; ``good`` is an upgrade without a fault."""
    for kind, server in SERVERS.items():
        yield Fault("none", f"a good upgrade on {kind}", good, ends=(NEW,), kind=kind)
        yield Fault("migration fails", f"half-way, on {kind}", refused, prepare=made_of(HALF_WAY), kind=kind)
        for step in (MIGRATE, SWITCH, START):
            yield Fault(
                "database server stopped",
                f"at the start of {step}, on {kind}",
                stopped(server, step),
                kind=kind,
                prepared=True,
                heals=False,
            )
        yield Fault(
            "database server killed",
            f"at the start of {MIGRATE}, on {kind}",
            killed(server),
            ends=(OLD, NEW),
            kind=kind,
            prepared=True,
            heals=False,
        )
        yield Fault(
            "no connection left",
            f"at the start of {MIGRATE}, on {kind}",
            no_connection(server),
            prepare=limited(server),
            kind=kind,
            prepared=True,
            heals=False,
        )
        yield Fault(
            "disk full",
            f"of the server, at the start of {MIGRATE}, on {kind}",
            disk_full(server),
            prepare=lambda row, server=server: row.host.give_own_disk(  # type: ignore[misc]
                server.data, MEBIBYTES, server=server.unit
            ),
            ends=(OLD, NEW),
            kind=kind,
            heals=False,
        )
        yield Fault(
            "restore interrupted",
            f"three times, on {kind}",
            restore_interrupted,
            kind=kind,
            prepared=True,
        )


def stopped(server: Server, step: str) -> Callable[[Row], None]:
    """It is stopped, and comes back while the old hub is being restored, which has waited for it."""

    def inject(row: Row) -> None:
        attempt = row.upgrade()
        row.go_to(attempt, step)
        row.hub.exec(["systemctl", "stop", server.unit])
        row.go_on()
        wait_until_restoring(row)
        row.hub.exec(["systemctl", "start", server.unit])
        row.require(attempt.end() != 0, "the run ends green")

    return inject


def killed(server: Server) -> Callable[[Row], None]:
    """It crashes, and is started again at once."""

    def inject(row: Row) -> None:
        attempt = row.upgrade()
        row.go_to(attempt, MIGRATE)
        row.hub.exec(["systemctl", "kill", "--signal=KILL", server.unit])
        row.go_on()
        row.hub.exec(["systemctl", "restart", server.unit])
        attempt.end()

    return inject


def limited(server: Server) -> Callable[[Row], None]:
    """Few connections, so that others can have all of them."""

    def prepare(row: Row) -> None:
        row.hub.service("stop")
        row.hub.exec(server.carrying_out(server.limit))
        if "SYSTEM" in server.limit:
            row.hub.exec(["systemctl", "restart", server.unit])
        row.hub.service("start")
        row.hub.wait_until_answers()

    return prepare


def no_connection(server: Server) -> Callable[[Row], None]:
    """Others have all of them until the old hub is being restored."""

    def inject(row: Row) -> None:
        attempt = row.upgrade()
        row.go_to(attempt, MIGRATE)
        with all_connections(row, server):
            row.go_on()
            wait_until_restoring(row)
        row.require(attempt.end() != 0, "the run ends green")

    return inject


@contextlib.contextmanager
def all_connections(row: Row, server: Server) -> Iterator[None]:
    """Within the block, no client can connect to the server."""
    with contextlib.ExitStack() as stack:
        for _number in range(CONNECTIONS + 1):
            # They end with their input; a server would go on with a statement whose client is killed.
            stack.enter_context(row.hub.running([*server.client]))

        def is_refused() -> bool:
            return row.hub.exec(server.carrying_out("SELECT 1"), check=False).returncode != 0

        row.host.wait_until(is_refused, "the last connection", RESTORE_SECONDS)
        yield


def disk_full(server: Server) -> Callable[[Row], None]:
    """Not one byte is free for it; where the old hub cannot be restored either, an administrator can."""

    def inject(row: Row) -> None:
        attempt = row.upgrade()
        row.go_to(attempt, MIGRATE)
        row.host.fill(server.data)
        row.go_on()
        attempt.end()
        row.host.wait_until(
            lambda: row.host.run().get("phase") != "restoring", "the restore", 4 * RESTORE_SECONDS
        )
        row.host.unfill(server.data)
        if row.host.run()["phase"] == STUCK:
            row.require(row.hub.version() is None, "the hub answers in between")
            row.hub.exec(["systemctl", "restart", server.unit])
            restore_manually(row, attempt.last_message())

    return inject
