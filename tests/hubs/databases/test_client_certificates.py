"""A server that demands a client's certificate: wherever the hub has it from, all programs show the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import DatabaseConfig
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import find_database
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import account

from tests.hubs.databases.servers import KINDS, SQLALCHEMY, Place, context_in, empty_place
from tests.hubs.real_hub import environment
from tests.testbed.databases.mysql import mysql_with_client_certificates
from tests.testbed.databases.postgresql import postgresql_with_client_certificates

PASSPHRASE = "p'ss \\ phräse"
STARTS: dict[str, Callable[[], Any]] = {
    "postgresql-15": postgresql_with_client_certificates,
    "mariadb-10.11": mysql_with_client_certificates,
}
#: Connects as the hub does, from its config, and as the hub's programs do, from a URL alone.
CONNECT = """
import json, sqlalchemy, sys
url, connect_args = json.load(sys.stdin)
sqlalchemy.create_engine(url, connect_args=connect_args).connect().close()
print("connected")
"""


@dataclass(frozen=True)
class Way:
    """One way to name certificate, key and authority; files are in the hub's working directory."""

    connect_args: Mapping[str, Any] = field(default_factory=dict)
    query: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Further files, below the home of the hub's user: content, or ``=`` and the file that is copied."""


HERE = {"cert": "{folder}/hub.pem", "key": "{folder}/hub.key"}
RELATIVE = {"cert": "tls/hub.pem", "key": "tls/hub.key"}
FLAT = {f"ssl_{name}": path for name, path in HERE.items()}
OPTION_FILE = "[client]\nssl-ca={folder}/ca.pem\nssl-cert={folder}/hub.pem\nssl-key={folder}/hub.key\n"
WAYS = {
    "postgresql-15": {
        "url": Way(
            query="?sslmode=verify-full&sslrootcert={folder}/ca.pem&sslcert={folder}/hub.pem&sslkey={folder}/hub.key"
        ),
        "relative paths": Way({"sslcert": "tls/hub.pem", "sslkey": "tls/hub.key", "sslmode": "require"}),
        "variables": Way(variables={"PGSSLCERT": "tls/hub.pem", "PGSSLKEY": "tls/hub.key"}),
        "files of the user": Way(
            files={
                ".postgresql/postgresql.crt": "=hub.pem",
                ".postgresql/postgresql.key": "=hub.key",
                ".postgresql/root.crt": "=ca.pem",
            },
        ),
        "a service": Way(
            query="?service=hub",
            files={".pg_service.conf": "[hub]\nsslcert=tls/hub.pem\nsslkey={folder}/hub.key\n"},
        ),
        "a key with a passphrase": Way(
            {"sslcert": HERE["cert"], "sslkey": "{folder}/locked.key", "sslpassword": PASSPHRASE}
        ),
        "a passphrase in a service": Way(
            query="?service=hub",
            files={
                ".pg_service.conf": "[hub]\nsslcert=tls/hub.pem\nsslkey=tls/locked.key\n"
                f"sslpassword={PASSPHRASE}\n"
            },
        ),
    },
    "mariadb-10.11": {
        "url": Way(query="?ssl_ca={folder}/ca.pem&ssl_cert={folder}/hub.pem&ssl_key={folder}/hub.key"),
        "a mapping": Way({"ssl": {"ca": "{folder}/ca.pem", **RELATIVE, "cipher": "DEFAULT"}}),
        "a mapping without the host": Way(
            {"ssl": {"ca": "{folder}/ca.pem", **HERE, "check_hostname": False, "verify_mode": "required"}}
        ),
        "a mapping without the authority": Way({"ssl": HERE}),
        "arguments": Way({**FLAT, "ssl_ca": "tls/ca.pem"}),
        "arguments, not verified": Way({**FLAT, "ssl_ca": "{folder}/other.pem"}),
        "arguments, verified": Way(
            {**FLAT, "ssl_ca": "{folder}/ca.pem", "ssl_verify_cert": True, "ssl_disabled": False}
        ),
        "arguments, with the host": Way(
            {**FLAT, "ssl_ca": "{folder}/ca.pem", "ssl_verify_cert": True, "ssl_verify_identity": True}
        ),
        "arguments before the url": Way(FLAT, query="?ssl_ca={folder}/other.pem"),
        "an option file": Way(query="?read_default_file=~/my.cnf", files={"my.cnf": OPTION_FILE}),
    },
}


class Site(NamedTuple):
    """A server and a hub's empty database on it, whose working directory has certificates in ``tls``."""

    kind_name: str
    place: Place

    @property
    def tls(self) -> Path:
        return Path(self.place.context.directory, "tls")

    def configured(self, way: Way, home: Path) -> Place:
        """The place where config, service and home of the hub's user say all that."""
        for name, content in way.files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            if content.startswith("="):
                shutil.copy(self.tls / content[1:], home / name)
            else:
                (home / name).write_text(self._filled(content))
        variables = {**self.place.context.environment, "HOME": str(home), **way.variables}
        config = replace(
            self.place.config,
            url=self.place.config.url + self._filled(way.query),
            connect_args=json.loads(self._filled(json.dumps(way.connect_args, ensure_ascii=False))),
        )
        context = replace(self.place.context, environment=variables)
        return self.place._replace(config=config, context=context)

    def _filled(self, text: str) -> str:
        return text.replace("{folder}", str(self.tls))

    def connection(self, place: Place, url: str, connect_args: Mapping[str, Any]) -> str:
        """How a connection of the hub's own driver ends."""
        python = str(environment("4.1.6", *KINDS[self.kind_name].packages) / "bin" / "python")
        done = place.context.run([python, "-c", CONNECT], input=json.dumps([url, dict(connect_args)]))
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    kind = KINDS[request.param]._replace(start=STARTS[request.param])
    with kind.start() as server:
        folder = tmp_path_factory.mktemp("hub")
        tls = folder / "tls"
        tls.mkdir()
        (tls / "ca.pem").write_bytes(server.certificate.read_bytes())
        server.make_client_certificate(tls / "hub.pem", tls / "hub.key")
        lock: list[str | Path] = ["openssl", "pkey", "-in", tls / "hub.key", "-aes256", "-passout", "stdin"]
        subprocess.run([*lock, "-out", tls / "locked.key"], input=PASSPHRASE.encode(), check=True)
        # Another authority, of whom the running server knows nothing.
        server.make_certificate()
        (tls / "other.pem").write_bytes(server.certificate.read_bytes())
        yield Site(request.param, empty_place(server, kind, folder))


@pytest.mark.parametrize(
    ("site", "way"),
    [pytest.param(name, way, id=f"{name}-{told}") for name in WAYS for told, way in WAYS[name].items()],
    indirect=["site"],
    scope="module",
)
def test_clients_show_it_as_the_hub_does(site: Site, way: Way, tmp_path: Path) -> None:
    place = site.configured(way, tmp_path)
    assert site.connection(place, place.config.url, place.config.connect_args) == "connected"
    assert problem(place) is None
    # Migrations and rehearsals have it from a URL.
    assert site.connection(place, place.database().url(SQLALCHEMY), {}) == "connected"


@pytest.mark.parametrize("site", STARTS, indirect=True, scope="module")
def test_a_key_that_the_hub_could_not_read_again_is_named(site: Site, tmp_path: Path) -> None:
    way = next(iter(WAYS[site.kind_name].values()))
    name = "sslkey" if "sslkey" in way.query else "ssl_key"
    place = site.configured(replace(way, query=way.query.replace("hub.key", "gone.key")), tmp_path)
    assert f"/tls/gone.key, the {name} of the hub's database, does not exist" in str(problem(place))

    lost = tmp_path / "lost.key"
    lost.write_bytes((site.tls / "hub.key").read_bytes())
    lost.chmod(0)
    place = site.configured(replace(way, query=way.query.replace("{folder}/hub.key", str(lost))), tmp_path)
    if os.geteuid() == 0:
        # To whom none of the files is open.
        nobody = account("nobody").context(place.context.directory, place.context.environment)
        place = place._replace(context=nobody)
    told = str(problem(place))
    assert re.match(r"\S+, the \w+ of the hub's database, cannot be read by the hub's user", told), told


@pytest.mark.parametrize(
    "connect_args",
    [
        {"ssl_key": "tls/locked.key", "ssl_key_password": PASSPHRASE},
        {"ssl": {"cert": "tls/hub.pem", "key": "tls/locked.key", "password": PASSPHRASE}},
    ],
    ids=["argument", "mapping"],
)
def test_a_passphrase_that_no_client_of_mysql_can_be_told(
    connect_args: dict[str, Any], tmp_path: Path
) -> None:
    config = DatabaseConfig("mysql+pymysql://hub:secret@db.example.org/hub", connect_args)
    facts = find_database(config, context_in(tmp_path, "/usr/bin"), SQLALCHEMY, 5)
    assert str(facts.problem).startswith(
        "tls/locked.key, the key of the certificate that the hub shows to its database, has a passphrase"
    )
    assert PASSPHRASE not in str(facts.problem)


def problem(place: Place) -> str | None:
    return find_database(place.config, place.context, SQLALCHEMY, 5).problem
