from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import urls
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

from tests.hubs.real_hub import environment

FILES = [
    ("sqlite:///jupyterhub.sqlite", "/srv/hub/jupyterhub.sqlite"),
    ("sqlite:////data/hub.sqlite", "/data/hub.sqlite"),
    ("sqlite+pysqlite:////data/hub.sqlite", "/data/hub.sqlite"),
    ("sqlite:////data/hub.sqlite?timeout=30", "/data/hub.sqlite"),
    ("sqlite:///data/with blank#1.sqlite", "/srv/hub/data/with blank#1.sqlite"),
    ("sqlite:////data/50%25 full.sqlite", "/data/50%25 full.sqlite"),
    ("sqlite:////data/name@host:80.sqlite", "/data/name@host:80.sqlite"),
    ("sqlite:///file:/data/a%20b.sqlite?uri=true", "/data/a b.sqlite"),
    ("sqlite:///file:///data/hub.sqlite?mode=rw&uri=true", "/data/hub.sqlite"),
    ("sqlite:///file:hub.sqlite?uri=true", "/srv/hub/hub.sqlite"),
]


@pytest.mark.parametrize(("url", "path"), [*FILES, ("jupyterhub.sqlite", "/srv/hub/jupyterhub.sqlite")])
def test_a_sqlite_url_names_a_file(url: str, path: str) -> None:
    assert urls.kind(url) == "sqlite"
    assert urls.resolve_sqlite(url, "/srv/hub", "2.0.50") == Path(path)


@pytest.mark.parametrize("version", ["2.3.1", "6.1.1"])
def test_the_file_is_the_one_that_sqlalchemy_would_open(version: str, tmp_path: Path) -> None:
    program = """
import json, sqlalchemy, sys
connect = [sqlalchemy.create_engine(url) for url in json.load(sys.stdin)]
names = [engine.dialect.create_connect_args(engine.url)[0][0] for engine in connect]
print(json.dumps([sqlalchemy.__version__, names]))
"""
    tested = [url for url, _ in FILES if "file:" not in url]
    python = environment(version) / "bin" / "python"
    argv = [str(python), "-c", program]
    answered = subprocess.run(argv, input=json.dumps(tested).encode(), cwd=tmp_path, stdout=-1, check=True)
    sqlalchemy, names = json.loads(answered.stdout)
    assert [str(urls.resolve_sqlite(url, tmp_path, sqlalchemy)) for url in tested] == names


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "postgresql://h/d",
    ],
)
def test_what_is_not_a_file_has_no_path(url: str) -> None:
    assert urls.resolve_sqlite(url, "/srv/hub") is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://data/hub.sqlite", "names no file: a SQLite URL has three slashes"),
        ("://user:secret@host/x", "is not a database URL"),
    ],
)
def test_a_url_that_cannot_be_is_refused_without_its_password(url: str, message: str) -> None:
    with pytest.raises(HubError, match=message) as caught:
        urls.resolve_sqlite(url, "/srv/hub")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://hub:secret@db:5432/hub", "postgresql://hub:***@db:5432/hub"),
        ("mysql+pymysql://hub:s@cr/et:1@db/hub", "mysql+pymysql://hub:***@db/hub"),
        (
            "postgresql://hub@db/hub?password=secret&sslmode=require",
            "postgresql://hub@db/hub?password=***&sslmode=require",
        ),
        ("postgresql://:secret@db/hub", "postgresql://:***@db/hub"),
        ("sqlite:////data/name@host:80.sqlite", "sqlite:////data/name@host:80.sqlite"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert urls.mask(url) == shown
