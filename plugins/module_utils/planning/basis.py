"""What an upgrade starts from: the same basis twice makes the same upgrade twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..deployment.model import Deployment
from ..environments.planned import PlannedEnvironment
from ..shapes import to_dict
from ..system import files
from . import site_files


@dataclass(frozen=True)
class FailedUpgrade:
    """An upgrade after which the host has restored the old hub, since a step of the outage failed."""

    basis: str
    run: str
    at: str
    reason: str


def files_of_site(deployment: Deployment) -> dict[str, str]:
    """Digests of the files that the hub is started with, by path.

    Some have secrets in them: only `digest`, which is one for all of them, is kept.
    """
    paths = [path for path in site_files.read(deployment) if os.path.isfile(path)]
    return {path: files.sha256(Path(path)) for path in paths if os.access(path, os.R_OK)}


def digest(
    version: str,
    environments: Sequence[PlannedEnvironment],
    installed: dict[str, dict[str, str]],
    of_site: dict[str, str],
) -> str:
    """Of all that decides what an upgrade does: target, environments and their packages, the site's files."""
    made_of = [version, [to_dict(entry) for entry in environments], installed, of_site]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
