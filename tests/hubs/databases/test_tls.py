"""A server that wants TLS, with a certificate of its own: hub, clients, dumps and restores all verify it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import fresh_start
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import find_database

from tests.hubs.databases.servers import KINDS, SQLALCHEMY, Kind, empty_place
from tests.hubs.real_hub import environment, fill_database
from tests.testbed.databases.mysql import mysql_with_tls
from tests.testbed.databases.postgresql import postgresql_with_tls

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


@pytest.mark.parametrize(("kind", "query", "refusal"), SERVERS.values(), ids=SERVERS)
def test_all_of_it_goes_over_tls_and_is_verified(
    kind: Kind, query: str, refusal: str, tmp_path: Path
) -> None:
    with kind.start() as server:
        # The server's folder is its own.
        ca, other = tmp_path / "ca.pem", tmp_path / "other.pem"
        ca.write_bytes(server.certificate.read_bytes())
        place = empty_place(server, kind, tmp_path, query.format(ca=ca))
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
