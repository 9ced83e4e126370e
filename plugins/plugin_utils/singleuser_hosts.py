"""Results of tasks on other hosts of single-user servers, which one of them must not end for all."""

from __future__ import annotations

from typing import Any


def problem(result: dict[str, Any]) -> str:
    """Why a task has failed on a host."""
    said = str(result.get("msg", "unknown")).strip().removeprefix("Task failed: ")
    return f"It cannot be reached: {said}" if result.get("unreachable") else said
