"""Where the OAuth application sends users back to: the new URL is added, the old ones go at the very end."""

from __future__ import annotations

from ...errors import HubError
from .. import auth0
from ..auth0 import Auth0
from ..config import Config
from ..findings import callback_url
from ..web import Visitor
from .base import Result, Step, Work

GITHUB = "https://github.com/settings/developers"


class AddCallback(Step):
    """Adds the new site's URL, and the renamed old one's, to those that the application has."""

    name = "add_callback"
    title = "Tell the OAuth application the new callback URL"
    only_with_keycloak = True

    def carry_out(self, work: Work) -> Result:
        config, new = work.config, callback_url(work.config)
        if not new:
            return Result({"application": f"none: authentication is {config.authentication}"})
        if config.authentication == "GitHub":
            # It has no API for that; the step verify follows the log-in there.
            return Result({"callback_url": new, "to_be_added_at": GITHUB})
        domain, application = _tenant(config), _application(config)
        wanted = [new, old_callback(work.record.evidence("rename_old_site")["old_domain"])]
        kept: list[str] = []
        if work.site.auth0_client_id:
            management = Auth0(domain, work.site.auth0_client_id, work.site.auth0_client_secret)
            kept = management.callbacks(application)
            missing = [url for url in wanted if url not in kept]
            if missing:
                management.set_callbacks(application, [*kept, *missing])
        visitor = Visitor(work.site.validate_certs)
        refused = [url for url in wanted if not auth0.takes(visitor, domain, application, url)]
        if refused:
            raise HubError(
                f"The application {application} at {domain} does not take {' and '.join(refused)}.",
                "Add that to its Allowed Callback URLs in Auth0's pages, beside the others, and run again. "
                "Or name an application that may do it: qhub_auth0_client_id, qhub_auth0_client_secret.",
            )
        return Result({"callback_url": new, "kept": ", ".join(kept)})


class RemoveCallbacks(Step):
    """Removes those of the old site, once it is destroyed; all others stay."""

    name = "remove_callbacks"
    title = "Remove the old site's callback URLs from the OAuth application"
    only_with_keycloak = True

    def carry_out(self, work: Work) -> Result:
        config, record = work.config, work.record
        new = callback_url(config)
        if not new:
            return Result({"application": f"none: authentication is {config.authentication}"})
        old = [old_callback(record.domain), old_callback(record.evidence("rename_old_site")["old_domain"])]
        if config.authentication == "GitHub":
            return Result({"to_be_removed": ", ".join(old), "at": GITHUB})
        if not work.site.auth0_client_id:
            return Result({"to_be_removed": ", ".join(old), "at": "https://manage.auth0.com/"})
        management = Auth0(_tenant(config), work.site.auth0_client_id, work.site.auth0_client_secret)
        present = management.callbacks(_application(config))
        kept = [url for url in present if url not in old]
        if new not in kept:
            raise HubError(
                f"The application {_application(config)} does not have {new} any more: nobody could log in.",
                "Nothing was removed. Add it again in Auth0's pages, and run again.",
            )
        if kept != present:
            management.set_callbacks(_application(config), kept)
        return Result({"removed": ", ".join(url for url in present if url in old), "kept": ", ".join(kept)})


def old_callback(domain: str) -> str:
    """Where JupyterHub itself took users, before there was a Keycloak."""
    return f"https://{domain}/hub/oauth_callback"


def _tenant(config: Config) -> str:
    return f"{_setting(config, 'auth0_subdomain')}.auth0.com"


def _application(config: Config) -> str:
    return _setting(config, "client_id")


def _setting(config: Config, name: str) -> str:
    value = config.get("security", "authentication", "config", name)
    if not value:
        raise HubError(
            f"The config has no security.authentication.config.{name}.",
            "QHub needs it for Auth0: restore the config that the site was deployed with.",
        )
    return value
