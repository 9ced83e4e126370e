"""The service managers that can run a hub: one file for each, and one entry here."""

from __future__ import annotations

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
    if name is None:
        return services
    return [service for service in services if name in (service.name, service.deployment_name)]


def service_of(facts: ServiceFacts) -> Service:
    """The service that was found earlier, without searching the host again."""
    service = KINDS[facts.manager].of(facts)
    service.log_file = facts.log_file
    return service
