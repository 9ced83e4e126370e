"""The gate: `prevent_deploy` goes only when the backups are verified now."""

from __future__ import annotations

from ...errors import HubError
from ...system import files, state
from .. import backups, programs
from .. import config as configs
from ..secrets import redact
from .backup import evidence as backup_evidence
from .base import Result, Step, Work

REFUSED = "Deployment prevented due to the prevent_deploy setting"
DEPLOYED = "QHub deployed successfully"


class Deploy(Step):
    """Has QHub refuse first, verifies the backups, and deploys with a copy of the config without the gate.

    The line goes from the site's own config only when the site is deployed: a run that is cut off leaves it.
    """

    name = "deploy"
    title = "Deploy the new site"
    only_redeployed = False

    def carry_out(self, work: Work) -> Result:
        record, config = work.record, work.config
        if config.version != record.to_version:
            raise HubError(
                f"The config is of QHub {config.version}, not {record.to_version}.",
                "Run the earlier steps again.",
            )
        verified = backup_evidence(backups.verify_all(work.site))
        known = record.evidence("back_up")
        if changed := [
            name for name in ("user_data_sha256", "hub_database_sha256") if verified[name] != known[name]
        ]:
            raise HubError(
                f"A backup is not the one that was verified in the first step: {', '.join(changed)}.",
                "Nothing was deployed. Find out who has changed it, name the one to rely on, and run again.",
            )
        gated = config.prevents_deploy
        if gated:
            self._must_refuse(work)
        opened = config.without(("prevent_deploy",)) if gated else config
        folder = work.kept / "deploy"
        state.make_private(folder)
        files.write(folder / configs.NAME, opened.text.encode())
        output = work.qhub(
            record.to_version,
            "deploy",
            "-c",
            str(folder / configs.NAME),
            "--disable-prompt",
            *work.site.deploy_options,
            folder=work.site.path,
            cloud=True,
        )
        log = programs.keep_output(work.kept, self.name, redact(output.text, config))
        if output.status or DEPLOYED not in output.text:
            raise HubError(
                f"`qhub deploy` has ended with status {output.status}"
                f"{'' if output.status else ', but not with a deployed site'}:\n{redact(output.end, config)}",
                f"The old site goes on. The config still has its gate. All of the output is in {log}. "
                "Remove the cause and run again.",
            )
        if gated:
            work.write_config(opened)
        return Result(
            {
                "refused_before": "yes" if gated else "the config had no prevent_deploy",
                "backup_verified": ", ".join(
                    f"{name} {verified[name]}" for name in sorted(verified) if "sha" in name
                ),
                "output": log,
            },
            redact(config.text, config),
            redact(opened.text, opened),
        )

    def _must_refuse(self, work: Work) -> None:
        """`qhub deploy` with the gate, without access to any cloud, in a folder of its own."""
        folder = work.kept / "refused"
        state.make_private(folder)
        files.write(folder / configs.NAME, work.config.text.encode())
        output = work.qhub(
            work.record.to_version, "deploy", "-c", configs.NAME, "--disable-prompt", folder=folder
        )
        log = programs.keep_output(work.kept, "refused", redact(output.text, work.config))
        if not output.status or REFUSED not in output.text:
            raise HubError(
                "`qhub deploy` does not refuse as it should with prevent_deploy: true:\n"
                f"{redact(output.end, work.config)}",
                f"Nothing was deployed. All of the output is in {log}.",
            )
