"""The one exception of this collection."""

from __future__ import annotations

from typing import Any


class HubError(Exception):
    """Something an administrator has to know about.

    ``message`` names the thing and what is wrong with it, ``hint`` says what can be done.
    ``results`` is what else the module that fails with it returns.
    """

    def __init__(self, message: str, hint: str = "", results: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.results = results or {}

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
