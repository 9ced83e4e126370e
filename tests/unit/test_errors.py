from __future__ import annotations

from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError


def test_an_error_reads_as_message_and_hint() -> None:
    assert (
        str(HubError("No hub found.", "Set jupyterhub_service.")) == "No hub found. Set jupyterhub_service."
    )
    assert str(HubError("No hub found.")) == "No hub found."
