"""A server that wants TLS: hub, clients and restores verify it, and show a certificate of their own."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import fresh_start
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import find_database

from tests.hubs.databases.servers import KINDS, SQLALCHEMY, Place, empty_place
from tests.hubs.real_hub import environment, fill_database
from tests.testbed.databases.mysql import mysql_with_client_certificates, mysql_with_tls
from tests.testbed.databases.postgresql import postgresql_with_client_certificates, postgresql_with_tls

POINT = "20261128T101112Z-4.1.6-6.1.1"
SERVERS = {
    "postgresql": (
        KINDS["postgresql-15"]._replace(start=postgresql_with_tls),
        "?sslmode=verify-full&sslrootcert={ca}",
        "certificate verify failed",
    ),
    "mariadb": (
        KINDS["mariadb-10.11"]._replace(start=mysql_with_tls),
        "?ssl_ca={ca}",
        "TLS/SSL error: self-signed certificate",
    ),
}


#: The same, where a client has to show a certificate.
DEMANDING = {
    "postgresql": (postgresql_with_client_certificates, "&sslcert={own}&sslkey={key}"),
    "mariadb": (mysql_with_client_certificates, "&ssl_cert={own}&ssl_key={key}"),
}


@pytest.mark.parametrize("server_of", SERVERS)
def test_all_of_it_goes_over_tls_and_is_verified(server_of: str, tmp_path: Path) -> None:
    (kind, query, refusal), (start, more) = SERVERS[server_of], DEMANDING[server_of]
    with start() as server:
        # The server's folder is its own.
        ca, other, own, key = (tmp_path / name for name in ("ca.pem", "other.pem", "own.pem", "own.key"))
        ca.write_bytes(server.certificate.read_bytes())
        server.make_client_certificate(own, key)
        place = empty_place(server, kind, tmp_path, (query + more).format(ca=ca, own=own, key=key))
        fill_database(environment("4.1.6", *kind.packages), place.config.url)
        database, before = place.database(), server.content(place.name)
        point = tmp_path / POINT
        point.mkdir()
        backup = database.seal(point, database.back_up(point, 10), 10)
        with database.scratch(place.context) as folder:
            copy = database.copy(folder, place.context, "copy")
            target = str(environment("6.1.1", *kind.packages))
            fresh_start.start_fresh(copy, place.context, target, stopped=True, timeout=60)
        place.sql("DELETE FROM api_tokens")
        database.restore(point, backup, tmp_path / "aside")
        assert server.content(place.name) == before

        server.make_certificate()
        other.write_bytes(server.certificate.read_bytes())
        url = place.config.url.replace("ca.pem", "other.pem")
        facts = find_database(replace(place.config, url=url), place.context, SQLALCHEMY, 5)
        assert facts.problem and refusal in facts.problem


#: Where else a site has these parameters: in `db_kwargs`, or in variables of the hub's service.
WAYS: dict[str, list[tuple[dict[str, Any], dict[str, str]]]] = {
    "postgresql": [
        ({"sslmode": "verify-full", "sslrootcert": "{ca}"}, {}),
        ({}, {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "{ca}"}),
    ],
    "mariadb": [({"ssl": {"ca": "{ca}"}}, {}), ({"ssl_ca": "{ca}", "ssl_verify_cert": True}, {})],
}
CONNECT = "import sys, sqlalchemy; sqlalchemy.create_engine(sys.stdin.read()).connect()"


@pytest.mark.parametrize("server_of", SERVERS)
def test_its_parameters_may_be_in_db_kwargs_or_variables(server_of: str, tmp_path: Path) -> None:
    kind, _query, refusal = SERVERS[server_of]
    with kind.start() as server:
        ca, other = tmp_path / "ca.pem", tmp_path / "other.pem"
        ca.write_bytes(server.certificate.read_bytes())
        server.make_certificate()
        other.write_bytes(server.certificate.read_bytes())
        place = empty_place(server, kind, tmp_path)
        python = environment("4.1.6", *kind.packages) / "bin" / "python"
        for connect_args, variables in WAYS[server_of]:
            good, bad = (configured(place, connect_args, variables, file) for file in (ca, other))
            assert problem(good) is None
            assert refusal in str(problem(bad))
            # The hub's own programs are told as well, and have the variables of its service.
            done = subprocess.run(
                [python, "-c", CONNECT],
                input=good.database().url(SQLALCHEMY),
                env=good.context.environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr


def configured(place: Place, connect_args: dict[str, Any], variables: dict[str, str], file: Path) -> Place:
    """The place where the authority is in a file, as a hub's config and its service say."""
    given, more = (
        json.loads(json.dumps(each).replace("{ca}", str(file))) for each in (connect_args, variables)
    )
    return place._replace(
        config=replace(place.config, connect_args=given),
        context=replace(place.context, environment={**place.context.environment, **more}),
    )


def problem(place: Place) -> str | None:
    return find_database(place.config, place.context, SQLALCHEMY, 5).problem
