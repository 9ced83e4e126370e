"""Who changes which package of a conda environment: conda, or pip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from ..releases.requirements import Requirement, normalised, parse_requirement
from .conda_records import JUPYTERHUB, Record, Spec, records
from .layout import python_version_of
from .packages import installed_version


@dataclass(frozen=True)
class Shares:
    """Requirements, by who fulfils them."""

    conda: tuple[Spec, ...]
    pip: tuple[str, ...]


class CondaPackages:
    """The packages that conda has installed into an environment, and has them still."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.records = records(root)
        self._by_normalised_name = {normalised(record.name): record for record in self.records.values()}

    def shares(self, requirements: Iterable[str]) -> Shares:
        """Who fulfils each: whoever has installed the package, or else whoever has installed JupyterHub."""
        conda: list[Spec] = []
        pip: list[str] = []
        for text in requirements:
            wanted = parse_requirement(text)
            if wanted is None or wanted.address or not self._is_condas(wanted.name):
                pip.append(text)
            elif wanted.applies(str(python_version_of(self._root))) is not False:
                conda += [Spec(name, wanted.specifiers) for name in self._names(wanted)]
        return Shares(tuple(conda), tuple(pip))

    def jupyterhub(self) -> Record | None:
        """The package with the code of JupyterHub; None where conda has not installed it."""
        if not self._is_condas("jupyterhub"):
            return None
        present = [self.records[name] for name in JUPYTERHUB if name in self.records]
        return next((record for record in present if _has_code(record)), present[0])

    def _names(self, wanted: Requirement) -> list[str]:
        if wanted.name == "jupyterhub":
            return [name for name in JUPYTERHUB if name in self.records]
        record = self._by_normalised_name.get(wanted.name)
        return [record.name if record else wanted.name]

    def _is_condas(self, name: str) -> bool:
        """Whether conda installs a package; one that pip has installed over conda's is pip's."""
        parts = map(self._by_normalised_name.get, JUPYTERHUB if name == "jupyterhub" else (name,))
        condas = {record.version for record in parts if record}
        installed = installed_version(self._root, name)
        if condas:
            return installed is None or installed in condas
        return name != "jupyterhub" and installed is None and self._is_condas("jupyterhub")


def _has_code(record: Record) -> bool:
    return any(file.endswith("jupyterhub/app.py") for file in record.files)
