"""Images of single-user servers, and what in their containers is their users'."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import server_images
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import ServerImages
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import containers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.containers import NO_CONTAINER, Mount

IMAGES = ServerImages(
    "quay.io/jupyterhub/singleuser:4.1", True, [], False, False, False, "jupyter-", "ifnotpresent"
)


@pytest.mark.parametrize(
    ("version", "image"),
    [("6.1.1", "quay.io/jupyterhub/singleuser:6.1"), ("6.0.0b1", "quay.io/jupyterhub/singleuser:6.0")],
)
def test_the_default_image_follows_the_hub(version: str, image: str) -> None:
    assert server_images.as_of(IMAGES, version).image == image
    assert server_images.as_of(replace(IMAGES, tag_follows_hub=False), version).image == IMAGES.image


@pytest.mark.parametrize(
    ("changed", "files"),
    [
        (["/etc/passwd", "/tmp/x", "/home", "/home/jovyan"], []),
        (["/home/jovyan/.local/share/jupyter/runtime/a.json", "/home/jovyan/.bashrc"], []),
        (["/home/jovyan/work"], []),
        (["/home/jovyan/thesis.ipynb", "/home/jovyan/data/a b"],) * 2,
        (["/srv/people/ada/notes"], ["/srv/people/ada/notes"]),
        (["/root/notes", "/opt/conda/bin/x"], ["/root/notes"]),
    ],
)
def test_which_files_are_a_users(
    changed: list[str], files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not hidden ones, nor folders around a volume."""
    found = replace(
        NO_CONTAINER,
        name="jupyter-ada",
        directory="/srv/people/ada",
        environment={"HOME": "/home/jovyan"},
        mounts=[Mount("/data/ada", "/home/jovyan/work")],
    )
    monkeypatch.setattr(containers, "changed_files", lambda name: changed)
    assert server_images.own_files(found) == files
