"""What staging has made: a new environment, and how it differs from the old one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..shapes import to_dict
from .planned import PackageChange


@dataclass
class Staged:
    """A new environment, and how it differs from the old one.

    ``replaced`` says why one that was staged before could not be taken; '' where none was there.
    """

    path: str
    staged_path: str
    strategy: str
    changed: bool
    packages_before: dict[str, str]
    packages_after: dict[str, str]
    seconds: float
    warnings: list[str] = field(default_factory=list)
    replaced: str = ""

    def result(self) -> dict[str, Any]:
        """The shape that the module returns."""
        changes = package_changes(self.packages_before, self.packages_after)
        return {**vars(self), "changes": [to_dict(change) for change in changes]}


def package_changes(before: dict[str, str], after: dict[str, str]) -> list[PackageChange]:
    """What differs, by name."""
    return [
        PackageChange(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
