"""Bring each failure about, print the table, and write ``build/failures.json``."""

from __future__ import annotations

import argparse
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict

from tests.testbed.hub import REPOSITORY

from . import catalog
from .row import Failure, Result, judged

RESULT = REPOSITORY / "build/failures.json"
LOGS = REPOSITORY / "build/log/failures"


def main() -> int:
    """Run the selected failures; exit status 0 when every failure is caught by the expected part."""
    options = _options()
    chosen = [
        failure
        for failure in catalog.failures()
        if (failure.selected or not options.selection) and re.search(options.only, failure.failure)
    ]
    if options.list:
        print("\n".join(f"{'*' if failure.selected else ' '} {failure.failure}" for failure in chosen))
        return 0
    results = run(chosen, options.jobs)
    bad = [result for result in results if result.wrong]
    print(f"\n{len(results) - len(bad)} of {len(results)} rows as promised, {RESULT.relative_to(REPOSITORY)}")
    return 1 if bad or not results else 0


def run(chosen: list[Failure], jobs: int) -> list[Result]:
    """Each failure with a hub of its own; the table's lines are printed as they come."""
    LOGS.mkdir(parents=True, exist_ok=True)
    print(f"{'caught by':<10}{'outage':>7}  {'finding':<26}failure", flush=True)
    results = []
    with ThreadPoolExecutor(jobs) as pool:
        begun = [
            pool.submit(judged, failure, LOGS / f"{re.sub(r'[^a-z0-9]+', '-', failure.failure.lower())}.log")
            for failure in chosen
        ]
        for future in as_completed(begun):
            result = future.result()
            results.append(result)
            RESULT.write_text(json.dumps([asdict(each) for each in results], indent=2) + "\n")
            print(line(result), flush=True)
    return results


def line(result: Result) -> str:
    """One line of the table, and one for each thing that is wrong."""
    shown = (
        f"{result.caught_by:<10}{result.outage_seconds:>7.1f}  {result.finding or '-':<26}{result.failure}"
    )
    return "\n".join([shown, *(f"    WRONG: {wrong[:600]}" for wrong in result.wrong)])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.failures", description=__doc__)
    parser.add_argument("--selection", action="store_true", help="only those that CI runs")
    parser.add_argument("--only", default="", metavar="REGEX", help="only those whose name matches")
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time (1)")
    parser.add_argument("--list", action="store_true", help="list them, those of the selection with a star")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
