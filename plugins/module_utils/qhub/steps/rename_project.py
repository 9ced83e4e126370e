"""The new site's project name, so that its resources do not clash with the old one's; Kubernetes' version."""

from __future__ import annotations

from ...errors import HubError
from ..secrets import redact
from ..site import wrong_project
from .base import Result, Step, Work


class RenameProject(Step):
    """Changes two lines of the config, where they differ."""

    name = "rename_project"
    title = "Name the new project, and its version of Kubernetes"

    def carry_out(self, work: Work) -> Result:
        wanted, config = work.site, work.config
        if problem := wrong_project(wanted.project, work.record.old_project, work.record.provider):
            raise HubError(problem, "Name another one: qhub_project.")
        if config.get("domain") != work.record.domain:
            raise HubError(
                f"The config's domain is {config.get('domain')}, and the site's is {work.record.domain}.",
                "The new site gets the domain that the old one had: restore that line of the config.",
            )
        changed = config.with_value(("project_name",), wanted.project)
        if wanted.kubernetes_version:
            changed = changed.with_value(config.kubernetes_version, wanted.kubernetes_version)
        if changed.text != config.text:
            work.write_config(changed)
        return Result(
            {"project": wanted.project, "kubernetes_version": changed.get(*config.kubernetes_version)},
            redact(config.text, config),
            redact(changed.text, changed),
        )

    def undone(self, work: Work, evidence: dict[str, str]) -> str:
        name, wanted = work.config.get("project_name"), work.site
        version = work.config.get(*work.config.kubernetes_version)
        if name != evidence["project"] or wanted.project not in ("", name):
            return f"the config's project is {name}"
        if wanted.kubernetes_version not in ("", version):
            return f"the config's version of Kubernetes is {version}"
        return ""
