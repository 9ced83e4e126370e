"""Groups tests, so that a worker has those that share a hub."""

from __future__ import annotations

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """A file's tests share their hubs, so one worker runs them all; one with its own hub runs anywhere."""
    if not is_alone(item):
        item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that have a hub of their own: they take longest, and none is left to the end."""
    items.sort(key=lambda item: not is_alone(item))


def is_alone(item: pytest.Item) -> bool:
    """Whether a test shares nothing with the others of its file."""
    fixtures = getattr(item, "fixturenames", ())
    return "fresh_hub" in fixtures or item.get_closest_marker("alone") is not None
