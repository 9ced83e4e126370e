"""Runs in the hub's pod, in the hub's own Python, handed over as text: which claims servers are linked to.

From KubeSpawner 7 on a server's state in the hub's database has the name of its claim, ``pvc_name``. The
program imports nothing of this collection. On standard input is a request in JSON: ``url``, the database's;
``links``, the ``[user, server, claim]`` to write, if any; ``template`` and ``slug_scheme``, what the
configuration says of names, if anything. The answer is one line of JSON: ``spawners``, one for each server
that the hub knows:

``user``, ``server``; ``claim``, the one that its state names, or ''; ``earlier``, whether its state is one of
KubeSpawner 6 or older; ``name``, the claim that KubeSpawner makes of user and server, and ``earlier_name``,
that of its earlier scheme, both null where that could not be found out.

Of a hub with an older KubeSpawner, or another spawner, there are none.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

#: It is the first that remembers claims.
REMEMBERS = 7


def main() -> None:
    if sys.path[0] == "":
        # `python -c` imports from the working directory first; the hub's own script does not.
        del sys.path[0]
    sys.stdout.write(json.dumps({"spawners": answer(json.load(sys.stdin))}) + "\n")


def answer(request: dict[str, Any]) -> list[dict[str, Any]]:
    from jupyterhub import orm

    try:
        import kubespawner
    except ImportError:
        return []
    if int(kubespawner.__version__.split(".")[0]) < REMEMBERS:
        return []
    session = orm.new_session_factory(request["url"])()
    try:
        links = {(user, server): claim for user, server, claim in request["links"]}
        found = []
        known = session.query(orm.Spawner, orm.User).join(orm.User, orm.Spawner.user_id == orm.User.id)
        for spawner, user in known:
            state = spawner.state or {}
            claim = links.get((user.name, spawner.name))
            if claim:
                # A new mapping: the database's type does not see a change within one.
                spawner.state = state = {**state, "pvc_name": claim}
            found.append(
                {
                    "user": user.name,
                    "server": spawner.name,
                    "claim": state.get("pvc_name", ""),
                    "earlier": bool(state) and "kubespawner_version" not in state,
                    **names(request, user, spawner.name),
                }
            )
        session.commit()
        return found
    finally:
        session.close()


def names(request: dict[str, Any], user: Any, server: str) -> dict[str, Any]:
    """The claims' names, by KubeSpawner's own code."""
    from kubespawner import KubeSpawner

    traits = KubeSpawner.class_traits()
    template = request["template"] or traits["pvc_name_template"].default_value
    scheme = request["slug_scheme"] or traits["slug_scheme"].default_value
    # What it takes of itself to do so.
    stand_in: Any = SimpleNamespace(
        user=SimpleNamespace(name=user.name, id=user.id),
        name=server,
        slug_scheme=scheme,
        _namespace_default=lambda: "default",
    )
    try:
        found = [
            KubeSpawner._expand_user_properties(stand_in, template, slug_scheme=each)
            for each in (scheme, "escape")
        ]
    except Exception:
        found = [None, None]
    return dict(zip(("name", "earlier_name"), found))


if __name__ == "__main__":
    main()
