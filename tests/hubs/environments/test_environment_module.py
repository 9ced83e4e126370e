"""The module as a playbook calls it: progress while it stages, truthful check mode, results, refusals."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict

from tests import REPOSITORY
from tests.healthy_hub import deployment
from tests.hubs.small_wheels import UV, fingerprint, make_hub_wheel, make_venv
from tests.plans import planned_environment

ADA = {"user": "ada", "controller": "laptop", "process": "", "command": "ansible-playbook upgrade.yml"}
POINT = "20261120T211500Z-1.0.0-2.0.0"


class Controller:
    """Runs ansible-playbook on this machine with a home of its own."""

    def __init__(self, folder: Path, made: Path) -> None:
        self.folder = folder
        self.place = folder / "hub"
        shutil.copytree(made / "old", self.place, symlinks=True)
        self.entry = planned_environment(self.place, "2.0.0")
        self.staged = Path(self.entry.staged_path)
        self.wheels = made / "wheels"
        (folder / "home").mkdir()

    def run(
        self, *states: str, arguments: tuple[str, ...] = (), **options: Any
    ) -> tuple[list[dict[str, Any]], str]:
        """Bring the environment to one state after the other; return the results and all that was printed."""
        results = self.folder / "results.json"
        task = {
            "hubops.jupyterhub.jupyterhub_environment": {
                "deployment": to_dict(deployment(name="hub")),
                "state": "{{ item }}",
                "environments": [to_dict(self.entry)],
                "recovery_point_id": POINT,
                "wheels": str(self.wheels),
                "state_folder": str(self.folder / "state"),
                **options,
            },
            "loop": states,
            "register": "done",
            "ignore_errors": True,
        }
        keep = {
            "ansible.builtin.copy": {
                "content": "{{ done.results | to_json }}",
                "dest": str(results),
                "mode": "0600",
            },
            "check_mode": False,
            "diff": False,
        }
        play = {"hosts": "hub.example.org", "gather_facts": False, "tasks": [task, keep]}
        (self.folder / "play.json").write_text(json.dumps([play]))
        process = subprocess.run(
            [
                Path(sys.executable).parent / "ansible-playbook",
                "-i",
                "hub.example.org,",
                "play.json",
                *arguments,
            ],
            cwd=self.folder,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
                "HOME": str(self.folder / "home"),
                "PATH": f"{Path(UV).parent}:{os.environ['PATH']}",
                "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".collections"),
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
                "ANSIBLE_TRANSPORT": "ansible.builtin.local",
                "ANSIBLE_NOCOLOR": "1",
            },
            capture_output=True,
            text=True,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return json.loads(results.read_text()), process.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for version in ("1.0.0", "2.0.0"):
        make_hub_wheel(folder / "wheels", version)
    make_venv(folder / "old", folder / "wheels", "jupyterhub==1.0.0")
    return folder


@pytest.fixture
def controller(made: Path, tmp_path: Path) -> Controller:
    return Controller(tmp_path, made)


def test_a_whole_upgrade_and_its_rollback(controller: Controller) -> None:
    old = fingerprint(controller.place)
    each_twice = [state for state in ("staged", "switched", "restored", "absent") for _time in range(2)]
    results, printed = controller.run(*each_twice, arguments=("--diff",))
    assert [result["changed"] for result in results] == [True, False] * 4
    staged, again, switched, _again, restored = [result["environments"][0] for result in results[:5]]
    upgrade = [{"name": "jupyterhub", "from": "1.0.0", "to": "2.0.0"}]
    assert staged["changes"] == again["changes"] == switched["changes"] == upgrade
    assert switched["packages_before"] == {"jupyterhub": "1.0.0"}
    assert switched["packages_after"] == {"jupyterhub": "2.0.0"}
    assert switched["aside"] == f"{controller.place}.before-{POINT}"
    assert restored["changes"] == [{"name": "jupyterhub", "from": "2.0.0", "to": "1.0.0"}]
    assert fingerprint(controller.place) == old
    assert not controller.staged.exists()

    assert "-jupyterhub==1.0.0\n+jupyterhub==2.0.0\n" in printed
    assert "ansible_job_id" not in results[0]
    assert list((controller.folder / "home" / ".ansible_async").iterdir()) == []


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ((), {"staged": True, "switched": True, "restored": False, "absent": False}),
        (("staged",), {"staged": False, "switched": True, "restored": False, "absent": True}),
        (("staged", "switched"), {"switched": False, "restored": True, "absent": False}),
    ],
)
def test_check_mode_is_true_and_silent(
    controller: Controller, first: tuple[str, ...], expected: dict[str, bool]
) -> None:
    def seen() -> dict[str, object]:
        own = ("results.json", "play.json", "home")
        return {
            path: facts for path, facts in fingerprint(controller.folder).items() if not path.startswith(own)
        }

    if first:
        controller.run(*first)
    before = seen()
    results, _printed = controller.run(*expected, arguments=("--check",))
    assert dict(zip(expected, [result["changed"] for result in results])) == expected
    assert seen() == before


def test_a_refusal_is_a_failure_with_its_reason(controller: Controller) -> None:
    controller.entry = replace(controller.entry, requirements=("jupyterhub==9.9.9",))
    (failed,), _printed = controller.run("staged")
    assert failed["failed"]
    assert failed["msg"].startswith(f"jupyterhub==9.9.9 cannot be installed into {controller.staged}: ")
    assert not controller.staged.exists()
    assert list((controller.folder / "home" / ".ansible_async").iterdir()) == []


def test_a_users_environment_that_cannot_be_staged_is_left_as_it_is(controller: Controller) -> None:
    controller.entry = replace(controller.entry, requirements=("jupyterhub==9.9.9",), role="user")
    before = fingerprint(controller.place)
    (done,), _printed = controller.run("staged", environment_failures="report")
    assert not done["failed"] and not done["changed"]
    [environment] = done["environments"]
    assert environment["fault"].startswith("jupyterhub==9.9.9 cannot be installed into ")
    assert environment["packages_after"] == {"jupyterhub": "1.0.0"}
    assert fingerprint(controller.place) == before and not controller.staged.exists()


def test_nothing_is_staged_beside_a_run_that_is_under_way(controller: Controller) -> None:
    run = journal.begin(
        controller.folder / "state/hub", ADA, 600, deployment=to_dict(deployment(name="hub")), plan=None
    )
    (result,), _printed = controller.run("staged")
    assert result["failed"]
    assert f"{run.id} (ada on laptop, `ansible-playbook upgrade.yml`)" in result["msg"]
    assert not controller.staged.exists()


def test_a_switch_needs_the_recovery_point(controller: Controller) -> None:
    results, _printed = controller.run("switched", "restored", recovery_point_id="")
    assert [result["msg"] for result in results] == [
        f"Environments cannot be {state} without a recovery point. Give its id in recovery_point_id."
        for state in ("switched", "restored")
    ]


def test_credentials_of_the_index_are_never_printed(controller: Controller) -> None:
    (failed,), printed = controller.run(
        "staged", arguments=("-vvv",), wheels="", index_url="http://bob:unspeakable@127.0.0.1:9/simple"
    )
    assert failed["msg"].startswith("The package index could not be reached: ")
    assert "unspeakable" not in printed + json.dumps(failed)
