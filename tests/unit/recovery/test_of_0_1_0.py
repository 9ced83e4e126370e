"""What 0.1.0 has left on a host is what every later version restores and reports from."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import venv
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import manifest as manifests
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import recovery_point

#: Made by `recovery_point.create` and `seal` of 0.1.0, of a hub in the folder MADE_IN. Never change it: it is
#: the promise of the format. A later format gets a folder and a test of its own.
POINT = Path(__file__).parent / "data/point-of-0.1.0"
MADE_IN = "/srv/hub-of-0.1.0"


def moved(value: Any, home: Path) -> Any:
    """The manifest of a hub in ``home``, with its files where they are in the recovery point."""
    if isinstance(value, dict):
        mine = {"owner": os.getuid(), "group": os.getgid()}
        return {
            name: each
            if name == "file"
            else mine[name]
            if name in mine and isinstance(each, int)
            else moved(each, home)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [moved(each, home) for each in value]
    return value.replace(MADE_IN, str(home)) if isinstance(value, str) else value


def test_its_manifest_is_as_it_was_signed() -> None:
    assert manifests.read(POINT).database.rows["users"] == 3


def test_its_recovery_point_is_restored(tmp_path: Path) -> None:
    home, point = tmp_path / "hub", tmp_path / "state" / POINT.name
    home.mkdir()
    shutil.copytree(POINT, point)
    manifest = {**moved(json.loads((POINT / "manifest.json").read_text()), home), "sha256": None}
    (point / "manifest.json").write_text(json.dumps(manifest))
    # The hub as a newer one has left it: migrated, with another config, without its secret.
    venv.create(home / "env")
    (home / "jupyterhub_config.py").write_text("c.JupyterHub.port = 9000\n")
    with sqlite3.connect(home / "hub.sqlite") as connection:
        connection.executescript(
            "create table alembic_version (version_num text);"
            "insert into alembic_version values ('f460b0348206');"
            "create table users (name text); create table shares (id integer);"
        )
    connection.close()

    restored = recovery_point.verify(point)
    recovery_point.make_equal(point, restored, point / "replaced")

    assert (home / "jupyterhub_config.py").read_text() == "c.JupyterHub.port = 8000\n"
    assert (home / "cookie_secret").read_text() == "0123\n"
    assert (home / "cookie_secret").stat().st_mode & 0o777 == 0o600
    connection = sqlite3.connect(home / "hub.sqlite")
    names = [name for (name,) in connection.execute("select name from users order by name")]
    ((revision,),) = connection.execute("select version_num from alembic_version")
    connection.close()
    assert (names, revision) == (["ada", "grace", "lovelace"], "0eee8c825d24")
    assert recovery_point.differences(point, restored) == []
