"""A hub to be refused, and the words of the refusal."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.testbed import Hub, staged

# One line of JSON for each failed task: the message of a module is read back unchanged.
os.environ["ANSIBLE_CALLBACK_RESULT_FORMAT"] = "json"


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    """One hub for every refusal that changes nothing: each finds it as the one before has left it."""
    yield from start()


@pytest.fixture
def fresh_hub() -> Iterator[Hub]:
    """A hub for one test alone, which may leave it in any state."""
    yield from start()


def start() -> Iterator[Hub]:
    """A hub for which an upgrade can be staged: see `staged`."""
    with Hub.start(staged.KIND, tag=staged.staged_image()) as started:
        yield started
