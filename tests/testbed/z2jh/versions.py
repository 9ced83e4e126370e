"""The versions of the chart: which hub, and what its image has beside it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """A version of the chart: its hub, the Kubernetes that it asks for, the packages of its images."""

    chart: str
    hub: str
    kubernetes: str
    packages: tuple[str, ...]

    @property
    def major(self) -> int:
        """The first number of the chart's version."""
        return int(self.chart.split(".")[0])


# The proxy of PyPI in place of Node's; jsonschema as in the other images of the test bed.
COMMON = ("configurable-http-proxy", "jsonschema<4.25", "psycopg2-binary", "PyMySQL")

VERSIONS = {
    version.chart: version
    for version in (
        Version(
            "1.2.0",
            "1.5.1",
            ">=1.17.0-0",
            (
                "jupyterhub==1.5.1",
                "jupyterhub-kubespawner==1.1.2",
                "kubernetes<19",
                "jupyterhub-idle-culler==1.2.1",
                "sqlalchemy<2",
                "jupyter-server<2",
            ),
        ),
        Version(
            "2.0.0",
            "3.0.0",
            ">=1.20.0-0",
            (
                "jupyterhub==3.0.0",
                "jupyterhub-kubespawner==4.2.0",
                "jupyterhub-idle-culler==1.2.1",
                "sqlalchemy<2",
                "jupyter-server<2",
            ),
        ),
        Version(
            "3.3.8",
            "4.1.6",
            ">=1.23.0-0",
            (
                "jupyterhub==4.1.6",
                "jupyterhub-kubespawner==6.2.0",
                "jupyterhub-idle-culler==1.3.1",
                "jupyter-server",
            ),
        ),
        Version(
            "4.3.5",
            "5.4.6",
            ">=1.28.0-0",
            (
                "jupyterhub==5.4.6",
                "jupyterhub-kubespawner==7.0.0",
                "jupyterhub-idle-culler==1.4.0",
                "jupyter-server",
            ),
        ),
    )
}
