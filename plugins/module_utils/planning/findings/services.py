"""Services and tokens: the permissions that they lose with the roles and scopes of 2.0."""

from __future__ import annotations

from typing import Iterator

from ...deployment.model import Role
from ...hub.facts import HubService
from ..upgrade import Upgrade
from .finding import NOTE, WARNING, Finding, Kind, listing

TOKENS_LOST = Kind(
    "tokens-lost",
    WARNING,
    "The database has API tokens, and the upgrade crosses 2.0.",
    "The migration drops all of them. The hub creates those that the config names again when it starts.",
    "Notify their owners that they need new ones, and stop all single-user servers before.",
)
SERVICE_WITHOUT_SCOPES = Kind(
    "service-without-scopes",
    WARNING,
    "A service with a token is neither admin nor in a role of load_roles, and the upgrade crosses 2.0.",
    "From 2.0 on a token has only the permissions of its scopes, and none without a role.",
    "Give it a role: c.JupyterHub.load_roles = [{'name': ..., 'scopes': [...], 'services': [...]}].",
)
CULLER_WITHOUT_SCOPES = Kind(
    "culler-without-scopes",
    WARNING,
    "A service that culls idle servers lacks scopes for that, and the upgrade crosses 2.0.",
    "Idle servers are never stopped.",
    "Give it a role with the scopes list:users, read:users:activity, read:servers and delete:servers.",
)
SERVICE_ADMIN = Kind(
    "service-admin",
    NOTE,
    "A service is an admin, and the upgrade crosses 2.0.",
    "It keeps all permissions, by the role admin; a role with only the scopes that it needs is safer.",
    "Nothing; or give it its own role, and remove `admin`.",
)
SERVICE_ACCESS = Kind(
    "service-access",
    WARNING,
    "A service has web pages, no role gives access to it, and the upgrade crosses 2.0.",
    "From 2.0 on only admin users may open it.",
    "Give the users a role with the scope access:services, or access:services!service=<name>.",
)
KINDS = (TOKENS_LOST, SERVICE_WITHOUT_SCOPES, CULLER_WITHOUT_SCOPES, SERVICE_ADMIN, SERVICE_ACCESS)

#: For each scope that a culler needs, those that include it (jupyterhub/scopes.py).
_CULLER = {
    "list:users": ("list:users", "read:users", "users", "admin:users"),
    "read:users:activity": ("read:users:activity", "users:activity", "read:users", "users", "admin:users"),
    "read:servers": ("read:servers", "servers", "admin:servers"),
    "delete:servers": ("delete:servers", "servers", "admin:servers"),
}


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """The permissions that services and tokens lose."""
    if not upgrade.crosses(2):
        return
    deployment = upgrade.deployment
    tokens = (deployment.database.rows or {}).get("api_tokens", 0)
    if tokens:
        yield TOKENS_LOST.found(f"{deployment.database.name} has {tokens} API tokens.")
    roles = deployment.config.roles
    services = deployment.config.services
    without = [each.name for each in services if each.token and not each.admin and not _scopes(each, roles)]
    if without:
        yield SERVICE_WITHOUT_SCOPES.found(f"Services without any scope: {listing(without)}.")
    for service in services:
        lacking = [scope for scope, by in _CULLER.items() if not _scopes(service, roles).intersection(by)]
        if service.culls and not service.admin and lacking:
            yield CULLER_WITHOUT_SCOPES.found(f"The service {service.name} lacks {', '.join(lacking)}.")
    admins = [each.name for each in services if each.admin]
    if admins:
        yield SERVICE_ADMIN.found(f"Services with `admin`: {listing(admins)}.")
    granted = {scope for role in roles for scope in role.scopes}
    closed = [
        each.name
        for each in services
        if each.url and not granted & {"access:services", f"access:services!service={each.name}"}
    ]
    if closed:
        yield SERVICE_ACCESS.found(f"Services without a role for access: {listing(closed)}.")


def _scopes(service: HubService, roles: list[Role]) -> set[str]:
    """The scopes that roles of the config give to a service, without filters."""
    mine = [role for role in roles if service.name in role.services]
    return {scope.partition("!")[0] for role in mine for scope in role.scopes}
