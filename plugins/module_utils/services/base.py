"""Service: what a service manager knows of a hub, and can do with it."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Sequence

from ..errors import HubError
from ..system import files
from ..system.execution_context import NEEDS_ROOT, ExecutionContext, group_name
from ..system.processes import Process, family, started_at
from ..system.state import make_private
from . import log_files
from .command_line import HubCommand, hub_command, is_hub
from .facts import ServiceFacts

#: For one that does not stop, or only when it is killed.
STOP_FIX = "Look in its log for what it waits for, and stop it before the upgrade."


class DoesNotStop(HubError):
    """The hub's main process has outlived its time to stop."""


class Service(ABC):
    """One hub, as its service manager sees it: a systemd unit or a supervisord program."""

    manager: str
    name: str
    log_file: str | None = None
    """The file that the hub was seen to write its log to, for the time when it does not run."""

    @classmethod
    @abstractmethod
    def find(cls, name: str | None = None) -> Sequence[Service]:
        """Every hub that this kind of service manager runs on this host.

        The service called ``name`` counts as one whatever its command is, as long as its manager knows it.
        """

    @classmethod
    @abstractmethod
    def of(cls, facts: ServiceFacts) -> Service:
        """The service that `facts` once described."""

    @property
    def deployment_name(self) -> str:
        """``jupyterhub`` for ``jupyterhub.service`` and for the program ``group:jupyterhub``."""
        return self.name.rpartition(":")[2].replace(".service", "")

    @abstractmethod
    def state(self) -> str:
        """``starting``, ``running``, ``stopping``, ``stopped`` or ``failed``."""

    @abstractmethod
    def main_pid(self) -> int | None:
        """Number of the main process, or None when there is none."""

    @abstractmethod
    def command(self) -> list[str]:
        """The argv as configured."""

    @abstractmethod
    def configured_context(self) -> ExecutionContext:
        """User, directory and environment variables that the service manager gives to the command."""

    def context(self) -> ExecutionContext:
        """User, directory and environment variables in which the hub itself runs.

        Those of the service, with what a wrapper in its command changes. Where the command does not tell
        all, for a script, ``sudo`` or conda decides, the running hub does.
        """
        configured = self.configured_context()
        command = hub_command(self.command())
        running = None if command and command.complete else self.hub_process()
        if running:
            try:
                return configured.of_process(running)
            except PermissionError:
                raise HubError(f"The process of {self.name} may not be looked at.", NEEDS_ROOT) from None
            except OSError:  # It has ended meanwhile.
                pass
        return command.within(configured) if command else configured

    def hub_command(self) -> HubCommand | None:
        """The hub's part of the command, or the running hub's command line where that does not tell all."""
        command = hub_command(self.command())
        return command if command and command.complete else self.running_hub_command() or command

    def running_hub_command(self) -> HubCommand | None:
        """The command line of the running hub, None when none runs."""
        process = self.hub_process()
        return hub_command(process.argv) if process else None

    def hub_process(self) -> Process | None:
        """The hub's own process, which may be a child of the service's; None when none runs."""
        pid = self.main_pid()
        hubs = (process for process in family(pid) if is_hub(process.argv)) if pid else iter(())
        return next(hubs, None)

    def own_environment(self) -> str | None:
        """Path of the environment that it brings along; None where its command names one of the host."""
        return None

    @abstractmethod
    def start(self) -> None:
        """Start the service; returns when its process has been started, not when the hub answers."""

    @abstractmethod
    def stop(self, timeout: float) -> None:
        """Stop the service; returns when the main process is really gone.

        Raises DoesNotStop when it is not within ``timeout`` seconds.
        """

    @abstractmethod
    def kill(self) -> None:
        """End a hub that does not stop, as its service manager would when it has lost patience."""

    @abstractmethod
    def install_hold(self, hold_file: Path) -> None:
        """Make the service heed ``hold_file``.

        Done before the outage: it may cost a reload of the manager.
        """

    @abstractmethod
    def settle(self) -> None:
        """Remove what would be taken for this hub as well, once it is to stay."""

    def remove_hold(self, hold_file: Path) -> None:
        """Undo `install_hold` and `hold`: the service starts on every request."""
        self._forget(hold_file)

    @abstractmethod
    def spare_servers(self) -> None:
        """Have the manager end the hub alone when it stops it, and none of its users' servers.

        Until `end_sparing_servers`, or a reboot.
        """

    @abstractmethod
    def end_sparing_servers(self) -> None:
        """Undo `spare_servers`."""

    @abstractmethod
    def reread(self) -> None:
        """Have the service manager read the service's own file again, if that concerns this service alone."""

    def is_held(self, hold_file: Path) -> bool:
        """Whether the service may not start now."""
        return hold_file.exists()

    def hold(self, reason: str, hold_file: Path) -> None:
        """From now on the service does not start; ``reason`` is what an administrator reads in the file."""
        make_private(hold_file.parent)
        files.write(hold_file, f"{reason.strip()}\n".encode(), mode=0o644)

    def release(self, hold_file: Path) -> None:
        """Let the service start again; only until the next reboot, where the manager supports that."""
        self._forget(hold_file)

    def _forget(self, hold_file: Path) -> None:
        if hold_file.exists():
            hold_file.unlink()
            files.sync(hold_file.parent)

    @abstractmethod
    def _configured_log_files(self) -> list[str]:
        """Files that the service manager writes the service's output to; some may not exist, or be ''."""

    def _manager_log_mark(self) -> str:
        """The present end of the service manager's own log, '' where it has none."""
        return ""

    def _manager_log_mark_at(self, moment: float) -> str:
        """Where the service manager's own log was at a moment."""
        return ""

    def _manager_log_since(self, mark: str) -> list[str]:
        """The lines about the service in its manager's own log since a mark of it."""
        return []

    def log_files(self) -> list[str]:
        """Files that the hub's output goes to, whether its manager writes them or the hub itself."""
        process = self.hub_process()
        own = log_files.of_process(process) if process else None
        found = dict.fromkeys([own or self.log_file or "", *self._configured_log_files()])
        return [path for path in found if os.path.isfile(path)]

    def log_mark(self) -> str:
        """The present end of the service's log."""
        return json.dumps([self._manager_log_mark(), log_files.mark(self.log_files())])

    def log_mark_at(self, moment: float) -> str:
        """Where the service's log was at a moment, in seconds since the epoch."""
        files = log_files.mark_at(self.log_files(), moment)
        return json.dumps([self._manager_log_mark_at(moment), files])

    def log_mark_of_start(self) -> str:
        """Where the log was when the present main process was started; its end where there is none."""
        pid = self.main_pid()
        return self.log_mark_at(started_at(pid)) if pid else self.log_mark()

    def log_since(self, mark: str) -> list[str]:
        """The log's lines since ``mark``: those of the manager, then the hub's own where these are apart."""
        taken = json.loads(mark) if mark.startswith("[") else None
        # Earlier versions of the collection had other marks: a run that one of them began has the whole log.
        of_manager, of_files = taken or ("", {})
        return [*self._manager_log_since(of_manager), *log_files.since(self.log_files(), of_files)]

    @abstractmethod
    def _own_facts(self) -> dict[str, Any]:
        """The fields of `ServiceFacts` from ``environment_files`` on, but for ``log_file``."""

    def facts(self) -> ServiceFacts:
        """What is known of it now."""
        context = self.context()
        return ServiceFacts(
            manager=self.manager,
            name=self.name,
            state=self.state(),
            main_pid=self.main_pid(),
            user=context.user,
            group=group_name(context.gid),
            home=context.home,
            working_directory=context.directory,
            command=self.command(),
            path=context.path,
            environment_names=sorted(context.environment),
            log_file=next(iter(self.log_files()), None),
            **self._own_facts(),
        )
