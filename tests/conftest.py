"""Makes this checkout importable as ``ansible_collections.hubops.jupyterhub``."""

from __future__ import annotations

from pathlib import Path

from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

COLLECTIONS = Path(__file__).resolve().parents[1] / ".collections"

_AnsibleCollectionFinder(paths=[str(COLLECTIONS)])._install()
