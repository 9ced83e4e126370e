"""The power of the cluster's node is cut."""

from __future__ import annotations

import pytest

from tests.testbed.kubernetes import Cluster, OneNode
from tests.testbed.z2jh.release import Release

CUTS_POWER = True


def test_hub_and_volumes_are_there_after_a_power_cut_of_the_node(cluster: Cluster, release: Release) -> None:
    if not isinstance(cluster, OneNode):
        pytest.skip("The power of a cluster that somebody else gives is not cut.")
    release.install("4.3.5")
    release.start_server("bob")
    release.in_server("bob", "echo his >note && sync")
    ended = release.containers()
    cluster.stop()
    cluster.start()
    release.wait_for_pods(ended)
    assert release.in_server("bob", "cat note") == "his\n"
