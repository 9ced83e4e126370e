"""A database on a server: how it is reached, by whom its dump is made, and what an upgrade does for it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import urls
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import server_database
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access, Kubectl
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.databases import (
    database_of,
    database_of_backup,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.hub_database import (
    DatabaseBackup,
    Evidence,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import Database, Release
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.server_database import (
    ServerDatabase,
    description,
    password,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.server_programs import program_of

URL = "postgresql+psycopg2://hub@database:5433/jupyterhub"
MYSQL_URL = "mysql+pymysql://hub@database/jupyterhub"
SECRET = {"data": {"hub.db.password": base64.b64encode(b"kept").decode()}}


class Secrets(Kubectl):
    """A namespace that has one Secret."""

    def one(self, kind: str, name: str) -> dict[str, Any] | None:
        return SECRET if (kind, name) == ("secrets", "mine") else None


class Releases(ServerDatabase):
    """The database of a release with these values."""

    values: dict[str, Any]

    def _values(self) -> dict[str, Any]:
        return self.values


def variables(url: str, secret: str | None) -> dict[str, str]:
    program = program_of(url)
    assert program is not None
    return program.variables(urls.parse(url), secret)


@pytest.fixture
def database() -> Releases:
    program = program_of(URL)
    assert program is not None
    found = Releases(Access(namespace="jhub"), "jhub", "hub", program)
    found.values = {"hub": {"db": {"type": "postgres", "url": URL, "password": "p@ss"}}}
    return found


BACKUP = DatabaseBackup(
    claim="hubops-jhub-recovery",
    database="",
    folder="/hubops/a",
    sha256="0",
    bytes=1,
    schema="s",
    began=1.0,
    url=URL,
    image="postgres:16",
    container_security={"runAsUser": 999},
)
HUB = {
    "spec": {
        "template": {
            "spec": {
                "securityContext": {"fsGroup": 1000},
                "tolerations": [{"key": "hub"}],
                "containers": [{"name": "hub", "image": "hub:4.1.6"}],
            }
        }
    }
}


def hub(**values: Any) -> dict[str, Any]:
    return {"hub": {"db": {"url": URL, **values.pop("db", {})}, **values}}


REFERENCE = {"valueFrom": {"secretKeyRef": {"name": "mine", "key": "hub.db.password"}}}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (hub(), None),
        (hub(db={"password": "given"}), "given"),
        (hub(db={"password": "given"}, existingSecret="mine"), "kept"),
        (hub(db={"password": "given"}, existingSecret="other"), "given"),
        (hub(db={"url": "postgresql://hub:of%20url@database/x", "password": "given"}), "of url"),
        (hub(extraEnv={"PGPASSWORD": "plain"}), "plain"),
        (hub(extraEnv={"PGPASSWORD": REFERENCE}), "kept"),
        (
            hub(extraEnv=[{"name": "OTHER", "value": "x"}, {"name": "PGPASSWORD", "value": "listed"}]),
            "listed",
        ),
        (hub(extraEnv=[{"name": "PGPASSWORD", **REFERENCE}]), "kept"),
    ],
)
def test_the_password_is_the_one_that_the_hub_has(values: dict[str, Any], expected: str | None) -> None:
    assert password(Secrets(Access()), values, "PGPASSWORD") == expected


def test_each_kind_has_a_variable_of_its_own_for_the_password() -> None:
    values = hub(extraEnv={"PGPASSWORD": "postgresql's", "MYSQL_PWD": "mysql's"})
    program = program_of(MYSQL_URL)
    assert program is not None
    assert password(Secrets(Access()), values, program.password_variable) == "mysql's"


def test_a_url_says_the_same_in_an_option_file_of_each_product() -> None:
    found = variables(
        "mysql+pymysql://o%27hara@database/jupyter?charset=utf8mb4&ssl_disabled=false&ssl_check_hostname=true",
        'p"\\ s',
    )
    assert found.pop("HUBOPS_DATABASE") == "jupyter"
    files = {name: base64.b64decode(text).decode().splitlines() for name, text in found.items()}
    shared = ["[client]", 'user="o\'hara"', 'host="database"', 'password="p\\"\\\\ s"', 'protocol="TCP"']
    assert {name: [each for each in shared if each not in lines] for name, lines in files.items()} == {
        "HUBOPS_MARIADB": [],
        "HUBOPS_MYSQL": [],
    }
    assert "ssl-verify-server-cert" in files["HUBOPS_MARIADB"]
    assert 'ssl-mode="VERIFY_IDENTITY"' in files["HUBOPS_MYSQL"]


def test_a_url_says_the_same_to_libpq() -> None:
    assert variables(
        "postgres://o%27hara@[::1]/jupyter%20hub?sslmode=require&application_name=x", "secret"
    ) == {
        "PGHOST": "::1",
        "PGPORT": "5432",
        "PGUSER": "o'hara",
        "PGDATABASE": "jupyter%20hub",
        "PGCONNECT_TIMEOUT": "10",
        "PGSSLMODE": "require",
        "PGPASSWORD": "secret",
    }


@pytest.mark.parametrize(("url", "option"), [(URL, "sslrootcert"), (MYSQL_URL, "ssl_ca")])
def test_a_url_that_names_files_of_the_hubs_pod_is_refused(url: str, option: str) -> None:
    with pytest.raises(HubError, match=f"hub.db.url has the option {option}"):
        variables(f"{url}?{option}=/etc/ca.pem", None)


def test_the_hub_is_asked_with_the_whole_url(database: Releases) -> None:
    assert database.url(BACKUP) == "postgresql+psycopg2://hub:p%40ss@database:5433/jupyterhub"


def test_the_password_is_in_a_secret_and_nowhere_in_a_pod(database: Releases) -> None:
    secret, job = database.restoring(BACKUP, HUB, "hubops-jhub-database")
    assert secret["kind"] == "Secret"
    assert secret["stringData"]["PGPASSWORD"] == "p@ss"
    assert "p@ss" not in json.dumps(job)


def test_the_database_is_put_back_by_its_own_image_as_whom_its_own_pod_runs(database: Releases) -> None:
    _secret, job = database.restoring(BACKUP, HUB, "hubops-jhub-database")
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert job["spec"]["suspend"] is True
    assert (container["image"], container["securityContext"]) == ("postgres:16", {"runAsUser": 999})
    assert container["command"][-2:] == ["restore", "/hubops/a"]
    # What is the hub's user is not the server's.
    assert "securityContext" not in pod
    assert pod["tolerations"] == [{"key": "hub"}]
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"{URL}?sslmode=require", "postgresql+psycopg2://hubops@/postgres?host=%2Fhubops"),
        (
            "mysql+pymysql://hub@database/jupyterhub?charset=utf8mb4&ssl_check_hostname=true",
            "mysql+pymysql://hubops:hubops@/jupyterhub?charset=utf8mb4&unix_socket=%2Fhubops%2Fsocket",
        ),
    ],
)
def test_a_rehearsal_s_hub_reaches_its_copy_by_a_socket_and_never_the_server(url: str, expected: str) -> None:
    program = program_of(url)
    assert program is not None
    assert urls.of_server(program.copy_of(urls.parse(url), "/hubops"), "") == expected


def test_a_recovery_point_of_another_database_is_not_put_back(database: Releases) -> None:
    database.values = hub(db={"url": "postgresql://hub@elsewhere/jupyterhub"})
    with pytest.raises(HubError) as refused:
        database.restoring(BACKUP, HUB, "hubops-jhub-database")
    assert (
        "postgresql://hub@elsewhere/jupyterhub, and not that of the recovery point" in refused.value.message
    )


def test_an_upgrade_that_would_change_the_database_is_refused(database: Releases) -> None:
    database.require_kept(BACKUP, hub(), [], [])
    with pytest.raises(HubError, match="With these values the hub's database is not"):
        database.require_kept(BACKUP, {"hub": {"db": {"type": "sqlite-pvc"}}}, [], [])


def test_the_migration_is_switched_on_for_one_upgrade_and_out_again(database: Releases) -> None:
    supplied = hub()
    first, last = database.upgrades(supplied, migrates=True)
    assert first["hub"]["db"] == {"url": URL, "upgrade": True}
    assert last == supplied == hub()
    # Nothing to migrate, or the administrator's own switch.
    assert database.upgrades(supplied, migrates=False) == [supplied]
    switched = hub(db={"upgrade": True})
    assert database.upgrades(switched, migrates=True) == [switched]


def test_what_a_dump_holds_is_read_as_it_was_printed() -> None:
    said = 'row\t"public.a \\"name"\t12\t77\nuser\t"o\'hara"\nuser\t"x\\ty"\nrevision\t"abc"\nbytes\t99\n'
    assert description(said) == {
        "rows": {'public.a "name': 12},
        "users": ("o'hara", "x\ty"),
        "revision": "abc",
        "bytes": 99,
    }


class Cluster(Kubectl):
    """A cluster whose server runs in another namespace than the hub."""

    def one(self, kind: str, name: str) -> dict[str, Any] | None:
        found = (self.access.namespace, kind, name) == ("data", "services", "database")
        return {"spec": {"selector": {"app": "database"}}} if found else None

    def get(
        self, kind: str, name: str | None = None, selector: str | None = None, everywhere: bool = False
    ) -> list[dict[str, Any]]:
        containers = [
            {"name": "sidecar", "image": "exporter:1"},
            {"name": "server", "image": "example.org/postgres:15", "securityContext": {"runAsUser": 70}},
        ]
        return [{"spec": {"containers": containers, "securityContext": {"fsGroup": 70}}}]


class MysqlCluster(Cluster):
    """The same with MariaDB, whose exporter has MySQL in its name."""

    def get(
        self, kind: str, name: str | None = None, selector: str | None = None, everywhere: bool = False
    ) -> list[dict[str, Any]]:
        images = ("prom/mysqld-exporter:1", "example.org/mysql/mariadb@sha256:0")
        return [{"spec": {"containers": [{"name": each, "image": each} for each in images]}}]


@pytest.mark.parametrize("host", ["database.data", "database.data.svc.cluster.local"])
def test_the_image_is_that_of_the_servers_own_pod(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_database, "Kubectl", Cluster)
    found = server_database.server_of(Cluster(Access(namespace="jhub")), f"postgresql://hub@{host}/x")
    assert found.image == "example.org/postgres:15"
    assert (found.pod_security, found.container_security) == ({"fsGroup": 70}, {"runAsUser": 70})
    monkeypatch.setattr(server_database, "Kubectl", MysqlCluster)
    found = server_database.server_of(MysqlCluster(Access(namespace="jhub")), f"mysql://hub@{host}/x")
    assert found.image == "example.org/mysql/mariadb@sha256:0"


@pytest.mark.parametrize("host", ["database", "db.example.org"])
def test_a_server_elsewhere_needs_an_image(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_database, "Kubectl", Cluster)
    with pytest.raises(HubError) as refused:
        server_database.server_of(Cluster(Access(namespace="jhub")), f"postgresql://hub@{host}/x")
    assert f"server {host} does not run in this cluster" in refused.value.message
    assert "z2jh_database_image" in refused.value.hint


def test_a_server_beside_the_hub_in_its_own_pod_is_refused_whatever_the_image() -> None:
    """As behind the proxy of a cloud's database."""
    with pytest.raises(HubError, match="is reached only from within the hub's own pod"):
        server_database.server_of(Cluster(Access()), "mysql+pymysql://hub@127.0.0.1/x", "mysql:8.0")


def release(database: Database) -> Release:
    return Release("jhub", "jhub", 1, "deployed", 1, "3.3.8", "4.1.6", database)


EVIDENCE = Evidence("snapshot 7", "21:00", "gcloud sql backups restore 7")


def test_what_an_administrator_names_is_kept_and_told_where_it_is_needed() -> None:
    found = release(Database("other", "cockroachdb://hub@database/x"))
    database = database_of(Access(), found, evidence=EVIDENCE)
    backup = database.back_up(found.database, {}, "a")
    kept = database_of_backup(Access(), "jhub", "hub", from_dict(DatabaseBackup, to_dict(backup)))
    assert kept.by_hand() == (
        "The hub is at 0 pods until its database is restored by hand: snapshot 7, of 21:00. "
        "gcloud sql backups restore 7"
    )
    # What nothing can put back has no Job that would.
    assert kept.restoring(backup, HUB, "hubops-jhub-database") == []


def test_evidence_of_a_database_that_no_values_name_is_refused_before_anything_is_changed() -> None:
    found = release(Database("sqlite-memory"))
    with pytest.raises(HubError, match="do not say where it is"):
        database_of(Access(), found, evidence=EVIDENCE).back_up(found.database, {}, "a")


def test_evidence_of_a_database_that_is_copied_anyway_is_refused() -> None:
    with pytest.raises(HubError, match="is on the claim hub-db-dir, and is copied there"):
        database_of(Access(), release(Database("sqlite-pvc", "", "hub-db-dir")), evidence=EVIDENCE)


def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(HubError, match="The hub's database is other: no recovery point"):
        database_of(Access(), release(Database("other", "cockroachdb://hub@database/x")))
