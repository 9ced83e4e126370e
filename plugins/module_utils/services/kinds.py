"""The service managers that can run a hub: one file for each, and one entry here."""

from __future__ import annotations

from ..errors import HubError
from ..system.processes import family
from .base import Service
from .docker import DockerContainer
from .facts import ServiceFacts
from .supervisord import SupervisordProgram
from .systemd import SystemdUnit

KINDS: dict[str, type[Service]] = {
    kind.manager: kind for kind in (SystemdUnit, SupervisordProgram, DockerContainer)
}


def find_services(name: str | None = None) -> list[Service]:
    """Every hub on this host; with ``name`` those called so (with or without ``.service``)."""
    services = [service for kind in KINDS.values() for service in kind.find(name)]
    if name is not None:
        services = [service for service in services if name in (service.name, service.deployment_name)]
    return _innermost(services) if len(services) > 1 else services


def _innermost(services: list[Service]) -> list[Service]:
    """Without those in which another one runs, as supervisord's own unit is for the programs of Debian's."""
    pids = [_pid(service) for service in services]
    within = [{process.pid for process in family(pid)} - {pid} if pid else set() for pid in pids]
    return [service for service, inside in zip(services, within) if not inside.intersection(pids)]


def _pid(service: Service) -> int | None:
    """Number of its main process; None as well where its manager has just ended."""
    try:
        return service.main_pid()
    except HubError:
        return None


def service_of(facts: ServiceFacts) -> Service:
    """The service that was found earlier, without searching the host again."""
    service = KINDS[facts.manager].of(facts)
    service.log_file = facts.log_file
    return service
