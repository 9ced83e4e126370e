"""The catalogue: what an upgrade has to know of JupyterHub's releases.

A release that changes any of these facts is one row of `SERIES`, and nothing else has to be written for it.
What the wheel of a target says itself counts before what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass

from .versions import Release, parse_release

_DOCS = "https://jupyterhub.readthedocs.io/en/stable"
_UPGRADING_5 = f"{_DOCS}/howto/upgrading-v5.html"
_UPGRADING_6 = f"{_DOCS}/howto/upgrading-v6.html"
_TLJH = "https://github.com/jupyterhub/the-littlest-jupyterhub/blob/main/tljh/requirements-hub-env.txt"
_OLDER = "is older than what The Littlest JupyterHub installs with JupyterHub 5"


@dataclass(frozen=True)
class Revision:
    """One migration of the database (a file of jupyterhub/alembic/versions)."""

    id: str
    adds: tuple[str, str] | None = None
    """Table and column that it adds and no other migration does."""
    gives_up: tuple[str, ...] = ()
    """Tables whose rows it drops on purpose."""


@dataclass(frozen=True)
class Fault:
    """Releases, from the first to the last, that should not be a target, and a better one."""

    first: str
    last: str
    problem: str
    better: str
    source: str


@dataclass(frozen=True)
class IncompatiblePackage:
    """Versions of a package that do not go with the hubs of a row and later ones."""

    name: str
    versions: str
    problem: str
    better: str
    source: str
    until: str = ""
    """The hub that they go with again."""


@dataclass(frozen=True)
class FailingMigration:
    """A migration to the hubs of a row and later ones that fails in one step."""

    revision: str
    """Of a database that it fails for, where servers are registered in that."""
    through: str
    """The intermediate version that it succeeds through."""
    why: str
    source: str


@dataclass(frozen=True)
class Series:
    """JupyterHub's releases from ``since`` on, up to the next row."""

    since: str
    requires_python: str
    """As their wheels say."""
    sqlalchemy: str = ""
    """The versions of SQLAlchemy that they start with, where their wheels allow more."""
    revisions: tuple[Revision, ...] = ()
    """The migrations that they add, oldest first; they start on a database of the last one only."""
    intermediate_version: str = ""
    """The one of them that a database goes through where it cannot be migrated past them in one step."""
    failing_migrations: tuple[FailingMigration, ...] = ()
    changes: str = ""
    """Their changes, from the changelog and the upgrade guides."""
    guide: str = ""
    """The page on upgrading to them."""
    faults: tuple[Fault, ...] = ()
    incompatible_packages: tuple[IncompatiblePackage, ...] = ()

    @property
    def major(self) -> int:
        return parse_release(self.since).major


#: Oldest first. Requires-Python and migrations: the wheels on PyPI.
SERIES = (
    Series(
        since="0.8",
        requires_python=">=3.4",
        sqlalchemy="<2",
        revisions=(
            Revision("19c0846f6344"),
            Revision("eeb276e51423"),
            Revision("af4cbdb2d13c"),
            Revision("3ec6993fe20c", gives_up=("proxies", "hubs")),
        ),
    ),
    Series(
        since="0.9",
        requires_python=">=3.5",
        sqlalchemy="<2",
        revisions=(
            Revision("1cebaf56856c"),
            Revision("56cc5a70207e"),
            Revision("99a28a4418e1"),
            Revision("d68c98b66cd4"),
            Revision("896818069c98"),
        ),
    ),
    Series(
        since="1.0",
        requires_python=">=3.5",
        sqlalchemy="<2",
        revisions=(Revision("4dc2d5a8c53c"),),
    ),
    Series(since="1.3", requires_python=">=3.6", sqlalchemy="<2"),
    Series(
        since="2.0",
        requires_python=">=3.6",
        sqlalchemy="<2",
        revisions=(Revision("833da8570507", gives_up=("api_tokens", "oauth_access_tokens")),),
        intermediate_version="2.3.1",
        changes="Roles and scopes replace admin tokens, all API tokens are dropped, JupyterLab is the "
        "default, the hub passes no --ip and --port to single-user servers; users need a role for services.",
    ),
    Series(
        since="3.0",
        requires_python=">=3.7",
        sqlalchemy="<2",
        revisions=(
            Revision(
                "651f5419b74d",
                adds=("oauth_clients", "allowed_scopes"),
                gives_up=("oauth_code_role_map", "api_token_role_map", "oauth_client_role_map"),
            ),
        ),
        intermediate_version="3.1.1",
        changes="Python 3.7 or later; tokens have scopes of their own instead of roles; services ask for "
        "scopes by oauth_client_allowed_scopes.",
        incompatible_packages=(
            IncompatiblePackage(
                "batchspawner",
                "<1.3",
                problem="does not tell the hub the port of a server",
                better="batchspawner>=1.3",
                source="https://github.com/jupyterhub/batchspawner/issues/277",
            ),
        ),
    ),
    Series(since="3.1.1", requires_python=">=3.7"),
    Series(
        since="4.0",
        requires_python=">=3.7",
        revisions=(Revision("0eee8c825d24", adds=("groups", "properties")),),
        intermediate_version="4.1.6",
        changes="SQLAlchemy 1.4 or later; forms and browsers' requests to the API need an XSRF token; "
        "single-user servers run as an extension of Jupyter Server.",
        faults=(
            Fault(
                *("4.1.0", "4.1.3"),
                problem="its XSRF check breaks applications behind the proxy",
                better="4.1.6",
                source="https://github.com/jupyterhub/jupyterhub/pull/4759",
            ),
        ),
        incompatible_packages=(
            IncompatiblePackage(
                "jupyterhub-ldapauthenticator",
                ">=2.0.0,<=2.0.2",
                problem="keeps the hub from its start where allowed_groups is set without allowed_users",
                better="a target of 5.x",
                source="https://github.com/jupyterhub/ldapauthenticator/issues/305",
                until="5.0",
            ),
            IncompatiblePackage(
                "jupyterhub-ltiauthenticator",
                "<1.5.1",
                problem="sends launches that the hub's XSRF check refuses, so that no user can log in",
                better="jupyterhub-ltiauthenticator>=1.6.3",
                source="https://github.com/jupyterhub/ltiauthenticator/issues/157",
            ),
            IncompatiblePackage(
                "jupyterhub-samlauthenticator",
                "<=0.0.11",
                problem="takes assertions that the hub's XSRF check refuses, so that no user can log in",
                better="a fork of it that lets check_xsrf_cookie of its login handler pass",
                source="https://github.com/HewlettPackard/jupyterhub-samlauthenticator/issues/72",
            ),
        ),
    ),
    Series(
        since="5.0",
        requires_python=">=3.8",
        revisions=(
            Revision("3c2384c5aae1", adds=("services", "from_config")),
            Revision("4621fec11365", adds=("roles", "managed_by_auth")),
        ),
        intermediate_version="5.4.6",
        failing_migrations=(
            FailingMigration(
                "833da8570507",
                through="4.1.6",
                why="from JupyterHub 5 on the migration of a database of 2.x asks for columns that it does "
                "not have yet where a user's server is registered",
                source="https://github.com/jupyterhub/jupyterhub/issues/5427",
            ),
        ),
        changes="Python 3.8 or later; nobody is allowed without a rule; Bootstrap 5; single-user servers "
        "take no ?token= in an address; services have subdomains of their own; manage_groups needs groups "
        "from the authenticator.",
        guide=_UPGRADING_5,
        faults=(
            Fault(
                *("5.0.0", "5.2.0"),
                problem="it exits at its start where an external service of the config does not answer",
                better="5.4.6",
                source="https://github.com/jupyterhub/jupyterhub/issues/4929",
            ),
            Fault(
                *("5.4.0", "5.4.2"),
                problem="it mishandles stopped servers when it starts",
                better="5.4.6",
                source="https://github.com/jupyterhub/jupyterhub/pull/5236",
            ),
        ),
        incompatible_packages=(
            IncompatiblePackage(
                "oauthenticator",
                "<16",
                problem="does not know the allow rules of JupyterHub 5",
                better="oauthenticator>=16.3",
                source=_UPGRADING_5,
            ),
            *(
                IncompatiblePackage(name, f"<{first}", _OLDER, f"{name}>={first}", _TLJH)
                for name, first in (
                    ("jupyterhub-ldapauthenticator", "2"),
                    ("jupyterhub-nativeauthenticator", "1.3"),
                    ("jupyterhub-firstuseauthenticator", "1.1"),
                    ("jupyterhub-tmpauthenticator", "1"),
                    ("jupyterhub-systemdspawner", "1"),
                )
            ),
        ),
    ),
    Series(
        since="6.0",
        requires_python=">=3.10",
        revisions=(
            Revision("be8ecf03ddac", adds=("services", "timeout")),
            Revision("afd65840b69e", adds=("oauth_codes", "code_challenge")),
            Revision("ff1860e38070", adds=("users", "user_info")),
            Revision("f460b0348206", adds=("spawners", "display_name")),
        ),
        intermediate_version="6.1.1",
        changes="Python 3.10 or later, for users' environments, too; names of named servers are restricted; "
        "statsd is gone; options in a spawn address begin with opt-.",
        guide=_UPGRADING_6,
    ),
)


def series_of(release: Release) -> Series | None:
    """The row of a release; None for a major that the catalogue does not know."""
    reached = _reached(release)
    return reached[-1] if reached and reached[-1].major == release.major else None


def schema_head(release: Release) -> str | None:
    """The revision that a release starts on; None for a major that the catalogue does not know."""
    known = [revision.id for series in _reached(release) for revision in series.revisions]
    return known[-1] if known and series_of(release) else None


def revisions() -> list[Revision]:
    """All migrations, oldest first."""
    return [revision for series in SERIES for revision in series.revisions]


def major_of_revision(revision: str) -> int | None:
    """The hub's major that a revision leads to; None for one that the catalogue does not know."""
    return next((series.major for series in SERIES for each in series.revisions if each.id == revision), None)


def fault_of(release: Release) -> Fault | None:
    """Why a release should not be a target; None where nothing is known against it."""
    return next(
        (
            fault
            for series in SERIES
            for fault in series.faults
            if parse_release(fault.first) <= release <= parse_release(fault.last)
        ),
        None,
    )


def incompatible_packages(release: Release) -> list[IncompatiblePackage]:
    """Packages that do not go with a release."""
    return [
        package
        for series in _reached(release)
        for package in series.incompatible_packages
        if not package.until or not _is_reached(package.until, release)
    ]


def failing_migrations(release: Release) -> list[FailingMigration]:
    """Migrations to a release that fail in one step."""
    return [failing for series in _reached(release) for failing in series.failing_migrations]


def _reached(release: Release) -> list[Series]:
    """The rows up to that of a release, oldest first."""
    return [series for series in SERIES if _is_reached(series.since, release)]


def _is_reached(since: str, release: Release) -> bool:
    """Whether a release is of ``since`` or later; a beta of 5.0 has what 5.0 has."""
    return parse_release(since).numbers <= release.numbers + (0, 0)
