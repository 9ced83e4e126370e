"""Which images users' servers start from, and which JupyterHub a hub of the target needs in them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub_scripts.rehearsed_app import images_in
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import single_user_images as images
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import Server
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.single_user_images import (
    SingleUserImage,
)

PROFILES: list[dict[str, Any]] = [
    {"display_name": "Small"},
    {
        "display_name": "R",
        "kubespawner_override": {"image": "r:1", "extra_containers": [{"image": "side:1"}]},
    },
    {
        "display_name": "Python",
        "profile_options": {
            "image": {
                "unlisted_choice": {"enabled": True, "kubespawner_override": {"image": "{value}"}},
                "choices": {"old": {"kubespawner_override": {"image": "python:1"}}},
            }
        },
    },
]
VALUES = {"singleuser": {"image": {"name": "base", "tag": "2"}, "profileList": PROFILES, "uid": 1000}}


def test_the_images_of_the_values_are_the_default_and_the_choices() -> None:
    assert images.named(VALUES) == ["base:2", "r:1", "python:1"]
    config = {"hub": {"config": {"KubeSpawner": {"image": "other:3"}}}}
    assert images.named({**VALUES, **config}) == ["other:3", "r:1", "python:1"]


def test_the_images_of_a_loaded_config_are_the_default_and_the_choices() -> None:
    assert [*images_in({"profile_list": PROFILES, "image": "base:2"})] == ["base:2", "r:1", "python:1"]
    assert [*images_in({"profile_list": lambda _spawner: PROFILES})] == []


def test_what_runs_in_an_image_has_no_rights_and_no_network() -> None:
    job, policy = images.manifests("job", "label", ["base:2", "r:1"], [], VALUES, 60)
    pod = job["spec"]["template"]["spec"]
    assert [each["image"] for each in pod["containers"]] == ["base:2", "r:1"]
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["runAsUser"] == 1000
        assert "volumeMounts" not in container
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod_labels(job).items()
    assert (policy["spec"]["ingress"], policy["spec"]["egress"]) == ([], [])


def pod_labels(job: dict[str, Any]) -> dict[str, str]:
    return dict(job["spec"]["template"]["metadata"]["labels"])


@pytest.mark.parametrize(
    ("image", "ids"),
    [
        (SingleUserImage("a", "5.4.6"), []),
        (SingleUserImage("a", "5.2.0"), ["single-user-image-release"]),
        (SingleUserImage("a", "4.1.6"), ["single-user-image-version"]),
        (SingleUserImage("a", "6.0.0"), ["single-user-image-version"]),
        (SingleUserImage("a", problem="ErrImagePull", missing=True), ["single-user-image-missing"]),
        (SingleUserImage("a", problem="it has no jupyterhub-singleuser"), ["single-user-image-unknown"]),
    ],
)
def test_an_image_is_judged_by_its_jupyterhub(image: SingleUserImage, ids: list[str]) -> None:
    assert [each.id for each in images.judge([image], "5.4.6")] == ids


def test_an_image_that_only_some_choose_and_that_is_missing_is_a_warning() -> None:
    missing = SingleUserImage("b:1", problem="ErrImagePull", missing=True)
    [found] = images.judge([SingleUserImage("a", "5.4.6"), missing], "5.4.6")
    assert (found.id, found.severity) == ("single-user-image-unknown", "warning")
    assert "b:1 (ErrImagePull)" in found.found


ONE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.mark.parametrize(
    ("running", "looked_at", "users"),
    [
        (ONE, ONE, []),
        (OTHER, ONE, ["ada"]),
        # Of what is not known nothing is said: a server that starts, an image that could not be had.
        ("", ONE, []),
        (OTHER, "", []),
    ],
)
def test_servers_of_an_image_that_was_pushed_again_are_named(
    running: str, looked_at: str, users: list[str]
) -> None:
    servers = [
        Server("ada", "", "jupyter-ada", image="base:2", digest=running),
        Server("bob", "", "jupyter-bob", image="base:1", digest=OTHER),
    ]
    found = [*images.moved([SingleUserImage("base:2", "5.4.6", looked_at)], servers)]
    assert [each.found.rpartition(": ")[2] for each in found] == [f"{user}." for user in users]
    for each in found:
        assert (each.id, each.severity) == ("single-user-image-moved", "warning")
        assert f"base:2 is {looked_at} now" in each.found


def test_the_interpreter_of_the_program_is_asked_not_the_first_on_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {
        "own-python": "#!/bin/sh\necho 5.4.6\n",
        "python3": "#!/bin/sh\necho 1.0\n",
        "jupyterhub-singleuser": f"#!{folder}/own-python\n",
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)

    def asked() -> tuple[int, str]:
        argv = ["/bin/sh", "-c", images.READ, images.PRINT]
        done = subprocess.run(argv, env={"PATH": str(folder)}, capture_output=True, text=True)
        return done.returncode, done.stdout.strip()

    assert asked() == (0, "5.4.6")
    (folder / "jupyterhub-singleuser").unlink()
    assert asked() == (1, "it has no jupyterhub-singleuser")
