"""Real hubs in containers, for tests and measurements."""

from __future__ import annotations

from .hub import Answer, Hub, PlaybookResult
from .probe import Probe
from .rows import Rows, lost_rows

__all__ = ["Answer", "Hub", "PlaybookResult", "Probe", "Rows", "lost_rows"]
