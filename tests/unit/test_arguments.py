"""What a module says, however its action ends."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

Action = Callable[[dict[str, Any], bool], dict[str, Any]]


@pytest.fixture
def module(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run an action as a module with one argument, and return what Ansible reads."""

    def ran(action: Action, **given: Any) -> dict[str, Any]:
        with patch_module_args(given), pytest.raises(SystemExit):
            arguments.run(action, {"name": {"type": "str", "default": "hub"}})
        return dict(json.loads(capsys.readouterr().out))

    return ran


def test_the_action_gets_the_arguments_and_whether_it_may_change_anything(module: Any) -> None:
    def action(params: dict[str, Any], check: bool) -> dict[str, Any]:
        return {"changed": False, "name": params["name"], "check": check}

    assert module(action)["name"] == "hub"
    assert module(action, name="other", _ansible_check_mode=True)["check"] is True


def test_a_result_has_its_seconds_and_its_warnings_where_ansible_shows_them(module: Any) -> None:
    result = module(lambda params, check: {"changed": True, "warnings": ["Read this."]})
    assert result["seconds"] >= 0
    assert "Read this." in json.dumps(result["warnings"])
    assert module(lambda params, check: {"changed": True, "seconds": 0.045})["seconds"] == 0.045


def test_a_failure_says_the_remedy_and_what_is_known_besides(module: Any) -> None:
    def action(params: dict[str, Any], check: bool) -> dict[str, Any]:
        raise HubError("The hub is away.", "Start it.", other={"id": "1"})

    failed = module(action)
    assert (failed["failed"], failed["msg"], failed["other"]) == (
        True,
        "The hub is away. Start it.",
        {"id": "1"},
    )
    assert failed["seconds"] >= 0
