"""A real Kubernetes cluster of one node, for tests."""

from __future__ import annotations

from .cluster import Cluster, OneNode, one_node, running_cluster

__all__ = ["Cluster", "OneNode", "one_node", "running_cluster"]
