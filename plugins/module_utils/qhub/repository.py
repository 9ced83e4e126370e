"""The site's repository: one commit on a branch of its own, pushed when that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import HubError
from . import programs

#: Beside the config, and not for the repository: they have hashes of passwords.
PRIVATE = ("qhub-users-import.json*", "qhub-config.yaml.before-*", "qhub-config.yaml*.backup*")


@dataclass(frozen=True)
class Repository:
    """A clone."""

    folder: Path

    def is_there(self) -> bool:
        return programs.run(["git", "rev-parse", "--is-inside-work-tree"], self.folder).text.strip() == "true"

    def git(self, *arguments: str, remote: bool = False) -> str:
        """What git prints. Raises HubError with its end where it fails."""
        output = programs.run(["git", *arguments], self.folder, cloud=remote)
        if output.status:
            raise HubError(
                f"`git {arguments[0]}` has ended with status {output.status} in {self.folder}:\n{output.end}",
                "Remove the cause and run again: the same step is taken again.",
            )
        return output.text.strip()

    def commit_all(self, branch: str, message: str) -> str:
        """Commit all changes but `PRIVATE` on ``branch``, made from where the clone is; the commit."""
        present = self.git("branch", "--show-current")
        if present != branch:
            if self.git("branch", "--list", branch):
                raise HubError(
                    f"{self.folder} has a branch {branch}, and {present or 'none'} is checked out.",
                    f"Check {branch} out, or name another one: qhub_branch.",
                )
            self.git("checkout", "--quiet", "-b", branch)
        self.git("add", "--all", "--", ".", *(f":(exclude,glob)**/{pattern}" for pattern in PRIVATE))
        if self.git("diff", "--cached", "--name-only"):
            self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def made(self, branch: str, message: str, name: str, content: str) -> str:
        """The commit with that subject and that file at the end of the branch, if that is checked out."""
        if self.git("log", "-1", "--format=%s") != message or self.git("branch", "--show-current") != branch:
            return ""
        return self.git("rev-parse", "HEAD") if self.git("show", f"HEAD:./{name}") == content.strip() else ""

    def pushed(self, branch: str) -> str:
        """The commit that the remote has on a branch; empty where it has none."""
        return self.git("ls-remote", "origin", f"refs/heads/{branch}", remote=True).partition("\t")[0]
