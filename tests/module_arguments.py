"""Arguments for a module within this process: ansible-core has a helper for that only from 2.19 on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

from ansible.module_utils import basic


@contextlib.contextmanager
def module_arguments(given: Mapping[str, Any]) -> Iterator[None]:
    """What an ``AnsibleModule`` that is made within it is given."""
    text = json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode()
    # The profile is new in 2.19, which has none without it.
    profile = mock.patch.object(basic, "_ANSIBLE_PROFILE", "legacy", create=True)
    with mock.patch.object(basic, "_ANSIBLE_ARGS", text), profile:
        yield
