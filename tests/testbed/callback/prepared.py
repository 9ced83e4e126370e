"""Spares a playbook what the one before it has done already: see ``tests/testbed/prepared.py``."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, Callable

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

#: The question of the connection before it sends a file, and how often it is put.
WHO = b"id -u && id -g"
ATTEMPTS = 3
#: Exit status, output, errors.
Answer = tuple[int, bytes, bytes]


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
        connection = connection_loader.get(os.environ["HUBOPS_CONNECTION"], class_only=True)
        connection.exec_command = _asking_again(connection.exec_command)


def _asking_again(execute: Callable[..., Answer]) -> Callable[..., Answer]:
    """What executes a command, and asks a host once more who its user is that has said nothing.

    Of a short program on a busy machine Docker's engine 20.10 gives no output at times.
    """

    @functools.wraps(execute)
    def asking(self: Any, command: Any, **options: Any) -> Answer:
        for _attempt in range(ATTEMPTS):
            answer = execute(self, command, **options)
            if command != WHO or answer[1]:
                break
        return answer

    return asking
