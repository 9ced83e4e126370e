"""Tests of the collection: unit tests, real hubs on this machine, and real hubs in containers."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
