"""Old and new QHub, each in a venv of its own; the new one alone where the old site is changed in place."""

from __future__ import annotations

from .. import programs
from .base import Result, Step, Work


class Install(Step):
    """Makes the venvs. Neither the one that is there elsewhere nor the other version is touched."""

    name = "install"
    title = "Install the old and the new QHub beside each other"
    only_redeployed = False

    def carry_out(self, work: Work) -> Result:
        record = work.record
        versions = [*([record.from_version] if record.needs_second_site else []), record.to_version]
        for version in versions:
            if not programs.is_installed(work.site, work.kept, version):
                programs.install(work.site, work.kept, version)
        return Result({version: str(programs.program(work.kept, version)) for version in versions})

    def undone(self, work: Work, evidence: dict[str, str]) -> str:
        gone = [each for each in evidence if not programs.is_installed(work.site, work.kept, each)]
        return f"QHub {' and '.join(gone)} is not installed as it should be" if gone else ""
