"""The failures of upgrades that can be caused on a hub of the test bed; 4.1.6 to 6.1.1 by default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.faults.releases import BROKEN
from tests.testbed import Hub
from tests.testbed.releases import (
    APP,
    CANNOT_READ_USERS,
    DOES_NOT_START,
    MIGRATION,
    NEVER_ANSWERS,
    USERS,
)
from tests.testbed.staged import broken

from .row import PREFLIGHT, REHEARSAL, RESTORE, Failure

BringAbout = Callable[[Hub], "dict[str, Any]"]

#: Only where the service manager starts it: neither plan nor rehearsal can find this.
ONLY_FOR_REAL = """
import os
import jupyterhub

with open(f"/proc/{os.getppid()}/comm") as name:
    starter = name.read().strip()
if starter in ("systemd", "supervisord") and jupyterhub.version_info[0] >= 5:
    raise RuntimeError("This hub does not come up.")
"""
MIGRATION_FAILS = """
revision = "ffffffffffff"
down_revision = "f460b0348206"

def upgrade():
    raise RuntimeError("this migration breaks")
"""
SERVES_NOBODY = """
def main(*_arguments, **_options):
    raise SystemExit("no server from this release")
"""
LOGIN_WITHOUT_XSRF = '<form action="{{ login_url }}" method="post"><input name="username"></form>\n'
#: An authenticator to which another site posts what it knows of a user.
LAUNCHES = """
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.handlers import BaseHandler

class LaunchHandler(BaseHandler):
    async def post(self):
        self.finish("launched")

class LaunchAuthenticator(DummyAuthenticator):
    def get_handlers(self, app):
        return [*super().get_handlers(app), ("/launch", LaunchHandler)]

c.JupyterHub.authenticator_class = LaunchAuthenticator
"""
#: A package that an administrator has built for the old hub.
OLD_COMPANION = """Metadata-Version: 2.1
Name: old-companion
Version: 1.0
Requires-Dist: jupyterhub<5
"""


def failures() -> list[Failure]:
    """In the order of the table."""
    return [
        *_of_the_config(),
        *_of_the_database(),
        *_of_packages_and_programs(),
        *_of_the_release(),
        *_of_the_old_hub(),
    ]


def _of_the_config() -> list[Failure]:
    return [
        Failure(
            "no allow rule, crossing 5.0",
            config("c.JupyterHub.authenticator_class = 'pam'\nc.Authenticator.allowed_users = set()"),
            PREFLIGHT,
            "no-allow-rule",
            selected=True,
        ),
        Failure(
            "option that the target does not know",
            config("c.JupyterHub.statsd_host = 'metrics'"),
            PREFLIGHT,
            "config-option-gone",
        ),
        Failure(
            "config that does not load with the target",
            config("import jupyterhub\nassert jupyterhub.version_info < (5,), 'This is for JupyterHub 4.'"),
            REHEARSAL,
            "rehearsal-config",
        ),
        Failure(
            "hub that does not come up as a service only",
            config(ONLY_FOR_REAL),
            RESTORE,
            variables={"jupyterhub_start_timeout": 60},
        ),
        Failure("auth state without a key", without_crypt_key, PREFLIGHT, "crypt-key-missing"),
        Failure("auth state with another key", other_crypt_key, REHEARSAL, "rehearsal-auth-state"),
        Failure(
            "cookie secret that others may read",
            shell("chmod 0644 {secret}"),
            PREFLIGHT,
            "cookie-secret-mode",
        ),
        Failure("cookie secret missing", shell("rm {secret}"), PREFLIGHT, "cookie-secret-missing"),
        Failure("log-in form without _xsrf", own_login_page, PREFLIGHT, "login-without-xsrf", kind="old"),
        Failure(
            "PKCE required of older servers",
            config("c.JupyterHub.oauth_require_pkce = True"),
            PREFLIGHT,
            "pkce-required",
        ),
    ]


def _of_the_database() -> list[Failure]:
    return [
        Failure("database damaged", damaged, PREFLIGHT, "database-damaged"),
        Failure(
            "database half migrated",
            sql("ALTER TABLE users ADD COLUMN user_info JSON"),
            PREFLIGHT,
            "database-half-migrated",
        ),
        Failure(
            "database of a newer hub",
            sql("UPDATE alembic_version SET version_num = 'eeeeeeeeeeee'"),
            PREFLIGHT,
            "database-revision-unknown",
        ),
    ]


def _of_packages_and_programs() -> list[Failure]:
    return [
        Failure("proxy not on the service's PATH", without_proxy, PREFLIGHT, "proxy-not-found"),
        Failure("package that forbids the target", old_companion, PREFLIGHT, "packages-conflict"),
        Failure(
            "single-user environment that starts no server",
            single_user_breaks,
            REHEARSAL,
            "rehearsal-spawn",
            selected=True,
        ),
    ]


def _of_the_release() -> list[Failure]:
    return [
        Failure(
            "migration that fails", made_of({MIGRATION: MIGRATION_FAILS}), REHEARSAL, "rehearsal-migration"
        ),
        Failure(
            "migration that fails on the real database only",
            made_of(BROKEN["migration fails", "half-way"]),
            RESTORE,
        ),
        Failure("new hub that exits", made_of({APP: DOES_NOT_START}), REHEARSAL, "rehearsal-start"),
        Failure(
            "new hub that never answers",
            made_of({APP: NEVER_ANSWERS}),
            REHEARSAL,
            "rehearsal-no-answer",
            variables={"jupyterhub_start_timeout": 25},
        ),
        Failure(
            "new hub that cannot read its users",
            made_of({USERS: CANNOT_READ_USERS}),
            REHEARSAL,
            "rehearsal-database",
        ),
    ]


def _of_the_old_hub() -> list[Failure]:
    """It serves, and an upgrade would have destroyed it."""
    return [
        Failure("packages behind a link", packages_behind_a_link, PREFLIGHT, "link-leads-out"),
        Failure("database within the environment", database_in_environment, PREFLIGHT, "written-inside"),
        Failure(
            "certificate of another key", certificate_of_another_key, PREFLIGHT, "certificate-not-usable"
        ),
        Failure("internal_ssl", config("c.JupyterHub.internal_ssl = True"), PREFLIGHT, "internal-ssl"),
        Failure(
            "address changed since the start",
            config("c.JupyterHub.hub_port = 18081"),
            PREFLIGHT,
            "hub-does-not-answer",
        ),
        Failure(
            "config with which the old hub does not start",
            config(
                "c.JupyterHub.load_roles.append({'name': 'new', 'scopes': ['shares'], 'users': ['user-001']})"
            ),
            REHEARSAL,
            "rehearsal-old-start",
        ),
        Failure("packages replaced under the running hub", packages_replaced, PREFLIGHT, "packages-replaced"),
        Failure(
            "launch from another site (2.3.1)",
            config(LAUNCHES),
            REHEARSAL,
            "rehearsal-post-refused",
            kind="old",
        ),
    ]


# How they are brought about


def config(lines: str) -> BringAbout:
    """Lines at the end of the hub's config; the hub that serves has read it before."""
    return lambda hub: _append(hub, hub.layout.config_file, lines)


def _append(hub: Hub, path: str, lines: str) -> dict[str, Any]:
    hub.exec(["tee", "-a", path], stdin=f"\n{lines}\n")
    return {}


def shell(command: str) -> BringAbout:
    def apply(hub: Hub) -> dict[str, Any]:
        hub.exec(["sh", "-c", command.format(secret=hub.layout.secrets[0])])
        return {}

    return apply


def sql(statement: str) -> BringAbout:
    program = (
        "import sqlite3, sys; hub = sqlite3.connect(sys.argv[1]); hub.execute(sys.argv[2]); hub.commit()"
    )

    def apply(hub: Hub) -> dict[str, Any]:
        hub.exec(["/usr/bin/python3", "-c", program, hub.layout.database, statement])
        return {}

    return apply


def damaged(hub: Hub) -> dict[str, Any]:
    """An index is overwritten: all rows can still be read, and the hub keeps serving."""
    program = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1])\n"
        "[size] = database.execute('PRAGMA page_size').fetchone()\n"
        "index = \"type = 'index' AND tbl_name = 'users'\"\n"
        "page, = database.execute(f'SELECT rootpage FROM sqlite_master WHERE {index}').fetchone()\n"
        "with open(sys.argv[1], 'r+b') as file:\n"
        "    file.seek((page - 1) * size)\n"
        "    file.write(os.urandom(size))\n"
    )
    hub.exec(["/usr/bin/python3", "-c", program, hub.layout.database])
    return {}


def without_crypt_key(hub: Hub) -> dict[str, Any]:
    hub.exec(["sed", "-i", "/JUPYTERHUB_CRYPT_KEY/d", f"{hub.layout.config_folder}/environment"])
    return {}


def other_crypt_key(hub: Hub) -> dict[str, Any]:
    key = "0" * 64
    file = f"{hub.layout.config_folder}/environment"
    hub.exec(["sed", "-i", f"s/^JUPYTERHUB_CRYPT_KEY=.*/JUPYTERHUB_CRYPT_KEY={key}/", file])
    return {}


def own_login_page(hub: Hub) -> dict[str, Any]:
    hub.exec(["mkdir", "-p", "/etc/jupyterhub/templates"])
    hub.write("/etc/jupyterhub/templates/login.html", LOGIN_WITHOUT_XSRF)
    return _append(hub, hub.layout.config_file, "c.JupyterHub.template_paths = ['/etc/jupyterhub/templates']")


def without_proxy(hub: Hub) -> dict[str, Any]:
    return _append(
        hub, hub.layout.config_file, "c.ConfigurableHTTPProxy.command = ['configurable-http-proxy-of-old']"
    )


def old_companion(hub: Hub) -> dict[str, Any]:
    """A package in the hub's environment whose metadata requires JupyterHub 4."""
    found = hub.exec(
        ["sh", "-c", f"echo {hub.layout.environments[0]}/lib/python3.*/site-packages"]
    ).stdout.strip()
    folder = f"{found}/old_companion-1.0.dist-info"
    hub.exec(["mkdir", folder])
    hub.write(f"{folder}/METADATA", OLD_COMPANION)
    hub.write(f"{folder}/RECORD", "")
    return {}


def packages_behind_a_link(hub: Hub) -> dict[str, Any]:
    """The hub keeps serving, from the same files."""
    place = hub.layout.environments[0]
    move = "cd {}/lib/python3.* && mv site-packages /srv/packages && ln -s /srv/packages site-packages"
    hub.exec(["sh", "-c", move.format(place)])
    return {}


def packages_replaced(hub: Hub) -> dict[str, Any]:
    """What an upgrade by pip leaves: the hub serves the code that it has read before."""
    place = hub.layout.environments[0]
    rename = (
        "cd {}/lib/python3.*/site-packages && sed -i 's/^Version: .*/Version: 5.4.6/' jupyterhub-4*/METADATA"
    )
    hub.exec(
        ["sh", "-c", f"{rename.format(place)} && mv jupyterhub-4.1.6.dist-info jupyterhub-5.4.6.dist-info"]
    )
    return {}


def database_in_environment(hub: Hub) -> dict[str, Any]:
    """Where it was is a link to it."""
    hub.service("stop")
    database, place = hub.layout.database, hub.layout.environments[0]
    owner = hub.exec(["stat", "--format=%U", database]).stdout.strip()
    hub.exec(["install", "-d", "-o", owner, f"{place}/data"])
    hub.exec(["mv", database, f"{place}/data/jupyterhub.sqlite"])
    hub.exec(["ln", "-s", f"{place}/data/jupyterhub.sqlite", database])
    hub.service("start")
    hub.wait_until_answers(hub.layout.version)
    return {}


def certificate_of_another_key(hub: Hub) -> dict[str, Any]:
    for name in ("one", "two"):
        files = ["-keyout", f"/srv/{name}.key", "-out", f"/srv/{name}.crt"]
        hub.exec(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=hub", *files])
        hub.exec(["chmod", "644", f"/srv/{name}.key"])
    lines = "c.JupyterHub.ssl_cert = '/srv/one.crt'\nc.JupyterHub.ssl_key = '/srv/two.key'"
    return _append(hub, hub.layout.config_file, lines)


def single_user_breaks(hub: Hub) -> dict[str, Any]:
    """Servers of the new version end at their start, though all of it can be imported."""
    breaks = {"jupyterhub/singleuser/__init__.py": SERVES_NOBODY}
    return broken(hub, breaks)


def made_of(append: dict[str, str]) -> BringAbout:
    return lambda hub: broken(hub, append)
