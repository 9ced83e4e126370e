"""The user number that nobody has."""

from __future__ import annotations

import os
import pwd
import subprocess

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.as_owner import nobody


def test_nobody_is_nobody_while_processes_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends after it was listed had each environment staged alone."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: [str(ended.pid), *listed(path)])
    account = nobody()
    assert account.uid in range(61184, 65520)
    assert account.groups == ()
    with pytest.raises(KeyError):
        pwd.getpwuid(account.uid)
