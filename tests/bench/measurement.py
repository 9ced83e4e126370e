"""One measured upgrade of a hub in a container of its own."""

from __future__ import annotations

import time
from typing import NamedTuple

from tests.testbed import Hub, Probe

from .preflight import preflight_seconds
from .procedures import VERSION, Procedure, upgrade

IMAGE = "systemd"


class Measurement(NamedTuple):
    """What was seen of one upgrade, in seconds.

    ``downtime`` is seen from outside the container; ``total`` is the whole procedure, without what was done
    before it. Of an upgrade, ``phases`` are those of its report, ``noop`` is a second run, and ``preflight``
    is what the host works on finding and planning, before all of it.
    """

    downtime: float
    total: float
    phases: dict[str, float]
    noop: float | None
    preflight: float | None = None


def measure(procedure: Procedure) -> Measurement:
    """Upgrade a fresh hub. Raises when it does not answer with the new version afterwards."""
    with Hub.start(IMAGE) as hub:
        _renew(hub)
        procedure.prepare(hub)
        preflight = preflight_seconds(hub) if procedure.reports else None
        with Probe(hub) as probe:
            began = time.monotonic()
            report = procedure.perform(hub)
            hub.wait_until_answers(VERSION)
            total = time.monotonic() - began
        return Measurement(
            downtime=probe.downtime(hub.layout.version, VERSION),
            total=total,
            phases={phase["name"]: phase["seconds"] or 0.0 for phase in report.get("phases", [])},
            noop=_upgraded_again(hub) if procedure.reports else None,
            preflight=preflight,
        )


def _renew(hub: Hub) -> None:
    """Have the newest jsonschema, as users do: with that of the test bed, new hubs start faster."""
    for environment in hub.layout.environments:
        install = ["uv", "pip", "install", "--quiet", "--upgrade", "--python", f"{environment}/bin/python"]
        hub.exec([*install, "jsonschema"])


def _upgraded_again(hub: Hub) -> float:
    began = time.monotonic()
    changed = upgrade(hub).changed
    assert changed == 0, f"The second upgrade changed {changed} things."
    return time.monotonic() - began
