"""One row of the table: a hub of its own, one fault, and what has become of the hub."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.testbed import Hub, Probe, lost_rows, memory, staged
from tests.testbed.judge import differences, entries

from . import reference as good
from .attempt import Attempt, NotInjected
from .host import OVER, STUCK, VERIFIED, Host, summary
from .ledger import CALLS_PER_SECOND, Ledger, without_ledger
from .reference import VARIABLES, Reference
from .tasks import SERVERS, STEPS, Moment, Task, is_outage

CONFIRM_SECONDS: int = VARIABLES["jupyterhub_confirm_timeout"]
#: Beyond the confirm timeout: seconds that a restore with its verification may take on a busy machine.
RESTORE_SECONDS = 120
PROBE_SECONDS = 0.1
#: How long the steps before another one may take on a busy machine.
STEP_SECONDS = 120
#: Variables that ask for other environments than those of the good upgrade.
STAGED_AGAIN = {"jupyterhub_wheels", "jupyterhub_environment_strategy"}
#: The phases of a run in which its hub is down, if the watching at the end of `verify` is none.
OF_THE_OUTAGE = {*STEPS, "restore"} - {SERVERS, "verify"}
WHOLE, BRIEF = "whole", "brief"
OLD, NEW, NEITHER = "old", "new", "neither"


@dataclass(frozen=True)
class Fault:
    """What is done to an upgrade, and when."""

    fault: str
    moment: str
    #: Runs the upgrade and breaks it. When it returns, the playbook has ended or is dead.
    inject: Callable[[Row], None]
    #: How it must end: old, new, or either of them.
    ends: tuple[str, ...] = (OLD,)
    #: Changes the hub before anything of it is remembered.
    prepare: Callable[[Row], None] | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    #: Whether CI runs it: WHOLE, or BRIEF without the upgrades again at its end.
    selected: str = ""
    #: Whether the same upgrade is run again, and once more, and a user's server is started.
    heals: bool = True
    #: Whether the run is one that was prepared already, and cut off at the start of its outage.
    prepared: bool = False
    #: Of `tests.testbed.hub.LAYOUTS`.
    kind: str = staged.KIND
    #: Whether nobody but the host knows of the outage any more, which must not prolong it.
    unattended: bool = False
    #: Whether volumes are in memory, and modules' payloads are kept; None where a disk is needed.
    fast: bool | None = False
    #: How often the writer adds rows.
    calls_per_second: int = CALLS_PER_SECOND

    @property
    def name(self) -> str:
        return f"{self.fault}, {self.moment}"


@dataclass
class Result:
    """A line of ``build/faults.json``; ``wrong`` is empty when all is as promised."""

    fault: str
    moment: str
    ended: str
    outage_seconds: float
    rows_lost: int
    restored_by: str
    #: What the hub has confirmed of the writer's rows, until it stopped.
    rows_per_second: float
    wrong: list[str]

    @property
    def name(self) -> str:
        return f"{self.fault}, {self.moment}"


class Row:
    """A fault's context, and the judgement."""

    def __init__(self, fault: Fault, checkout: Path, reference: Reference, hub: Hub) -> None:
        self.fault = fault
        self.hub = hub
        self.host = Host(hub)
        self.checkout = checkout
        self.reference = reference
        #: The fingerprint of the new hub; a fault that upgrades to another release defines it.
        self.new = reference.fingerprint
        self.variables: dict[str, Any] = {
            **VARIABLES,
            **({"jupyterhub_resume": "complete"} if fault.prepared else {}),
            **fault.variables,
        }
        self.wrong: list[str] = []
        self._fast = bool(fault.fast)
        #: What the run has left behind is looked for only after the next one.
        self.tidy_later = False
        self._attempts: list[Attempt] = []

    def require(self, holds: object, otherwise: str) -> None:
        """Record an error; the row continues."""
        if not holds:
            self.wrong.append(otherwise)

    def upgrade(self, **variables: Any) -> Attempt:
        """Begin an upgrade, which waits at its first task."""
        attempt = Attempt(self.checkout, "upgrade.yml", self.hub, {**self.variables, **variables}, self._fast)
        self._attempts.append(attempt)
        return attempt

    def go_to(self, attempt: Attempt, moment: Moment | Callable[[Task], bool]) -> None:
        """Let an upgrade work until the start of a task, or of a step of its outage, where the host waits.

        It continues with `go_on`, or `Attempt.go_on`. Raises NotInjected when it does not come to it.
        """
        if not isinstance(moment, str):
            attempt.go_to(moment)
            return
        if not self.host.held():
            attempt.go_to(is_outage)
        self.host.hold_outage(moment)
        attempt.go_on()
        if not self.host.wait_until_held(moment, STEP_SECONDS):
            raise NotInjected(f"the outage did not come to '{moment}': {summary(self.host.run())}")

    def go_on(self) -> None:
        """Let the host take the step that it waits at, and all that follow."""
        self.host.release_outage()

    def let_confirm_timeout_pass(self) -> None:
        """Once the new hub is verified, have the guard end the run now: all that is left is to wait.

        Faults at tasks wait for the whole timeout.
        """
        run = self.host.wait_until_phase((VERIFIED, *OVER, STUCK), CONFIRM_SECONDS + RESTORE_SECONDS)
        if run["phase"] == VERIFIED:
            self.host.let_time_pass(CONFIRM_SECONDS)

    def judge(self) -> Result:
        """Run the fault, and all checks afterwards."""
        ended, outage, by, lost, rate = NEITHER, 0.0, "", 0, 0.0
        try:
            if self.fault.prepare:
                self.fault.prepare(self)
            is_there = self._fast and self.fault.prepared
            if not is_there and not self.variables.keys() & STAGED_AGAIN:
                staged.lay_out(self.hub)
            cookies = self.hub.log_in("user-001")
            before = good.fingerprint(self.hub)
            rows = self.hub.rows()
            found = {path for path in entries(self.hub) if ".staged-" not in path}
            if self.fault.prepared:
                self.reference.lay_out(self.hub)
            ledger = Ledger(self.hub, self.fault.calls_per_second)
            with Probe(self.hub, PROBE_SECONDS) as probe, ledger:
                self.fault.inject(self)
                self._settle()
            outage, rate = probe.outage_seconds(), ledger.rows_per_second
            run = self.host.run()
            by = run.get("outcome", {}).get("by", "")
            if self.fault.unattended:
                self._require_short(probe.longest_silence(), run)

            after, rows_after = good.fingerprint(self.hub), self.hub.rows()
            ended = self._which(before, after)
            self.require(ended in self.fault.ends, f"ended {ended}, not {' or '.join(self.fault.ends)}")
            gone = ledger.missing(rows_after) + lost_rows(without_ledger(rows), without_ledger(rows_after))
            lost = len(gone)
            self.wrong += [f"lost {row}" for row in gone[:5]]
            if not self.tidy_later:
                self._require_tidy(found)
            self._require_working(cookies)
            if self.fault.heals or self.tidy_later:
                self._require_healing(ended, before)
            if self.tidy_later:
                self._require_tidy(found)
            gone = ledger.missing(self.hub.rows())
            self.require(not gone, f"lost by the next upgrade: {gone[:3]}")
        except NotInjected as error:
            self.wrong.append(f"not injected: {error}")
            ended = NEITHER
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.wrong.append(f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})")
            self.wrong.append(f"run: {summary(self._last_run())}")
            ended = NEITHER
        finally:
            for attempt in self._attempts:
                attempt.close()
        return Result(self.fault.fault, self.fault.moment, ended, outage, lost, by, rate, self.wrong)

    def outputs(self) -> str:
        """The output of the playbooks, to be kept beside the result."""
        return "\n\n".join(attempt.output() for attempt in self._attempts)

    def _settle(self) -> None:
        """Wait for the end of the run and for the hub."""
        phase = self.host.run().get("phase")
        if phase not in (None, "preparing"):
            if self.fault.unattended:
                self.let_confirm_timeout_pass()
            run = self.host.wait_until_over(CONFIRM_SECONDS + RESTORE_SECONDS)
            self.require(run["phase"] != STUCK, f"the run is stuck: {summary(run)}")
        self.hub.wait_until_answers(timeout=90)
        # A run that dies before the guard watches has changed nothing, and the next one removes its files.
        self.tidy_later = self.tidy_later or phase == "preparing"

    def _last_run(self) -> dict[str, Any]:
        with contextlib.suppress(Exception):
            return self.host.run()
        return {}

    def _which(self, before: dict[str, Any], after: dict[str, Any]) -> str:
        """Which of the two hubs this is, exactly; notes how it differs from both."""
        if after == before:
            return OLD
        if after == self.new:
            return NEW
        self.wrong.append(f"differs from old: {differences(before, after)}")
        self.wrong.append(f"differs from new: {differences(self.new, after)}")
        return NEITHER

    def _require_tidy(self, before: set[str]) -> None:
        left = self.host.leftovers(before)
        self.require(not left, f"left behind: {left}")
        self.require(not self.host.is_held(), "the hub is still held")

    def _require_working(self, cookies: dict[str, str]) -> None:
        self.require(self.hub.knows(cookies), "a cookie from before is not valid any more")
        asked = self.hub.api("/user", token="token-of-user-001")
        self.require(asked.status == 200, f"a token from before is not valid any more: {asked}")
        self.hub.log_in("user-002")
        if self.fault.heals:
            self.hub.start_server("user-003")
            self.hub.stop_server("user-003")

    def _require_short(self, silence: float, run: dict[str, Any]) -> None:
        """Nobody was waited for: of the hub's silence at least half is steps that the host has taken."""
        taken = sum(phase["seconds"] for phase in run.get("phases", []) if phase["name"] in OF_THE_OUTAGE)
        self.require(silence <= 2 * taken, f"silent for {silence:.1f} s, for steps of {taken:.1f} s")

    def _require_healing(self, ended: str, before: dict[str, Any]) -> None:
        """The same upgrade again succeeds, and once more changes nothing."""
        if ended != NEW:
            staged.lay_out(self.hub)
            self._again("again", VARIABLES)
            now = good.fingerprint(self.hub)
            wanted = {**before, "environments": self.reference.fingerprint["environments"]}
            now["database"] = before["database"]
            if self.tidy_later:
                # It has removed what was staged, and each staging has an identity of its own.
                wanted, now = without_checksums(wanted), without_checksums(now)
            wrong = differences(wanted, now)
            self.require(not wrong, f"after the same upgrade again: {wrong}")
        changed = self._again("for the third time", VARIABLES if ended != NEW else self.variables)
        self.require(changed == 0, f"the upgrade for the third time changes {changed}")

    def _again(self, which: str, variables: dict[str, Any]) -> int:
        attempt = Attempt(self.checkout, "upgrade.yml", self.hub, variables, self._fast)
        self._attempts.append(attempt)
        status = attempt.end()
        self.require(status == 0, f"the upgrade {which} fails: {attempt.last_message()}")
        found, wanted = self.hub.version(), variables["jupyterhub_version"]
        self.require(found == wanted, f"the upgrade {which} ends with {found}")
        return attempt.changed()


def without_checksums(fingerprint: dict[str, Any]) -> dict[str, Any]:
    """A fingerprint whose environments have their packages, but not the checksums over all their files."""
    environments = {
        path: {key: value for key, value in environment.items() if key != "sha256"}
        for path, environment in fingerprint["environments"].items()
    }
    return {**fingerprint, "environments": environments}


@contextlib.contextmanager
def row(fault: Fault, checkout: Path, reference: Reference) -> Iterator[Row]:
    """A row with its hub."""
    tag = staged.staged_image(fault.kind)
    with contextlib.ExitStack() as stack:
        options: tuple[str, ...] = ()
        if fault.fast:
            options = stack.enter_context(memory.volumes(tag, staged.stored() if fault.prepared else ""))
        hub = stack.enter_context(Hub.start(fault.kind, options, tag))
        yield Row(fault, checkout, reference, hub)


def judged(fault: Fault, checkout: Path, reference: Reference, log: Path) -> Result:
    """Run one row to its end, whatever happens; write the output into ``log`` when something is wrong."""
    with row(fault, checkout, reference) as one:
        result = one.judge()
        if result.wrong:
            guard = one.hub.exec(["journalctl", "--no-pager", "--output=short-precise"], check=False).stdout
            log.write_text(f"{asdict(result)}\n\n{one.outputs()}\n\n{guard}")
        return result
