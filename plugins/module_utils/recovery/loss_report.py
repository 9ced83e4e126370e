"""What a rollback would do, for the administrator who has to accept it."""

from __future__ import annotations

from .catalogue import Comparison, ListedPoint

OCCASIONS = {
    "upgrade": "before its upgrade to {to_version}",
    "move": "before its database was moved",
    "rollback": "before it was rolled back from {from_version}",
    "backup": "when a backup was made",
}
MOST_NAMES = 10


def describe(chosen: ListedPoint, compared: Comparison) -> list[str]:
    """The lines to read."""
    occasion = OCCASIONS[str(chosen.purpose)].format(
        from_version=chosen.from_version, to_version=chosen.to_version
    )
    if compared.equal:
        return [f"The hub is as it was at {chosen.created}, {occasion}: there is nothing to restore."]
    lines = [
        f"The hub would be again as it was at {chosen.created}, {occasion}: JupyterHub "
        f"{chosen.from_version}.",
        f"Recovery point: {chosen.path}{_maker(chosen)}",
    ]
    if chosen.purpose == "rollback":
        lines.append(
            "This undoes a rollback: the hub from before it serves again, with its rows of that time."
        )
    lines += [f"{each.path}: {each.now} -> {each.then}" for each in (*compared.environments, *compared.files)]
    database = compared.database
    if database is None and not compared.problem:
        return [*lines, "The database stays as it is."]
    lines += [f"{database.path}: {database.now} -> {database.then}"] if database else []
    return [*lines, *_written(compared)]


def _maker(chosen: ListedPoint) -> str:
    run = chosen.run or {}
    return f", made by {run['user']} on {run['controller']}" if run else ""


def _written(compared: Comparison) -> list[str]:
    if compared.problem:
        return [f"It cannot be determined what was written since then: {compared.problem}"]
    if not compared.lost:
        return ["No data that matters was written since then."]
    since = compared.since
    lines = ["Written since then, and lost by the rollback:"]
    for table, change in since["tables"].items():
        if change["new"] or change["changed"]:
            figures = [f"{change[kind]} {kind}" for kind in ("new", "changed") if change[kind]]
            newest = f", the newest of {since['newest'][table]}" if table in since["newest"] else ""
            names = f" ({_names(since['users'])})" if table == "users" and since["users"] else ""
            lines.append(f"  {table}: {', '.join(figures)}{names}{newest}")
    return lines


def _names(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
