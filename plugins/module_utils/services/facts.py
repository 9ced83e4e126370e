"""Facts about a service, for code that does not act on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ServiceFacts:
    """The hub's service, as its manager sees it. Values of environment variables are not in it."""

    manager: str
    """Which kind of service manager: ``systemd``, ``supervisord`` or ``docker``."""
    name: str
    state: str
    """``starting``, ``running``, ``stopping``, ``stopped`` or ``failed``."""
    main_pid: int | None
    user: str
    group: str
    home: str
    working_directory: str
    command: list[str]
    """The argv as configured."""
    path: str
    """The value of PATH that the service gets."""
    environment_names: list[str]
    environment_files: list[str]
    enabled: bool
    """Whether it starts with the host."""
    unit_file: str
    """The file that defines it."""
    manager_files: list[str] = field(default_factory=list)
    """The manager's own files that belong in a recovery point, besides the unit's."""
    log_file: str | None = None
    """The file that its output goes to, whether its manager writes it or the hub; None where it is none."""
    needs_root: bool = False
    """Whether only root may stop and start it."""
    sees_host: bool = True
    """Whether the hub has the host's own files."""
    obstacles: list[str] = field(default_factory=list)
    """Why it cannot be stopped, changed and started by an upgrade, a sentence each."""
    defined_in: str = ""
    """Where somebody has written down what it is started from, and an upgrade does not: a sentence."""
    lost: list[str] = field(default_factory=list)
    """Packages that were installed by hand where an upgrade leaves them behind, with their versions."""
    particulars: dict[str, Any] = field(default_factory=dict)
    """What only this kind of manager has: for itself, and for messages."""
