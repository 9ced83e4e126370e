"""Config and workflows in one commit, for sites that are deployed by CI/CD."""

from __future__ import annotations

from ...errors import HubError
from .. import config as configs
from .. import programs
from ..repository import Repository
from ..secrets import redact
from .base import Result, Step, Work


class Commit(Step):
    """Renders, and commits all that differs on a branch of its own; pushes it when that is asked for."""

    name = "commit"
    title = "Commit the config and the workflows"
    only_redeployed = False

    def carry_out(self, work: Work) -> Result:
        site, record, config = work.site, work.record, work.config
        repository = Repository(site.path)
        if not repository.is_there():
            if config.ci_cd not in ("", "none"):
                raise HubError(
                    f"{site.folder} is no clone of a repository, and the site has CI/CD ({config.ci_cd}).",
                    "Clone the site's repository there, with the config as it is now, and run again.",
                )
            return Result({"commit": "", "why_not": "the folder is no repository, and the site has no CI/CD"})
        branch = site.branch or f"qhub-{record.to_version}"
        message = f"QHub {record.from_version} -> {record.to_version}"
        # `qhub render` writes other files each time: a commit that was made is not made again.
        commit = repository.made(branch, message, configs.NAME, config.text)
        if not commit:
            self._render(work)
            commit = repository.commit_all(branch, message)
        if repository.git("show", f"{commit}:./{configs.NAME}") != config.text.strip():
            raise HubError(
                f"The commit {commit} has another config than {work.config_path}.", "Look at `git log`."
            )
        if site.push:
            repository.git("push", "--quiet", "origin", f"{commit}:refs/heads/{branch}", remote=True)
            if repository.pushed(branch) != commit:
                raise HubError(f"The remote has another commit than {commit} on {branch}.", "Run again.")
        files = repository.git("show", "--name-only", "--format=", commit).splitlines()
        workflows = [name for name in files if ".github/workflows" in name or name.endswith(".gitlab-ci.yml")]
        return Result(
            {
                "commit": commit,
                "branch": branch,
                "files": str(len(files)),
                "workflows": ", ".join(workflows),
                "pushed": "yes" if site.push else "",
            }
        )

    def _render(self, work: Work) -> None:
        output = work.qhub(work.record.to_version, "render", "-c", configs.NAME, folder=work.site.path)
        log = programs.keep_output(work.kept, "render", redact(output.text, work.config))
        if output.status:
            raise HubError(
                f"`qhub render` has ended with status {output.status}:\n{redact(output.end, work.config)}",
                f"All of the output is in {log}.",
            )

    def undone(self, work: Work, evidence: dict[str, str]) -> str:
        return "it is to be pushed now" if work.site.push and evidence.get("pushed") == "" else ""
