"""What of the collection decides whether the test bed stages again."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.staged import STAGING, UTILS, closure


def test_all_that_staging_imports_counts_and_nothing_else() -> None:
    names = {path.stem for path in closure(next(UTILS.rglob(STAGING)))}
    assert {"staging", "installer", "packages", "files"} <= names
    assert not names & {"guard", "recovery_point", "report", "systemd"}


def test_packages_modules_and_their_contents_are_distinguished(tmp_path: Path) -> None:
    imports = "from . import base\nfrom ..system import files\nfrom ..errors import HubError"
    sources = {
        "system/__init__.py": "",
        "system/files.py": "from ..errors import HubError",
        "environments/__init__.py": "from . import base",
        "environments/base.py": "import json",
        "environments/staging.py": imports,
        "environments/switch.py": "",
        "errors.py": "",
    }
    for name, text in sources.items():
        tmp_path.joinpath(name).parent.mkdir(exist_ok=True)
        tmp_path.joinpath(name).write_text(text)
    found = closure(tmp_path / "environments/staging.py")
    assert {str(path.relative_to(tmp_path)) for path in found} == sources.keys() - {"environments/switch.py"}
