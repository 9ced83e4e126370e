"""The kinds of environment: one file for each, and one entry here."""

from __future__ import annotations

from ..errors import HubError
from .as_owner import owner_of
from .base import Environment
from .conda import CondaEnvironment
from .image import ImageEnvironment
from .owned import OwnedEnvironment
from .system import SystemEnvironment
from .venv import Venv

KINDS: dict[str, type[Environment]] = {
    kind.kind: kind for kind in (Venv, CondaEnvironment, SystemEnvironment, ImageEnvironment)
}


def environment_of(kind: str, name: str) -> Environment:
    """The environment that was found earlier. Raises HubError when it is of no kind that is known here."""
    if kind not in KINDS:
        raise HubError(
            f"{name} is a {kind} environment, which this version of the collection does not know.",
            f"Known are: {', '.join(sorted(KINDS))}.",
        )
    environment, owner = KINDS[kind](name), owner_of(name)
    return OwnedEnvironment(environment, owner) if owner else environment


def upgradable() -> list[str]:
    """The kinds that an upgrade can change."""
    return sorted(name for name, kind in KINDS.items() if kind.can_be_upgraded)
