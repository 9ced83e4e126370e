"""Tests of the collection: unit tests, real hubs on this machine, and real hubs in containers.

They import this checkout as ``ansible_collections.hubops.jupyterhub``.
"""

from pathlib import Path

from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

REPOSITORY = Path(__file__).resolve().parents[1]

_AnsibleCollectionFinder(paths=[str(REPOSITORY / ".collections")])._install()
