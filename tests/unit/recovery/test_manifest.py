"""The manifest of a recovery point is read by every version of the collection that knows its format."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.facts import DatabaseBackup
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import manifest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict

from tests import REPOSITORY

#: Made by an upgrade of the demonstration hub with the collection as it was at the commit e5301ba, before
#: manifests had a shape. The names of the service's environment variables were shortened, and then it was
#: signed again by the code of that commit.
OF_E5301BA = Path(__file__).parent / "data/point-of-e5301ba"


def changed(folder: Path, change: dict[str, Any]) -> Path:
    """A point with another manifest, unsigned: checksums are not tested here."""
    found = json.loads((OF_E5301BA / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**found, "sha256": None, **change}))
    return folder


def test_a_recovery_point_of_before_manifests_had_a_shape_is_read() -> None:
    old = manifest.read(OF_E5301BA)

    assert (old.purpose, old.from_version, old.to_version) == ("upgrade", "4.1.6", "6.1.1")
    assert (old.database.sealed, old.database.rows["users"]) == (True, 12)
    hub, users = old.environments
    assert (hub.jupyterhub, hub.environment_id, hub.planned) == ("4.1.6", "unmarked", True)
    assert users.path == "/tmp/old/build/demo/user"
    assert [file.path.rpartition("/")[2] for file in old.files] == [
        "jupyterhub_config.py",
        "jupyterhub_cookie_secret",
        "supervisord.conf",
    ]
    assert old.deployment.service.particulars["config"] == "/tmp/old/build/demo/supervisord.conf"


def test_it_is_written_again_and_is_the_same(tmp_path: Path) -> None:
    old = manifest.read(OF_E5301BA)
    manifest.write(tmp_path, old)

    again = {**to_dict(manifest.read(tmp_path)), "written": old.written}
    assert again == to_dict(old)


def test_one_that_was_changed_manually_is_refused(tmp_path: Path) -> None:
    shutil.copytree(OF_E5301BA, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text.replace('"users": 12', '"users": 13'))

    with pytest.raises(
        HubError, match=r"The manifest of .* has changed since it was written\. It was not used"
    ):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"files": None}, "Manifest.files is None, not a list."),
        ({"environments": [{}]}, "Manifest.environments[0] has no path."),
        ({"database": {"path": "/srv/hub.sqlite"}}, "Manifest.database has no kind."),
    ],
)
def test_one_that_lacks_what_a_restore_needs_is_refused_with_a_sentence(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    point = changed(tmp_path, change)
    with pytest.raises(HubError) as refused:
        manifest.read(point)
    assert str(refused.value) == (
        f"The manifest of {point} cannot be read: {problem} Use the collection's version that made it."
    )


def test_what_a_later_version_adds_is_ignored(tmp_path: Path) -> None:
    assert manifest.read(changed(tmp_path, {"colour": "red"})) == manifest.read(OF_E5301BA)


def test_the_documentation_has_every_field() -> None:
    """The table has the manifest's fields in its first column, and the fields of those in its second."""
    page = (REPOSITORY / "docs/recovery-point.md").read_text()
    table = page.partition("## The manifest")[2].partition("\n\nA field that")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    documented = {name: meaning for names, meaning in rows for name in re.findall(r"`(\w+)`", names)}
    parts = {
        "database": DatabaseBackup,
        "files": manifest.KeptFile,
        "homes": manifest.KeptHome,
        "environments": manifest.KeptEnvironment,
    }

    assert set(documented) == {field.name for field in fields(manifest.Manifest)} | {"sha256"}
    for name, part in parts.items():
        assert set(re.findall(r"`(\w+)`", documented[name])) == {field.name for field in fields(part)}
