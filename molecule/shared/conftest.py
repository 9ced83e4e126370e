"""The scenario's hub, and what is remembered of it from before the upgrade."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.testbed import Hub
from tests.testbed.images import CHECKOUT


@pytest.fixture(scope="session")
def hub() -> Hub:
    kind = os.environ["HUBOPS_KIND"]
    return Hub(f"hubops-molecule-{kind}-{CHECKOUT}", kind)


@pytest.fixture(scope="session")
def target() -> str:
    """The version that the scenario upgrades to."""
    return os.environ["HUBOPS_TARGET"]


class Memory:
    """What the tests before the upgrade leave to the tests after it, in a file of the scenario."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def keep(self, **facts: Any) -> None:
        self.file.write_text(json.dumps(facts))

    def recall(self, name: str) -> Any:
        return json.loads(self.file.read_text())[name]


@pytest.fixture(scope="session")
def memory() -> Memory:
    return Memory(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "memory.json"))
