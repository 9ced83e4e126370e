"""The documentation of jupyterhub_info shows the deployment as it is."""

from __future__ import annotations

from typing import Any

import yaml
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.modules import jupyterhub_info


def test_the_sample_is_a_deployment_with_every_field_and_no_other() -> None:
    parts: dict[str, Any] = yaml.safe_load(jupyterhub_info.RETURN)["deployment"]["contains"]
    sample = {name: part["sample"] for name, part in parts.items()}
    assert to_dict(from_dict(Deployment, sample)) == sample
