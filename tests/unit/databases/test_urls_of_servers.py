"""URLs of servers: taken apart as every SQLAlchemy does it, and put together for each."""

from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import urls


@pytest.mark.parametrize(
    ("url", "user", "password", "host", "port", "database"),
    [
        ("postgresql://hub:secret@db:5432/hub", "hub", "secret", "db", "5432", "hub"),
        ("postgresql+psycopg://hub:s%40c%2Fr%3A%25t@db/hub", "hub", "s@c/r:%t", "db", "", "hub"),
        ("postgresql://hub:p@ss@db/hub", "hub", "p@ss", "db", "", "hub"),
        ("postgresql://hub:p/w@db/hub?application_name=a@b", "hub", "p/w", "db", "", "hub"),
        ("postgresql://hub@[fe80::1]:5433/hub", "hub", None, "fe80::1", "5433", "hub"),
        ("postgresql:///hub?host=/run/postgresql", "", None, "", "", "hub"),
        ("mysql+pymysql://h%C3%BCb:@db", "hüb", "", "db", "", ""),
    ],
)
def test_its_parts(url: str, user: str, password: str | None, host: str, port: str, database: str) -> None:
    parts = urls.parse(url)
    assert parts[2:7] == (user, password, host, port, database)
    for sqlalchemy in ("1.4.54", "2.1.9"):
        again = urls.parse(urls.of_server(parts, sqlalchemy))
        assert again == parts


def test_the_name_of_a_database_is_decoded_from_2_1_on() -> None:
    parts = urls.parse("postgresql://db/100%25")
    assert [urls.database_name(parts, version) for version in ("2.0.49", "2.1.9")] == ["100%25", "100%"]
    named = parts._replace(database="100%")
    assert urls.of_server(named, "2.0.49") == "postgresql://db/100%"
    assert urls.of_server(named, "2.1.9") == "postgresql://db/100%25"
