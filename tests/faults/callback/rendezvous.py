"""Makes a playbook wait at the start of each task until the harness lets it continue: no fault needs a timer.

Ansible loads this where ``ANSIBLE_CALLBACK_PLUGINS`` leads here. It sends each task's name over the socket
that ``HUBOPS_RENDEZVOUS`` names, and waits for a line.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: rendezvous
type: aggregate
short_description: waits at the start of each task until the test harness lets it continue
description: For tests only.
requirements: [a harness that listens]
"""


class CallbackModule(CallbackBase):
    """The playbook's end of the line."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "rendezvous"

    def __init__(self) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(os.environ["HUBOPS_RENDEZVOUS"])
        self._stream = connection.makefile("rw")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._stream.write(f"{task.get_name()}\n")
        self._stream.flush()
        self._stream.readline()
