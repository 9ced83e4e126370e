"""The way back: the old site under its own domain again, and what shows that visitors reach it there."""

from __future__ import annotations

from ...errors import HubError
from ...releases.versions import parse_release
from ..config import Config
from ..secrets import redact
from ..versions import FIRST_WITH_KEYCLOAK
from ..web import Visitor, addresses
from .base import Result, Step, Work
from .rename_old_site import deploy_old_site
from .upgrade_config import original_config


class RestoreOldDomain(Step):
    """Deploys the old version with the config as it was. The new site stays, without visitors."""

    name = "restore_old_domain"
    title = "Deploy the old site under its own domain again"

    def require(self, work: Work) -> None:
        """Raises HubError where somebody may lose work, and nobody has accepted that."""
        deployed = work.record.done("deploy")
        if deployed and not work.site.accept_loss:
            raise HubError(
                f"The new site is there since {deployed.at}: what users have written on it is not on the "
                "old one.",
                "Save that first, and accept that the old site does not have it: qhub_accept_loss: true.",
            )

    def carry_out(self, work: Work) -> Result:
        present, original = work.config, _original(work)
        evidence = deploy_old_site(work, self.name, original)
        if original.text != present.text:
            work.write_config(original)
        return Result(
            {"domain": work.record.domain, **evidence},
            redact(present.text, present),
            redact(original.text, original),
        )


class VerifyOldSite(Step):
    """DNS leads to the old site, what answers there is not the new one, and its hub answers."""

    name = "verify_old_site"
    title = "Verify that visitors of the domain reach the old site"

    def carry_out(self, work: Work) -> Result:
        site, record = work.site, work.record
        old_domain = record.evidence("rename_old_site").get("old_domain") or site.old_domain
        if not old_domain:
            raise HubError(
                "The old site's other domain is not known.",
                "Name it, for its DNS record shows where the old site is: qhub_old_domain.",
            )
        found, wanted = addresses(record.domain), addresses(old_domain)
        if not set(found) & set(wanted):
            raise HubError(
                f"{record.domain} resolves to {', '.join(found)}, and the old site, {old_domain}, to "
                f"{', '.join(wanted)}.",
                f"Give {record.domain} the DNS record that {old_domain} has, wait until this host knows it, "
                "and run again: the old site is deployed already.",
            )
        visitor = Visitor(site.validate_certs)
        if parse_release(record.from_version) < parse_release(FIRST_WITH_KEYCLOAK):
            realm = f"https://{record.domain}/auth/realms/{site.keycloak_realm}"
            if visitor.get(realm).status == 200:
                raise HubError(
                    f"{realm} answers: visitors of the domain reach the new site, for QHub "
                    f"{record.from_version} has no Keycloak.",
                    f"Where a proxy such as Cloudflare's stands before both sites, lead {record.domain} to "
                    "the old one there, and run again.",
                )
        return Result(
            {
                "addresses": ", ".join(found),
                "jupyterhub": visitor.hub_version(record.domain),
                "lost": "what was written on the new site" if record.done("deploy") else "",
            }
        )


def _original(work: Work) -> Config:
    """The config that the old site was deployed with. Raises HubError where it is nowhere."""
    record, present = work.record, work.config
    found = present if present.version == record.from_version else original_config(work.kept / "upgraded")
    if found.get("domain") != record.domain or found.get("project_name") != record.old_project:
        raise HubError(
            f"The config of QHub {record.from_version} is of {found.get('domain')}, project "
            f"{found.get('project_name')}, not of {record.domain}, project {record.old_project}.",
            f"Restore the config that the old site was deployed with (git has it): {work.config_path}.",
        )
    return found


ROLLBACK: tuple[Step, ...] = (RestoreOldDomain(), VerifyOldSite())
