"""Groups tests, so that a worker has those that share a hub."""

from __future__ import annotations

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """A file's tests share their hubs, so one worker runs them all; one with its own hub runs anywhere."""
    if not is_alone(item):
        item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that have a hub of their own: they take longest, and none is left to the end.

    Those in containers come after the others, for in `make test` the images are built meanwhile.
    """
    items.sort(key=lambda item: (not is_alone(item), in_container(item)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Have the groups count: xdist 3.8 writes them where pytest does not look any more since 9.2.

    https://github.com/pytest-dev/pytest-xdist/issues/1386: without this each worker has hubs of its own for
    a file, and begins in the middle of a story.
    """
    for item in session.items:
        grouped = getattr(item, "_nodeid", item.nodeid)
        if grouped != item.nodeid:
            item._id = type(item._id).parse(grouped)


def is_alone(item: pytest.Item) -> bool:
    """Whether a test shares nothing with the others of its file."""
    return in_container(item) or item.get_closest_marker("alone") is not None


def in_container(item: pytest.Item) -> bool:
    """Whether a test has a container for itself."""
    return "fresh_hub" in getattr(item, "fixturenames", ())
