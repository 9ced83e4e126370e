"""Playbooks of tests without what each of them would do again.

For each module that it runs, Ansible searches the imports of some 200 files and compresses these, once in
each run. The payloads are the same until the collection changes, so the tests keep them; they are byte for
byte what Ansible makes. The demo, CI's faults and molecule's upgrade run without this, as users do.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ansible.release import __version__

from tests import REPOSITORY

CALLBACKS = Path(__file__).with_name("callback")


def environment(connection: str, collection: Path = REPOSITORY) -> dict[str, str]:
    """The variables with which ``ansible-playbook`` finds the payloads; all hosts have the ``connection``."""
    payloads = REPOSITORY / "build/payloads" / _fingerprint(collection)
    payloads.mkdir(parents=True, exist_ok=True)
    return {
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "HUBOPS_CONNECTION": connection,
        "HUBOPS_PAYLOADS": str(payloads),
    }


def _fingerprint(collection: Path) -> str:
    """Of Ansible, and of what the payloads are made of."""
    digest = hashlib.sha256(__version__.encode())
    for folder in ("modules", "module_utils"):
        for file in sorted((collection / "plugins" / folder).rglob("*.py")):
            digest.update(str(file.relative_to(collection)).encode() + file.read_bytes())
    return digest.hexdigest()[:12]
