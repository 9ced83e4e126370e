"""Questions to installers: about a release, and what it would make of an environment."""

from __future__ import annotations

import contextlib
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator

from ..releases.config_options import read_options
from ..releases.migrations import heads, read_revisions
from ..releases.versions import parse_release
from .as_owner import passing_builder, stand_in
from .facts import EnvironmentFacts
from .installer import Installer, InstallerOptions, find_uv
from .kinds import environment_of
from .packages import installed_version


@contextlib.contextmanager
def passing_installer(environment: EnvironmentFacts, options: InstallerOptions) -> Iterator[Installer]:
    """The installer of an environment for queries, which leaves nothing behind on the host."""
    path = environment.path
    asked = stand_in(path)
    with tempfile.TemporaryDirectory(prefix="hubops-asking-") as folder:
        has_uv = options.installer != "pip" and bool(find_uv(asked, options))
        has_pip = options.installer != "uv" and bool(installed_version(asked, "pip"))
        if not has_uv and asked != path:
            # Of another user: what root answers, it answers with uv, which is then there for all of them.
            options, has_pip = replace(options, builder_folder=passing_builder()), False
        elif not has_uv and not has_pip:
            options = replace(options, builder_folder=f"{folder}/builder")
        make_installer = environment_of(environment.kind, path).make_installer
        yield make_installer(options, path, may_build=not has_pip)


def target_facts(version: str, environment: EnvironmentFacts, options: InstallerOptions) -> dict[str, Any]:
    """What a JupyterHub release needs, from its own package; nothing is installed, and any Python will do.

    Returns ``{"version": "6.1.1", "requires_python": ">=3.10", "schema_head": "f460b0348206",
    "revisions": [...], "options": {class: [...]}, "requires_dist": ["alembic>=1.4", ...]}``. Raises HubError
    when the release does not exist or the index cannot be reached.
    """
    release = parse_release(version)
    if options.installer == "auto" and installed_version(environment.path, "pip"):
        # pip keeps the wheel as it is; uv would lay out its 7,000 files, which takes twice as long.
        options = replace(options, installer="pip")
    with tempfile.TemporaryDirectory(prefix="hubops-target-") as folder, passing_installer(
        environment, options
    ) as installer:
        unpacked = installer.fetch(release.text, Path(folder, "wheel"))
        metadata = next(unpacked.glob("jupyterhub-*.dist-info/METADATA")).read_text(encoding="utf-8")
        options_known = read_options(unpacked / "jupyterhub")
        revisions = read_revisions(unpacked / "jupyterhub")
    newest = heads(revisions)
    header = metadata.split("\n\n", 1)[0]
    requires_python = re.search(r"^Requires-Python: *(.*)$", header, re.MULTILINE)
    return {
        "version": re.findall(r"^Version: *(\S+)$", header, re.MULTILINE)[0],
        "requires_python": requires_python[1] if requires_python else "",
        "schema_head": newest.pop() if len(newest) == 1 else None,
        "revisions": sorted(revisions),
        "options": options_known,
        "requires_dist": re.findall(r"^Requires-Dist: *(.*)$", header, re.MULTILINE),
    }
