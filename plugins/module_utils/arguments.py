"""The edge of every module: the arguments that several of them take, and how a module is run.

Nothing else in here imports Ansible. The arguments of a fragment are documented in ``plugins/doc_fragments``,
under the same name.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from .errors import HubError

DEPLOYMENT: dict[str, Any] = {"deployment": {"type": "dict", "required": True}}
STATE_FOLDER: dict[str, Any] = {"state_folder": {"type": "path"}}
RUN: dict[str, Any] = {"run": {"type": "str", "default": ""}}
SERVICE: dict[str, Any] = {"service": {"type": "str", "default": ""}}
INSTALLER: dict[str, Any] = {
    "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
    "index_url": {"type": "str", "default": "", "no_log": True},
    "constraints": {"type": "path", "default": ""},
    "wheels": {"type": "path", "default": ""},
    "image": {"type": "str", "default": ""},
}
INTERMEDIATE_ENVIRONMENTS: dict[str, Any] = {
    "intermediate_environments": {"type": "list", "elements": "path", "default": []}
}
ENVIRONMENT_FAILURES: dict[str, Any] = {
    "environment_failures": {"type": "str", "choices": ["fail", "report"], "default": "fail"}
}
MISMATCHES: dict[str, Any] = {
    "allow": {"type": "list", "elements": "str", "choices": ["other_major", "newer"], "default": []}
}
RETENTION: dict[str, Any] = {
    "keep": {"type": "int", "default": 5},
    "keep_days": {"type": "int", "default": 0},
}
PROOF: dict[str, Any] = {
    "watch": {"type": "int", "default": 0},
    "user": {"type": "str", "default": ""},
    "checks": {
        "type": "list",
        "elements": "str",
        "choices": ["login", "server", "kernel"],
        "default": ["login", "server", "kernel"],
    },
}
DATABASE_SESSIONS: dict[str, Any] = {
    "database_sessions": {"type": "str", "choices": ["refuse", "end"], "default": "refuse"}
}
_BACKUP: dict[str, Any] = {
    "type": "dict",
    "options": {
        "path": {"type": "path", "required": True},
        "sha256": {"type": "str", "default": ""},
        "size": {"type": "int", "default": 0},
    },
}
QHUB_SITE: dict[str, Any] = {
    "site": {
        "type": "dict",
        "required": True,
        "options": {
            "folder": {"type": "path", "required": True},
            "version": {"type": "str", "default": ""},
            "old_version": {"type": "str", "default": ""},
            "old_domain": {"type": "str", "default": ""},
            "project": {"type": "str", "default": ""},
            "kubernetes_version": {"type": "str", "default": ""},
            "python": {"type": "path", "default": ""},
            "requirements": {"type": "dict", "default": {}},
            "user_data": _BACKUP,
            "hub_database": _BACKUP,
            "backup_max_age": {"type": "int", "default": 86400},
            "branch": {"type": "str", "default": ""},
            "push": {"type": "bool", "default": False},
            "restored_data": {"type": "path", "default": ""},
            "restored_database": {"type": "path", "default": ""},
            "keycloak_url": {"type": "str", "default": "", "no_log": False},
            "keycloak_user": {"type": "str", "default": "root", "no_log": False},
            "keycloak_password": {"type": "str", "default": "", "no_log": True},
            "keycloak_password_file": {"type": "path", "default": "", "no_log": False},
            "keycloak_realm": {"type": "str", "default": "qhub", "no_log": False},
            "validate_certs": {"type": "bool", "default": True},
            "auth0_client_id": {"type": "str", "default": ""},
            "auth0_client_secret": {"type": "str", "default": "", "no_log": True},
            "hub_token": {"type": "str", "default": "", "no_log": True},
            "destroy_project": {"type": "str", "default": ""},
            "destroy_options": {"type": "list", "elements": "str", "default": []},
            "accept_loss": {"type": "bool", "default": False},
            "deploy_options": {"type": "list", "elements": "str", "default": []},
            "old_deploy_options": {"type": "list", "elements": "str", "default": []},
            "state_folder": {"type": "path"},
        },
    }
}
CLUSTER: dict[str, Any] = {
    "release": {"type": "str", "default": ""},
    "namespace": {"type": "str", "default": ""},
    "kubeconfig": {"type": "path", "default": ""},
    "context": {"type": "str", "default": ""},
    "helm": {"type": "str", "default": "helm"},
    "kubectl": {"type": "str", "default": "kubectl"},
}
DATABASE_EVIDENCE: dict[str, Any] = {
    "database_evidence": {
        "type": "dict",
        "options": {name: {"type": "str", "required": True} for name in ("what", "when", "restore")},
    }
}
PROGRESS_FILE: dict[str, Any] = {"progress_file": {"type": "path", "default": ""}}


def run(
    spec: dict[str, Any], action: Callable[[dict[str, Any], bool], dict[str, Any]], **options: Any
) -> None:
    """Be a module: end the process with what ``action(params, check_mode)`` returns.

    ``options`` are AnsibleModule's own, such as ``required_if``. A HubError fails the task, with its
    ``results``. ``warnings`` that the action returns are displayed. ``seconds`` is what the action took,
    unless it returns seconds of its own.
    """
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True, **options)
    began = time.monotonic()
    try:
        result = action(module.params, module.check_mode)
    except HubError as error:
        module.fail_json(msg=str(error), **_timed(error.results, began))
    # Ansible does not want them in what exit_json gets any more.
    for line in result.pop("warnings", []):
        module.warn(line)
    module.exit_json(**_timed(result, began))


def _timed(result: dict[str, Any], began: float) -> dict[str, Any]:
    return {"seconds": round(time.monotonic() - began, 3), **result}
