"""The modules' edge: the arguments that several of them have, and how each of them runs.

The only file here that knows Ansible. Documentation fragments of the same names say what the arguments mean.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule

from .errors import HubError

#: What a module does: from its arguments, and whether it may only look, to its result.
Action = Callable[[Dict[str, Any], bool], Dict[str, Any]]

STATE_FOLDER = {"state_folder": {"type": "path"}}
RUN = {"run": {"type": "str", "default": ""}, **STATE_FOLDER}
DEPLOYMENT = {"deployment": {"type": "dict", "required": True}, **STATE_FOLDER}
#: Of a module that takes a step of an upgrade.
STEP = {**DEPLOYMENT, **RUN}
PROGRESS = {"progress_file": {"type": "path", "default": ""}}
RETENTION = {
    "keep": {"type": "int", "default": 5},
    "keep_days": {"type": "int", "default": 0},
}
INSTALLER = {
    "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
    "index_url": {"type": "str", "default": "", "no_log": True},
    "constraints": {"type": "path", "default": ""},
    "wheels": {"type": "path", "default": ""},
}


def choice(*names: str, **more: Any) -> dict[str, Any]:
    """An argument that is one of ``names``; required unless it has a default."""
    return {"type": "str", "choices": list(names), **(more or {"required": True})}


def run(action: Action, spec: dict[str, Any], **rules: Any) -> None:
    """Be the module that ``action`` makes of its arguments.

    Its result is the module's, with ``seconds`` unless it has that, and without ``warnings``, which are
    shown. A HubError is a failure with its message, its remedy and its ``result``. ``rules`` are further ones
    of AnsibleModule, such as ``required_if``.
    """
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True, **rules)
    began = time.monotonic()
    try:
        result = action(module.params, module.check_mode)
    except HubError as error:
        module.fail_json(msg=str(error), **{"seconds": _since(began), **error.result})
    for warning in result.pop("warnings", []):
        module.warn(warning)
    module.exit_json(**{"seconds": _since(began), **result})


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
