"""The table of faults: it is complete, and so is what CI runs of it. Its rows need hubs: `tests/faults`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import outage_steps
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import family

from tests.faults import attempt, catalog, mutations
from tests.faults.checkout import copy
from tests.faults.row import Fault


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy(tmp_path_factory.mktemp("faults") / "checkout")


@pytest.fixture(scope="module")
def faults(checkout: Path) -> list[Fault]:
    return list(catalog.faults(checkout))


def test_each_step_of_the_program_has_its_rows(faults: list[Fault]) -> None:
    names = [fault.name for fault in faults]
    assert len(names) == len(set(names)) >= 100
    # A move has a playbook of its own; nothing is upgraded in place, and users' servers run on.
    steps = {step.name for step in outage_steps.STEPS} - {"move", "upgrade in place", "restart servers"}
    for kind in (
        *("ansible-playbook killed (SIGKILL)", "controller frozen, and late", "host not reachable any more"),
        *("power cut, and the run continues", "program of the outage killed", "program and guard killed"),
        "two runs at once",
    ):
        assert {f"{kind}, at the start of {step}" for step in steps} <= set(names)
    for kind in ("power cut in the step, and the run continues", "program of the outage killed in the step"):
        assert {f"{kind}, in the middle of {step}" for step in steps} <= set(names)


def test_ci_runs_eight(faults: list[Fault]) -> None:
    assert len([fault for fault in faults if fault.selected]) == 8


@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda mutation: str(mutation.name))
def test_a_mutation_fits_the_code_and_has_its_row(
    mutation: mutations.Mutation, checkout: Path, faults: list[Fault]
) -> None:
    assert len([fault for fault in faults if fault.name == mutation.fault]) == 1
    mutations.apply(mutation, checkout)


def test_a_signal_reaches_a_worker_in_a_session_of_its_own() -> None:
    """As Ansible's workers are since 2.19: a controller that is killed or frozen has none that goes on."""
    program = "import subprocess, sys; subprocess.run(['sleep', '600'], start_new_session=True)"
    with subprocess.Popen([sys.executable, "-c", program], start_new_session=True) as controller:
        worker = _wait_for(lambda: [each for each in family(controller.pid) if each.argv[0] == "sleep"])[0]
        attempt.signal_all(controller.pid, signal.SIGSTOP)
        _wait_for(lambda: _state(worker.pid) == _state(controller.pid) == "T")
        attempt.signal_all(controller.pid, signal.SIGKILL)
    _wait_for(lambda: _state(worker.pid) in ("", "Z"))


def _wait_for(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (answer := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer


def _state(pid: int) -> str:
    """Of a process; '' where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
