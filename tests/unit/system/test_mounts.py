from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import mounts

MOUNTS = (
    "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "30 22 0:40 / /srv rw shared:1 - nfs4 server:/srv rw\n"
    "31 30 0:41 / /srv/a\\040b rw - xfs /dev/sdb rw\n"
    "34 22 0:44 / /srv/ä rw - zfs pool rw\n"
    "32 22 0:42 / /srv-old rw - btrfs /dev/sdc rw\n"
)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/hub/jupyterhub.sqlite", "nfs4"),
        ("/srv/a b/jupyterhub.sqlite", "xfs"),
        ("/srv-old/x", "btrfs"),
        ("/srv/ä/x", "zfs"),
        ("/srv-older/x", "ext4"),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str) -> None:
    found = mounts.of_path(Path(path), mounts.parsed(MOUNTS))
    assert found and found.kind == kind


def test_a_later_mount_hides_an_earlier_one() -> None:
    again = MOUNTS + "33 22 0:43 / /srv rw - tmpfs tmpfs rw\n"
    found = mounts.of_path(Path("/srv/x"), mounts.parsed(again))
    assert found and found.kind == "tmpfs"


def test_what_is_mounted_within_a_folder() -> None:
    known = mounts.parsed(MOUNTS)
    assert mounts.within("/srv", known) == ["/srv", "/srv/a b", "/srv/ä"]
    assert mounts.within("/srv/a b", known) == ["/srv/a b"]
    assert mounts.within("/opt/jupyterhub", known) == []


def test_the_mounts_of_this_host() -> None:
    assert "/" in [each.point for each in mounts.mounts()]
