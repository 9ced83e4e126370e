"""The text of programs that run elsewhere: in the hub's environment, or as the guard."""

from __future__ import annotations

from types import ModuleType
from typing import Any


def source_of(program: ModuleType) -> str:
    """The text of a module, also out of the zip file in which Ansible sends it."""
    loader: Any = program.__loader__
    source: str | bytes = loader.get_source(program.__name__)
    # Ansible's own loader gives bytes.
    return source.decode() if isinstance(source, bytes) else source
