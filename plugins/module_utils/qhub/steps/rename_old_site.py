"""The old site under another domain: it goes on, hidden, as the way back."""

from __future__ import annotations

from ...errors import HubError
from ...system import files, state
from .. import config as configs
from .. import programs
from ..config import Config
from ..secrets import redact
from ..site import wrong_old_domain
from .base import Result, Step, Work


class RenameOldSite(Step):
    """Deploys the old version with a copy of the config that has the other domain; the site's own stays."""

    name = "rename_old_site"
    title = "Move the old site to its other domain"

    def carry_out(self, work: Work) -> Result:
        old_domain, record = work.site.old_domain, work.record
        if problem := wrong_old_domain(old_domain, record.domain):
            raise HubError(
                problem, "Name another one of yours, such as qhub-old.example.org: qhub_old_domain."
            )
        original = work.config
        if original.version != record.from_version or original.get("domain") != record.domain:
            raise HubError(
                f"{work.config_path} is of {original.get('domain')} with QHub {original.version}, not of "
                f"{record.domain} with {record.from_version} as when the redeployment began.",
                "Restore the config that the old site was deployed with (git has it), and run again.",
            )
        renamed = original.with_value(("domain",), old_domain)
        return Result(
            {"old_domain": old_domain, **deploy_old_site(work, self.name, renamed)},
            redact(original.text, original),
            redact(renamed.text, renamed),
        )

    def undone(self, work: Work, evidence: dict[str, str]) -> str:
        wanted = work.site.old_domain
        return f"qhub_old_domain is {wanted} now" if wanted and wanted != evidence["old_domain"] else ""


def deploy_old_site(work: Work, step: str, config: Config) -> dict[str, str]:
    """Deploy the old version with this config, in a folder beside the site's own; the evidence of that."""
    version, folder = work.record.from_version, work.kept / "old-site"
    state.make_private(folder)
    files.write(folder / configs.NAME, config.text.encode())
    argv = ("deploy", "-c", configs.NAME, "--disable-prompt", *work.site.old_deploy_options)
    output = work.qhub(version, *argv, folder=folder, cloud=True)
    log = programs.keep_output(work.kept, step, redact(output.text, config, work.config))
    if output.status:
        raise HubError(
            f"`qhub deploy` of {version} has ended with status {output.status}:\n"
            f"{redact(output.end, config, work.config)}",
            f"The old site may have either domain: look at it. All of the output is in {log}. "
            "Remove the cause and run again: the same step is taken again.",
        )
    return {"config": str(folder / configs.NAME), "output": log}
