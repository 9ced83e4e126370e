"""Inject faults, print the table, and write ``build/faults.json``."""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, replace
from pathlib import Path

from tests.testbed.hub import REPOSITORY

from . import catalog, controller, mutations
from .checkout import copy
from .ledger import FEW_CALLS_PER_SECOND
from .reference import reference
from .row import WHOLE, Fault, Result, judged

RESULT = REPOSITORY / "build/faults.json"
LOGS = REPOSITORY / "build/log/faults"


def main() -> int:
    """Run the selected rows; exit status 0 when every row is as expected."""
    options = _options()
    if options.mutations:
        return mutations.main(options.only, lambda fault: as_asked(fault, options))
    with tempfile.TemporaryDirectory(prefix="hubops-faults-") as folder:
        checkout = copy(Path(folder, "checkout"))
        faults = list(catalog.faults(checkout))
        if options.random:
            seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
            print(f"seed: {seed}", flush=True)
            faults = list(controller.at_random(options.random, seed))
        if options.undisturbed:
            faults = list(catalog.undisturbed(options.undisturbed))
        chosen = [
            as_asked(fault, options)
            for fault in faults
            if (fault.selected or not options.selection)
            and re.search(options.only, fault.name)
            and options.kind in ("", fault.kind)
        ]
        kept = as_promised() if options.missing else []
        chosen = [fault for fault in chosen if fault.name not in {result.name for result in kept}]
        if options.list:
            print("\n".join(f"{'*' if fault.selected else ' '} {fault.name}" for fault in chosen))
            return 0
        results = run(chosen, checkout, options.jobs, kept)
    bad = [result for result in results if result.wrong]
    if options.undisturbed and results:
        print(f"\n{outages(result.outage_seconds for result in results)}")
    print(f"\n{len(results) - len(bad)} of {len(results)} rows as promised, {RESULT.relative_to(REPOSITORY)}")
    return 1 if bad or not results else 0


def as_promised() -> list[Result]:
    """The results of the last run that are as promised."""
    before = json.loads(RESULT.read_text()) if RESULT.exists() else []
    return [result for result in (Result(**each) for each in before) if not result.wrong]


def run(chosen: list[Fault], checkout: Path, jobs: int, kept: list[Result]) -> list[Result]:
    """Each fault with a hub of its own; lines are printed as they come, and kept in the order of faults.

    Returned and written are all results, those that are ``kept`` from another run first.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    good = {kind: reference(checkout, kind) for kind in sorted({fault.kind for fault in chosen})}
    print(
        f"{'ended':<8}{'outage':>7}{'lost':>5}{'rows/s':>7}{'took':>6}  {'restored by':<12}fault", flush=True
    )
    results: list[Result] = []
    order = [(fault.fault, fault.moment) for fault in chosen]
    with ThreadPoolExecutor(jobs) as pool:
        begun = {
            pool.submit(_timed, fault, checkout, good[fault.kind], LOGS / f"{_word(fault.name)}.log")
            for fault in chosen
        }
        for future in as_completed(begun):
            result, took = future.result()
            results.append(result)
            results.sort(key=lambda each: order.index((each.fault, each.moment)))
            RESULT.write_text(json.dumps([asdict(each) for each in kept + results], indent=2) + "\n")
            print(line(result, took), flush=True)
    return kept + results


def as_asked(fault: Fault, options: argparse.Namespace) -> Fault:
    """As the options have it."""
    if options.selection:
        fault = as_in_ci(fault)
    elif options.brief:
        fault = brief(fault)
    return fast(fault) if options.fast else fault


def as_in_ci(fault: Fault) -> Fault:
    """A whole upgrade, without the upgrades again at its end where CI leaves them out."""
    return replace(fault if fault.selected == WHOLE else brief(fault), prepared=False)


def brief(fault: Fault) -> Fault:
    """Without the upgrades again at its end, and with a writer that leaves others more of the machine."""
    return replace(fault, heals=False, calls_per_second=FEW_CALLS_PER_SECOND)


def fast(fault: Fault) -> Fault:
    """With what spares the machine, unless it needs a disk."""
    return fault if fault.fast is None else replace(fault, fast=True)


def line(result: Result, took: float) -> str:
    """One line of the table, and one for each thing that is wrong."""
    shown = (
        f"{result.ended:<8}{result.outage_seconds:>7.1f}{result.rows_lost:>5}"
        f"{result.rows_per_second:>7.0f}{took:>5.0f}s  "
        f"{result.restored_by or '-':<12}{result.fault}, {result.moment}"
    )
    return "\n".join([shown, *(f"    WRONG: {wrong[:600]}" for wrong in result.wrong)])


def outages(seconds: Iterable[float]) -> str:
    """The outages, shortest first, and their median."""
    ordered = sorted(seconds)
    each = " ".join(f"{outage:.1f}" for outage in ordered)
    return f"outages: {each} s, median {statistics.median(ordered):.1f} s"


def _timed(fault: Fault, *arguments: object) -> tuple[Result, float]:
    started = time.monotonic()
    return judged(fault, *arguments), time.monotonic() - started  # type: ignore[arg-type]


def _word(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-")[:100]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--selection", action="store_true", help="only those that CI runs")
    parser.add_argument("--only", default="", metavar="REGEX", help="only those whose name matches")
    parser.add_argument("--kind", default="", help="only those of such hubs: systemd, postgresql or mysql")
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time (1)")
    parser.add_argument("--brief", action="store_true", help="do not run the same upgrade again at their end")
    parser.add_argument(
        "--fast",
        action="store_true",
        help="keep what the hubs write in /dev/shm, about 1.5 GB in all, and Ansible's payloads",
    )
    parser.add_argument(
        "--missing", action="store_true", help="not those that the last run has ended as promised"
    )
    parser.add_argument("--list", action="store_true", help="list them, those of the selection with a star")
    parser.add_argument(
        "--random", type=int, default=0, metavar="N", help="instead: N faults at random moments"
    )
    parser.add_argument(
        "--undisturbed", type=int, default=0, metavar="N", help="instead: N good upgrades, none restored"
    )
    parser.add_argument("--seed", type=int, help="of the random moments; one is drawn and printed otherwise")
    parser.add_argument(
        "--mutations", action="store_true", help="disable one protection at a time; each fault must turn red"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
