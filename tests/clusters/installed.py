"""The releases of these tests."""

from __future__ import annotations

from tests.testbed.z2jh.release import VALUES, Release, State

Installed = Release

__all__ = ["VALUES", "Installed", "State"]
