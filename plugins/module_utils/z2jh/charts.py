"""The chart of Zero to JupyterHub: which JupyterHub its versions have, and what each major changes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_GUIDE = "https://z2jh.jupyter.org/en/stable/administrator/upgrading"
_CHANGELOG = "https://z2jh.jupyter.org/en/stable/changelog.html"

#: The JupyterHub of each chart (appVersion of Chart.yaml in the chart's repository, by its tags).
JUPYTERHUB = {
    **{"0.9.0": "1.1.0", "0.9.1": "1.1.0", "0.10.0": "1.2.0", "0.10.6": "1.2.2", "0.11.1": "1.3.0"},
    **{"1.0.1": "1.4.1", "1.1.4": "1.4.2", "1.2.0": "1.5.0", "2.0.0": "3.0.0", "3.0.3": "4.0.2"},
    **{"3.1.0": "4.0.2", "3.2.1": "4.0.2", "3.3.2": "4.1.0", "3.3.3": "4.1.1", "3.3.4": "4.1.2"},
    **{"3.3.5": "4.1.3", "3.3.6": "4.1.4", "3.3.7": "4.1.5", "3.3.8": "4.1.6", "4.0.0": "5.2.1"},
    **{"4.1.0": "5.2.1", "4.2.0": "5.3.0", "4.3.0": "5.4.0", "4.3.1": "5.4.1", "4.3.2": "5.4.3"},
    **{"4.3.3": "5.4.4", "4.3.4": "5.4.5", "4.3.5": "5.4.6", "4.4.0": "5.5.0"},
}


@dataclass(frozen=True)
class Major:
    """What a major version of the chart changes for every release, and who says so."""

    number: int
    changes: str
    source: str


MAJORS = (
    Major(
        2,
        "JupyterHub 1 becomes 3 (roles and scopes, all API tokens are dropped), KubeSpawner 4, JupyterLab is "
        "the default, sudo in users' servers is off by default, extraConfig counts before hub.config, the "
        "hub's image is Debian's.",
        f"{_GUIDE}/upgrade-1-to-2.html",
    ),
    Major(
        3,
        "JupyterHub 3 becomes 4 (XSRF tokens in forms and browsers' requests to the API), KubeSpawner 6, "
        "OAuthenticator 16 allows nobody without a rule, TmpAuthenticator 1.0, Python 3.11 in the hub's "
        "image; two more rules let DNS out by default.",
        f"{_GUIDE}/upgrade-2-to-3.html",
    ),
    Major(
        4,
        "JupyterHub 4 becomes 5 (nobody is allowed without a rule), KubeSpawner 7 names pods and claims by "
        "another scheme, OAuthenticator 17, LDAPAuthenticator 2, Python 3.12 in the hub's image.",
        f"{_GUIDE}/upgrade-3-to-4.html",
    ),
    Major(
        5,
        "httpRoute.gateway has become httpRoute.parentRefs.",
        _CHANGELOG,
    ),
)


def major(version: str) -> int:
    """4 of ``4.4.0``; Helm has made sure that it is a version."""
    return int(version.lstrip("v").partition(".")[0])


def is_prerelease(version: str) -> bool:
    """Whether it is a beta, or a development release such as ``4.0.0-0.dev.git.6586.h0a16e5a0``."""
    return "-" in version


def order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """What versions are compared by; releases after their pre-releases."""
    numbers, _hyphen, rest = version.lstrip("v").partition("+")[0].partition("-")
    return tuple(int(each) for each in re.findall(r"\d+", numbers)), not rest, rest


def hint(wanted: str) -> str:
    """What to say where there is no chart of that version: it may be a JupyterHub's."""
    charts = [chart for chart, hub in JUPYTERHUB.items() if hub == wanted]
    if charts:
        return f"JupyterHub {wanted} is in the chart {charts[-1]}: z2jh_chart_version: {charts[-1]}."
    hubs = {hub.partition(".")[0] for hub in JUPYTERHUB.values()}
    charts_of = {chart.partition(".")[0] for chart in JUPYTERHUB}
    if wanted.partition(".")[0] in hubs - charts_of:
        newest = max(JUPYTERHUB, key=order)
        return (
            f"It looks like a version of JupyterHub; the chart {newest} has JupyterHub {JUPYTERHUB[newest]}."
        )
    return "helm search repo jupyterhub/jupyterhub --versions lists what there is."
