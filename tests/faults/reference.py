"""A good upgrade, made once for each state of code and image, and kept under ``build/faults``.

It shows what the new hub looks like. At the start of its outage a copy is taken of all that it has prepared,
so that others continue from there, as `jupyterhub_resume: complete` does with a run that was cut off.
"""

from __future__ import annotations

import fcntl
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.testbed import Hub, staged
from tests.testbed.hub import REPOSITORY
from tests.testbed.staged import TARGET

from .attempt import Attempt
from .checkout import digest
from .ledger import Ledger, without_ledger
from .tasks import is_outage, outage

VARIABLES: dict[str, Any] = {
    "jupyterhub_version": TARGET,
    "jupyterhub_confirm_timeout": 30,
    # How long a new hub is watched before it is kept; no fault but one needs more.
    "jupyterhub_watch_seconds": 2,
    # The faults are for what it lets pass; a row of their own is about those that it finds.
    "jupyterhub_rehearse": False,
    # The same upgrade must succeed after the fault.
    "jupyterhub_retry": True,
}
CACHE = REPOSITORY / "build/faults"

#: Prints what a run has prepared on its host: its state, the space that it has reserved, and the boot gate.
_COPY = r"""
cd /
tar --create --gzip --exclude=guard --exclude='migration.*' --exclude=lock --exclude=heartbeat \
    var/lib/hubops $(ls -d srv/jupyterhub/*.hubops-reserve) etc/systemd/system/jupyterhub.service.d | base64
"""
#: Puts it onto another one, and lets the outage have begun, as its program records before it stops the hub.
#: The argument is the run's confirm timeout.
_LAY_OUT = r"""
set -e
base64 --decode | tar --extract --gzip --directory=/
systemctl daemon-reload
run=/var/lib/hubops/jupyterhub/run.json
sed --in-place 's/^  "phase": "armed"/  "phase": "outage"/; s/^  "doing": ""/  "doing": "stop"/' $run
sed --in-place "s/^  \"confirm_timeout\": .*/  \"confirm_timeout\": $1,/" $run
grep --quiet '^  "phase": "outage"' $run
grep --quiet "^  \"confirm_timeout\": $1," $run
"""


@dataclass(frozen=True)
class Reference:
    """The hub after a good upgrade, and what that had prepared."""

    fingerprint: dict[str, Any]
    #: All that it had prepared when its outage began.
    prepared: str

    def lay_out(self, hub: Hub) -> None:
        """Let an upgrade of this hub be cut off at the start of its outage; its environments are staged."""
        confirm_timeout = str(VARIABLES["jupyterhub_confirm_timeout"])
        hub.exec(["sh", "-c", _LAY_OUT, "lay-out", confirm_timeout], stdin=self.prepared)


def fingerprint(hub: Hub) -> dict[str, Any]:
    """The hub's fingerprint without what the ledger has written."""
    from tests.testbed import rows

    found = hub.fingerprint()
    found["database"].update(rows.fingerprint(without_ledger(hub.rows())))
    return found


def reference(checkout: Path, kind: str = staged.KIND) -> Reference:
    """The reference of this code for a kind of hub, made now unless there is one."""
    CACHE.mkdir(parents=True, exist_ok=True)
    made = CACHE / f"{digest(checkout, kind, Path(__file__))}.json"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            print(f"reference: one good upgrade ({kind})", flush=True)
            made.write_text(json.dumps(asdict(_make(checkout, kind)), indent=1))
    return Reference(**json.loads(made.read_text()))


def _make(checkout: Path, kind: str) -> Reference:
    with staged.start(kind=kind) as hub:
        # No fault needs its guard, and it is made beside other work.
        patient = {**VARIABLES, "jupyterhub_confirm_timeout": 300}
        attempt = Attempt(checkout, "upgrade.yml", hub, patient)
        try:
            # As in each row: a log-in writes to the user's row.
            hub.log_in("user-001")
            with Ledger(hub):
                attempt.go_to(is_outage)
                prepared = hub.exec(["sh", "-c", _COPY]).stdout
                status = attempt.end()
            if status:
                raise RuntimeError(f"A good upgrade fails:\n{attempt.output()}")
            if not staged.is_in_place(hub):
                raise RuntimeError(f"A good upgrade stages again what is staged:\n{attempt.output()}")
            escaped = set(outage(checkout)) - attempt.begun
            if escaped:
                raise RuntimeError(f"A good upgrade does not come to these tasks of its outage: {escaped}")
        finally:
            attempt.close()
        hub.wait_until_answers(TARGET)
        return Reference(
            fingerprint=fingerprint(hub),
            prepared=prepared,
        )
