"""Who may log in to the new hub, and the secrets that keep old sessions and tokens valid."""

from __future__ import annotations

from typing import Iterator

from ...deployment.model import Deployment
from ..upgrade import Upgrade
from .finding import BLOCKER, WARNING, Finding, Kind

_ALLOW = (
    "Set c.Authenticator.allow_all = True for the earlier rule, or name the allowed users: allowed_users, "
    "allow_existing_users, or the authenticator's own rules. An older hub ignores the new options with a "
    "warning."
)
NO_ALLOW_RULE = Kind(
    "no-allow-rule",
    BLOCKER,
    "No option of the config allows any user, and the upgrade crosses 5.0.",
    "Without a rule, all users were allowed before 5.0, and only admin users are since: the hub is healthy, "
    "but users cannot log in (https://jupyterhub.readthedocs.io/en/stable/howto/upgrading-v5.html).",
    _ALLOW,
    accept=True,
)
ALLOW_RULE_UNCLEAR = Kind(
    "allow-rule-unclear",
    WARNING,
    "No option of the config allows any user, the upgrade crosses 5.0, and the authenticator decides by "
    "itself.",
    "From 5.0 on no user is allowed without a rule, unless the authenticator's class allows it, which its "
    "documentation has to tell.",
    f"Read its documentation for JupyterHub 5. {_ALLOW}",
)
CRYPT_KEY_MISSING = Kind(
    "crypt-key-missing",
    BLOCKER,
    "auth_state is enabled, and the service gets no key to encrypt it with.",
    "The hub exits at its start: `auth_state is enabled, but encryption is not available`.",
    "Set JUPYTERHUB_CRYPT_KEY in the service's environment, to the earlier key: another key loses the stored "
    "auth_state.",
    accept=True,
)
COOKIE_SECRET_MODE = Kind(
    "cookie-secret-mode",
    BLOCKER,
    "Any user may read or write the file of the cookie secret.",
    "The hub refuses to start with it.",
    "chmod 600 it, and replace the secret if another user may have read it.",
)
COOKIE_SECRET_MISSING = Kind(
    "cookie-secret-missing",
    WARNING,
    "The file of the cookie secret does not exist, and neither config nor environment has the secret.",
    "The new hub writes a new one, which logs out all users.",
    "Check cookie_secret_file, and the working directory of the service that it is relative to.",
)
PKCE_REQUIRED = Kind(
    "pkce-required",
    WARNING,
    "JupyterHub.oauth_require_pkce is on, and the upgrade crosses 6.0.",
    "Single-user servers of JupyterHub 5 and older have no PKCE: users cannot log in to running ones.",
    "Turn it on when every single-user environment has 6.0 or later.",
)
KINDS = (
    NO_ALLOW_RULE,
    ALLOW_RULE_UNCLEAR,
    CRYPT_KEY_MISSING,
    COOKIE_SECRET_MODE,
    COOKIE_SECRET_MISSING,
    PKCE_REQUIRED,
)

#: Classes that allow all users by default in 5.0 too, or no user in any version (jupyterhub/auth.py).
_NEED_NO_RULE = {"jupyterhub.auth.DummyAuthenticator", "jupyterhub.auth.NullAuthenticator"}
#: Others may read or write a cookie secret (JupyterHub.init_secrets).
_OTHERS = 0o007


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """The users who would be locked out."""
    yield from _allow_rule(upgrade)
    yield from _secrets(upgrade.deployment)
    if upgrade.crosses(6) and upgrade.deployment.config.oauth_require_pkce:
        yield PKCE_REQUIRED.found("c.JupyterHub.oauth_require_pkce is True.")


def _allow_rule(upgrade: Upgrade) -> Iterator[Finding]:
    authenticator = upgrade.deployment.authenticator
    needs_none = _NEED_NO_RULE.intersection(authenticator.bases)
    if not upgrade.crosses(5) or authenticator.allow_rules or needs_none:
        return
    only = "Only admin_users are named" if authenticator.admins else "No option allows any user"
    found = f"{only}, with {authenticator.class_name} in {upgrade.deployment.config.file}."
    own = authenticator.decides_itself and authenticator.package != "oauthenticator"
    yield (ALLOW_RULE_UNCLEAR if own else NO_ALLOW_RULE).found(found)


def _secrets(deployment: Deployment) -> Iterator[Finding]:
    secrets, authenticator = deployment.secrets, deployment.authenticator
    if authenticator.auth_state and secrets.crypt_key_source == "none":
        yield CRYPT_KEY_MISSING.found(
            f"{authenticator.class_name} has enable_auth_state, and {deployment.service.name} has "
            f"neither JUPYTERHUB_CRYPT_KEY nor CryptKeeper.keys; {deployment.database.encrypted} users have "
            "encrypted auth_state."
        )
    cookie = secrets.cookie_secret_file
    if secrets.cookie_secret_source != "file":
        return
    if not cookie.exists or cookie.mode is None:
        yield COOKIE_SECRET_MISSING.found(f"The cookie secret {cookie.path} does not exist.")
    elif int(cookie.mode, 8) & _OTHERS:
        yield COOKIE_SECRET_MODE.found(f"The cookie secret {cookie.path} has mode {cookie.mode}.")
