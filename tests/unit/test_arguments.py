"""What a user sees of any module: `run` with Ansible's own AnsibleModule, and an action of the test's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import person
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal

from tests import REPOSITORY
from tests.healthy_hub import deployment
from tests.module_arguments import module_arguments

Action = Callable[[dict[str, Any], bool], dict[str, Any]]


class Module:
    """A module whose action is given; what it prints is its result."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.displayed = ""

    def __call__(
        self, action: Action, *, check: bool = False, params: dict[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        args = {**(params or {}), "_ansible_check_mode": check}
        with module_arguments(args), pytest.raises(SystemExit) as ended:
            arguments.run({**arguments.RUN, **arguments.STATE_FOLDER}, action, **options)
        printed = self._capsys.readouterr()
        self.displayed = printed.err
        result: dict[str, Any] = json.loads(printed.out)
        assert ended.value.code == int(result.get("failed", False))
        return result


@pytest.fixture
def module(capsys: pytest.CaptureFixture[str]) -> Module:
    return Module(capsys)


def failing(error: HubError) -> Action:
    def action(_params: dict[str, Any], _check: bool) -> dict[str, Any]:
        raise error

    return action


def test_an_action_gets_the_parameters_and_its_result_is_the_modules(module: Module) -> None:
    result = module(lambda params, _check: {"changed": True, "asked": params["run"]}, params={"run": "1"})
    assert (result["changed"], result["asked"]) == (True, "1")


@pytest.mark.parametrize("check", [False, True])
def test_an_action_is_told_of_check_mode(module: Module, check: bool) -> None:
    assert module(lambda _params, told: {"told": told}, check=check)["told"] is check


def test_a_hub_error_fails_the_task_with_its_remedy_and_how_long_it_took(module: Module) -> None:
    result = module(failing(HubError("No hub found.", "Set jupyterhub_service.")))
    assert (result["failed"], result["msg"]) == (True, "No hub found. Set jupyterhub_service.")
    assert result["seconds"] >= 0


def test_a_hub_error_may_have_more_to_return(module: Module, tmp_path: Path) -> None:
    holder = {"user": "ada", "controller": "laptop", "process": "boot/1/2", "command": "ansible-playbook"}
    run = journal.begin(tmp_path, holder, 600, deployment=deployment(), plan={})
    result = module(failing(journal.RunUnderWay(tmp_path, run)))
    assert result["other"] == {"id": run.id, "process": "boot/1/2", "controller": "laptop"}


def test_how_long_it_took_is_told_unless_the_action_has_measured_something_else(module: Module) -> None:
    assert module(lambda _params, _check: {})["seconds"] >= 0
    assert module(lambda _params, _check: {"seconds": 900.5})["seconds"] == 900.5


def test_warnings_are_ansibles_own(module: Module) -> None:
    result = module(lambda _params, _check: {"warnings": ["The disk is almost full."]})
    # Ansible displays them at once where this process has loaded the controller, and else hands them over.
    assert "The disk is almost full." in f"{module.displayed}{result.get('warnings')}"


def test_what_ansible_refuses_never_comes_to_the_action(module: Module) -> None:
    result = module(
        failing(HubError("It came.")), required_together=[("run", "state_folder")], params={"run": "1"}
    )
    assert "It came" not in result["msg"]
    assert "state_folder" in result["msg"]


def test_nothing_else_needs_ansible() -> None:
    """What thinks runs on a host without Ansible as well, as the guard does."""
    utils = REPOSITORY / "plugins" / "module_utils"
    needing = [file.name for file in utils.rglob("*.py") if "from ansible" in file.read_text()]
    assert needing == ["arguments.py"]


def test_the_checks_that_a_module_takes_are_those_that_there_are() -> None:
    wanted = arguments.PROOF["checks"]
    assert wanted["choices"] == wanted["default"] == list(person.CHECKS)
