"""Disables one protection of the hub at a time: the fault that it protects from must turn red."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import catalog
from .checkout import copy
from .reference import reference
from .row import Fault, judged


@dataclass(frozen=True)
class Mutation:
    """A change of one file of the collection, and the fault that must notice."""

    name: str
    file: str
    pattern: str
    replacement: str
    fault: str


UTILS = "plugins/module_utils"
MUTATIONS = (
    Mutation(
        "guard off",
        f"{UTILS}/recovery/guard_program.py",
        r"^        if not _why_dead\(folder, run\):",
        "        if True:",
        "program of the outage killed in the step, in the middle of start",
    ),
    Mutation(
        "sync left out",
        f"{UTILS}/system/files.py",
        r"os\.fsync\(descriptor\)",
        "pass",
        "power cut, what was not synced is lost, before the start",
    ),
    Mutation(
        "sidecar files kept",
        f"{UTILS}/databases/sqlite.py",
        r"for suffix in SIDECARS:\n        sidecar = database\.with_name",
        "for suffix in ():\n        sidecar = database.with_name",
        "migration is killed, with a transaction on its disk",
    ),
    Mutation(
        "boot gate off",
        f"{UTILS}/services/systemd.py",
        r'^            f"\[Unit\]\\n\{_HELD\}.*?$',
        '            "[Unit]"',
        "hub started manually, in each step of the outage",
    ),
    Mutation(
        "program of the outage not detached",
        f"{UTILS}/runs/outage_process.py",
        r"^    if guard\.has_systemd\(\):",
        "    if False:",
        "ansible-playbook killed (SIGKILL), at the start of start",
    ),
)


def main(only: str, as_asked: Callable[[Fault], Fault]) -> int:
    """Exit status 0 when every mutation is noticed."""
    missed = 0
    for mutation in MUTATIONS:
        if not re.search(only, mutation.name):
            continue
        with tempfile.TemporaryDirectory(prefix="hubops-mutation-") as folder:
            whole = copy(Path(folder, "whole"))
            fault = next(fault for fault in catalog.faults(whole) if fault.name == mutation.fault)
            changed = copy(Path(folder, "changed"))
            apply(mutation, changed)
            # A good upgrade is the same without what protects it.
            result = judged(as_asked(fault), changed, reference(whole, fault.kind), Path(folder, "log"))
        red = bool(result.wrong)
        missed += not red
        print(f"{'red' if red else 'NOT NOTICED':<12}{mutation.name}: {fault.name}", flush=True)
        for wrong in result.wrong[:3]:
            print(f"            {wrong[:200]}", flush=True)
    return 1 if missed else 0


def apply(mutation: Mutation, checkout: Path) -> None:
    """Raises ValueError when the code is not what the mutation was written for."""
    file = checkout / mutation.file
    text, count = re.subn(
        mutation.pattern, mutation.replacement, file.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    if count != 1:
        raise ValueError(f"{mutation.name}: {mutation.file} has {count} places to change, not one")
    file.write_text(text)
