"""What a recovery point has of a hub's database, and what every kind of database can do for one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .cluster import Access, Kubectl
from .release import Database
from .values import Values


@dataclass(frozen=True)
class Evidence:
    """What an administrator names of a database that cannot be dumped, as sentences or names."""

    what: str = ""
    when: str = ""
    #: How it is restored.
    restore: str = ""


@dataclass(frozen=True)
class DatabaseBackup:
    """The copy of a hub's database on a volume in the cluster, and what it holds."""

    #: The claim of that volume; the hub's own, for SQLite.
    claim: str
    #: The path of the database, for SQLite; '' for one on a server.
    database: str
    #: Where the copy is, in a pod that mounts the claim.
    folder: str
    sha256: str
    bytes: int
    schema: str
    #: When the copy began, in seconds since the epoch by the clock of who made it.
    began: float
    revision: str | None = None
    rows: dict[str, int] = field(default_factory=dict)
    users: tuple[str, ...] = ()
    #: The URL of a database on a server, without its password; '' for SQLite.
    url: str = ""
    #: The image with the server's programs, and as whom it may run: of the pod and of its container.
    image: str = ""
    pod_security: dict[str, Any] = field(default_factory=dict)
    container_security: dict[str, Any] = field(default_factory=dict)
    #: In the place of a copy.
    evidence: Evidence = Evidence()


@dataclass(frozen=True)
class Copy:
    """How the hub of a rehearsal gets a copy of the database, in its own pod."""

    #: For that hub; it may write there whatever it likes.
    url: str
    #: Whether the copy has to be sent into the pod by `database_program`.
    sent: bool = False
    #: The folder that the hub shares with a container that serves the copy; '' without one.
    shared: str = ""
    container: dict[str, Any] = field(default_factory=dict)
    volumes: tuple[dict[str, Any], ...] = ()
    #: Variables of that container, of which one is a password.
    secret: dict[str, str] = field(default_factory=dict, repr=False)
    #: Why there is none, and the hub begins with a new database.
    problem: str = ""


class HubDatabase(ABC):
    """The database of one release's hub. Raises HubError where something cannot be done."""

    #: The name of the copy, where it is copied out.
    file: str

    def __init__(self, access: Access, release: str, hub: str) -> None:
        self.access = access
        self.kubectl = Kubectl(access)
        self.release = release
        #: The hub's deployment.
        self.hub = hub

    @abstractmethod
    def back_up(self, found: Database, hub: dict[str, Any], identity: str) -> DatabaseBackup:
        """A copy while the hub serves, proven to be whole; nothing is left behind where it is not."""

    @abstractmethod
    def content(self, backup: DatabaseBackup) -> bytes:
        """The copy, byte by byte."""

    @abstractmethod
    def remove(self, backup: DatabaseBackup) -> None:
        """Remove the copy from its volume."""

    @abstractmethod
    def restoring(self, backup: DatabaseBackup, hub: dict[str, Any], name: str) -> list[dict[str, Any]]:
        """What puts the copy back: a Secret and a suspended Job of that name."""

    def by_hand(self) -> str:
        """What a person has to restore before the old hub may start; '' where the Job does it."""
        return ""

    @abstractmethod
    def copy(self, found: Database, name: str, folder: str) -> Copy:
        """A copy for a rehearsal's pod; ``name`` is of a Secret, ``folder`` one of the pod's own."""

    @abstractmethod
    def pods_in_the_way(self) -> list[str]:
        """Pods of ours that must have ended before the Job runs."""

    @abstractmethod
    def require_kept(
        self,
        backup: DatabaseBackup,
        supplied: Values,
        wanted: Sequence[dict[str, Any]],
        old: Sequence[dict[str, Any]],
    ) -> None:
        """Raise HubError where an upgrade to these values would leave the database behind."""

    @abstractmethod
    def seal(self, backup: DatabaseBackup, require: Callable[[], None], show: Callable[[str], None]) -> None:
        """Before the new hub migrates it: have the old hub's last rows copied, if nobody else keeps them.

        ``require`` raises HubError when the work must stop.
        """

    @abstractmethod
    def upgrades(self, supplied: Values, migrates: bool) -> list[Values]:
        """The values of each `helm upgrade`, one after the other, of which the last stay."""

    @abstractmethod
    def url(self, backup: DatabaseBackup | None) -> str:
        """The URL as the hub has it, with its password."""

    @abstractmethod
    def describe(self, backup: DatabaseBackup) -> dict[str, Any] | None:
        """What it holds now: ``users``, ``schema``, ``rows``; None where only the hub can be asked."""
