"""Recovery points go when their time has come, with the environments that only they need."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.kept import KeptEnvironment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import MARKER
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import manifest, retention

OLDEST, OLD, NEW, NEWEST = names = [
    "20250101T000000Z-1-2",
    "20250201T000000Z-2-3",
    "20250301T000000Z-3-4",
    "20990101T000000Z-4-5",
]
MANIFEST = manifest.read(Path(__file__).parent / "data/point-of-e5301ba")


@pytest.mark.parametrize(
    ("now", "name"),
    [
        ("2026-11-20T21:15:03.5", "20261120T211503Z-4.1.6-6.1.1"),
        ("2026-11-20T21:15:00.7", "20261120T211501Z-4.1.6-6.1.1"),
        ("2026-11-20T20:15:00.7", "20261120T211501Z-4.1.6-6.1.1"),
    ],
    ids=["later", "within a second", "the clock was set back an hour"],
)
def test_the_newest_sorts_last_whatever_the_clock_says(tmp_path: Path, now: str, name: str) -> None:
    for made in ("20261020T090000Z-4.1.5-4.1.6", "20261120T211500Z", "somebody's"):
        (tmp_path / made).mkdir()
    moment = datetime.fromisoformat(now).replace(tzinfo=timezone.utc)
    assert manifest.new_id(tmp_path, "4.1.6", "6.1.1", moment) == name


class Host:
    """Four recovery points of one environment, which has been upgraded four times."""

    def __init__(self, folder: Path) -> None:
        self.points = folder / "state" / "hub" / "recovery"
        self.place = folder / "env"
        for number, name in enumerate(names, 1):
            self.make_environment(self.aside(name), number)
            self.make_point(name, number)
        self.make_environment(self.place, 5)

    def aside(self, name: str) -> Path:
        return Path(f"{self.place}.before-{name}")

    def make_environment(self, path: Path, number: int) -> None:
        information = path / "lib/python3.11/site-packages" / f"jupyterhub-{number}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Name: jupyterhub\nVersion: {number}\n\n")
        (path / MARKER).write_text(
            json.dumps({"id": f"identity {number}", "replaces": "", "staged_path": ""})
        )

    def make_point(self, name: str, number: int) -> None:
        environment = KeptEnvironment(
            path=str(self.place),
            kind="venv",
            aside=str(self.aside(name)),
            environment_id=f"identity {number}",
            sha256="",
            python_version="3.11.2",
            jupyterhub=str(number),
            packages_file="environments/0.txt",
            packages_sha256="",
            planned=True,
        )
        point = self.points / name
        (point / "files/etc").mkdir(parents=True)
        run = {"id": f"run {number}"}
        manifest.write(point, replace(MANIFEST, id=name, run=run, environments=(environment,)))

    def make_of_one_run(self, *names: str) -> None:
        for name in names:
            kept = manifest.read(self.points / name)
            manifest.write(self.points / name, replace(kept, run={"id": "upgrade"}))

    def run(self, phase: str, point: str) -> None:
        run = {"phase": phase, "recovery_point": str(self.points / point)}
        (self.points.parent / "run.json").write_text(json.dumps(run))

    def left(self) -> list[str]:
        return sorted(path.name for path in self.points.iterdir())

    def environments_left(self) -> list[str]:
        kept = self.place.parent.glob("env.*")
        return sorted(path.name.partition(".before-")[2] or path.name for path in kept)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def removed(host: Host, **limits: int) -> list[str]:
    return [path.name for path in retention.prune(host.points, **limits)]


def test_the_newest_are_kept_with_their_environments(host: Host) -> None:
    assert [path.name for path in retention.surplus(host.points, keep=2)] == names[:2]
    assert removed(host, keep=2) == names[:2]
    assert host.left() == host.environments_left() == names[2:]
    assert removed(host, keep=2) == []


def test_old_age_is_enough(host: Host) -> None:
    assert removed(host, keep=10, keep_days=1) == names[:3]
    assert host.left() == host.environments_left() == [NEWEST]


@pytest.mark.parametrize("limits", [{"keep": 0}, {"keep": 1, "keep_days": 1}])
def test_the_newest_always_stays(host: Host, limits: dict[str, int]) -> None:
    removed(host, **limits)
    assert host.left() == [NEWEST]


def test_those_of_one_run_count_as_one(host: Host) -> None:
    """The way back from an upgrade, and the first backup of the new hub."""
    host.make_of_one_run(NEW, NEWEST)
    assert removed(host, keep=2) == [OLDEST]
    assert removed(host, keep=1, keep_days=1) == [OLD]
    assert host.left() == host.environments_left() == [NEW, NEWEST]


def test_the_recovery_point_of_a_run_that_is_not_over_stays(host: Host) -> None:
    host.run("outage", OLDEST)
    assert removed(host, keep=1) == [OLD, NEW]
    with pytest.raises(HubError, match="is the recovery point of a run that is not over"):
        retention.remove(host.points / OLDEST)
    assert host.left() == [OLDEST, NEWEST]
    for phase in ("accepted", "restored", "ended"):
        host.run(phase, OLDEST)
        assert [path.name for path in retention.surplus(host.points, keep=1)] == [OLDEST]


def test_an_environment_that_another_point_needs_stays(host: Host) -> None:
    """After a rollback the environment of the first point has the name of a later one."""
    host.aside(OLDEST).rename(host.aside("unused"))
    host.aside(NEW).rename(host.aside("also unused"))
    host.aside("unused").rename(host.aside(NEW))
    assert retention.remove(host.points / NEW)
    assert host.environments_left() == [OLD, NEW, NEWEST]
    assert retention.remove(host.points / OLDEST)
    assert host.environments_left() == [OLD, NEWEST]
    assert not retention.remove(host.points / OLDEST)


def test_the_environment_in_place_stays(host: Host) -> None:
    oldest = manifest.read(host.points / OLDEST)
    in_place = replace(oldest.environments[0], environment_id="identity 5", jupyterhub="5")
    manifest.write(host.points / OLDEST, replace(oldest, environments=(in_place,)))
    retention.remove(host.points / OLDEST)
    assert (host.place / MARKER).exists()


def test_where_a_link_leads_is_not_ours_to_remove(host: Host, tmp_path: Path) -> None:
    host.aside(OLDEST).rename(tmp_path / "old-environment")
    host.aside(OLDEST).symlink_to(tmp_path / "old-environment")
    retention.remove(host.points / OLDEST)
    assert not host.aside(OLDEST).is_symlink()
    assert (tmp_path / "old-environment" / MARKER).exists()


def test_a_removal_that_was_cut_off_is_finished_by_the_next(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(retention.kept_environments, "remove_unneeded", interrupted)
        with pytest.raises(KeyboardInterrupt):
            removed(host, keep=3)
    assert host.environments_left() == names
    assert removed(host, keep=3) == [], "it is no recovery point any more"
    assert host.left() == host.environments_left() == names[1:]


def test_what_was_never_completed_goes_after_a_day(host: Host) -> None:
    (host.points / "20250101T000000Z-half-made/files").mkdir(parents=True)
    (host.points / "20990101T000000Z-being-made/files").mkdir(parents=True)
    removed(host, keep=4)
    assert host.left() == [*names, "20990101T000000Z-being-made"]


def test_a_point_too_damaged_to_be_read_can_be_removed(host: Host) -> None:
    (host.points / OLDEST / "manifest.json").write_text("{")
    assert removed(host, keep=3) == [OLDEST]
    assert host.left() == names[1:]
