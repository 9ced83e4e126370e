"""Spares a playbook what the one before it has done already: see ``tests/testbed/prepared.py``."""

from __future__ import annotations

import os
from pathlib import Path

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import connection_loader

DOCUMENTATION = """
name: prepared
type: aggregate
short_description: has Ansible find the payloads of modules that another run has made
description: For tests only.
requirements: [a folder for the payloads]
"""


class CallbackModule(CallbackBase):
    """Works when it is loaded, before the first process for a task is forked."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "prepared"

    def __init__(self) -> None:
        super().__init__()
        # Where Ansible looks for the payload of a module before it makes one.
        Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache").symlink_to(os.environ["HUBOPS_PAYLOADS"])
        # Else each task's process imports it.
        connection_loader.get(os.environ["HUBOPS_CONNECTION"], class_only=True)
