"""A cluster and the charts for all tests, and a release for each.

Two processes share the cluster: a test waits most of its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.kubernetes import Cluster, running_cluster
from tests.testbed.z2jh.charts import write_charts
from tests.testbed.z2jh.images import build_images
from tests.testbed.z2jh.release import Release, new_release
from tests.testbed.z2jh.versions import VERSIONS


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The test bed's cluster with all images, or the one that ``KUBECONFIG`` names."""
    images = [image for version in VERSIONS.values() for image in build_images(version)]
    with running_cluster() as cluster:
        cluster.load(images)
        yield cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, and end with those that need the cluster for themselves."""
    items.sort(key=lambda item: (cuts_power(item), not getattr(module_of(item), "IS_LONG", False)))


def module_of(item: pytest.Item) -> object:
    parent = item.getparent(pytest.Module)
    return parent.obj if parent else None


def cuts_power(item: pytest.Item) -> bool:
    return bool(getattr(module_of(item), "CUTS_POWER", False))


@pytest.fixture(scope="module", autouse=True)
def power(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[None]:
    """No node loses its power while the tests of a file run, unless they do it."""
    with cluster.power(cut=cuts_power(request.node)):
        yield


@pytest.fixture(scope="session")
def charts(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The archive of each version of the chart, in a folder with the index of a repository."""
    return write_charts(tmp_path_factory.mktemp("charts"), cluster.helm4_program)


@pytest.fixture
def release(cluster: Cluster, charts: dict[str, Path], tmp_path: Path) -> Iterator[Release]:
    """A release that is not installed yet, in a namespace of its own."""
    with new_release(cluster, charts, tmp_path) as release:
        yield release
