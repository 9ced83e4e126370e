"""The end of the old cluster. There is no way back from here."""

from __future__ import annotations

from pathlib import Path

from ...errors import HubError
from ...system import files
from .. import config as configs
from .. import programs
from ..config import Config
from ..secrets import redact
from ..web import Visitor, addresses
from . import verify
from .base import Result, Step, Work

#: QHub from 0.4 on says so, and ends with status 0.
NOT_ALL = "not all qhub stages were destroyed properly"


class DestroyOldSite(Step):
    """Destroys what the old version has deployed, when the new site is verified at that moment."""

    name = "destroy_old_site"
    title = "Destroy the old cluster"
    final = True

    def require(self, work: Work) -> None:
        record = work.record
        if work.site.destroy_project != record.old_project:
            raise HubError(
                f"The project to destroy is named {work.site.destroy_project or 'nowhere'}, and the old "
                f"site's is {record.old_project}.",
                "Its cluster, with all users' data on it, is destroyed only by its name: "
                f"qhub_destroy_project: {record.old_project}.",
            )
        known = record.evidence("back_up")
        for name in ("user_data", "hub_database"):
            if not Path(known[name]).is_file() or files.sha256(Path(known[name])) != known[f"{name}_sha256"]:
                raise HubError(
                    f"The backup {known[name]} is not there as it was verified.",
                    "Nothing was destroyed: the old site may have the only copy. Restore that file first.",
                )
        _config(work)
        verify.look(work)

    def carry_out(self, work: Work) -> Result:
        record, config = work.record, _config(work)
        folder = work.kept / "old-site"
        output = work.qhub(
            record.from_version,
            *("destroy", "-c", configs.NAME, *work.site.destroy_options),
            folder=folder,
            cloud=True,
        )
        log = programs.keep_output(work.kept, self.name, redact(output.text, config))
        if output.status or NOT_ALL in output.text:
            raise HubError(
                f"`qhub destroy` of {record.from_version} has ended with status {output.status}, and not all "
                f"is gone:\n{redact(output.end, config)}",
                f"All of the output is in {log}. Remove the cause and run again, or remove what is left in "
                "the cloud's own pages.",
            )
        _require_gone(work, config.get("domain"))
        return Result({"project": record.old_project, "output": log})


def _config(work: Work) -> Config:
    """What the old site was deployed with. Raises HubError where that is not what it was."""
    record, path = work.record, work.kept / "old-site"
    config, old_domain = configs.read(path), record.evidence("rename_old_site")["old_domain"]
    if (config.get("project_name"), config.get("domain")) != (record.old_project, old_domain):
        raise HubError(
            f"{path / configs.NAME} is of project {config.get('project_name')} at {config.get('domain')}, "
            f"not of {record.old_project} at {old_domain}.",
            "Nothing was destroyed. Restore it as the step rename_old_site has written it.",
        )
    if work.config.get("project_name") == record.old_project:
        raise HubError(
            f"The new site's config has the old one's project, {record.old_project}.",
            "Nothing was destroyed. Restore the config that the new site was deployed with.",
        )
    return config


def _require_gone(work: Work, old_domain: str) -> None:
    """Raises HubError where a hub still answers at the old site's domain."""
    try:
        addresses(old_domain)
        version = Visitor(work.site.validate_certs).hub_version(old_domain)
    except HubError:
        return
    raise HubError(
        f"`qhub destroy` has ended well, and a hub of JupyterHub {version} still answers at {old_domain}.",
        "Look in the cloud's own pages what is left, remove it, and run again.",
    )
