"""Fills a hub's database with its own models: users, groups, roles, API tokens, encrypted auth state.

Run by the hub environment's Python in the hub's working directory while the hub is stopped, after a first
start has made the database, whose URL is its argument. Works from JupyterHub 2.3 on. Every secret is known:
the token of ``user-007`` is ``token-of-user-007``, and its auth state, where it has one, says so.
"""

from __future__ import annotations

import asyncio
import os
import sys

from jupyterhub import orm, roles
from jupyterhub.crypto import CryptKeeper, encrypt

USERS = 200
WITH_TOKEN = 50
WITH_AUTH_STATE = 20
GROUPS = 8


def main() -> None:
    session = orm.new_session_factory(sys.argv[1])()
    CryptKeeper.instance().keys = [bytes.fromhex(os.environ["JUPYTERHUB_CRYPT_KEY"])]

    group_names = [f"group-{number}" for number in range(GROUPS)]
    groups = [orm.Group.find(session, name) or orm.Group(name=name) for name in group_names]
    session.add_all(groups)

    known = {user.name: user for user in session.query(orm.User)}
    names = ["admin"] + [f"user-{number:03}" for number in range(USERS)]
    for number, name in enumerate(names):
        user = known.get(name) or orm.User(name=name)
        user.admin = name == "admin"
        session.add(user)
        session.commit()
        roles.assign_default_roles(session, entity=user)
        groups[number % GROUPS].users.append(user)
        if number <= WITH_TOKEN:
            orm.APIToken.new(token=f"token-of-{name}", user=user, note="made by the test bed")
        if number <= WITH_AUTH_STATE:
            user.encrypted_auth_state = asyncio.run(encrypted({"of": name}))
    session.commit()


async def encrypted(state: dict[str, str]) -> bytes:
    return await encrypt(state)


if __name__ == "__main__":
    main()
