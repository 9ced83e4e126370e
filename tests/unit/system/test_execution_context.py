from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import (
    ExecutionContext,
    account,
    group_name,
)

from tests import REPOSITORY


@pytest.fixture
def mine(tmp_path: Path) -> ExecutionContext:
    me = pwd.getpwuid(os.geteuid())
    environment = {"PATH": "/usr/bin:/bin", "TOKEN": "a secret"}
    return ExecutionContext(
        me.pw_name, me.pw_uid, me.pw_gid, (me.pw_gid,), me.pw_dir, str(tmp_path), environment
    )


def test_a_program_gets_directory_environment_and_umask_exactly(mine: ExecutionContext) -> None:
    done = replace(mine, umask=0o027).run(["sh", "-c", "pwd; umask; env | sort; cat"], input="text")
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if not line.startswith("PWD=")] == [
        mine.directory,
        "0027",
        "PATH=/usr/bin:/bin",
        "TOKEN=a secret",
        "text",
    ]


def test_an_exit_status_is_no_error(mine: ExecutionContext) -> None:
    done = mine.run(["sh", "-c", "echo no >&2; exit 3"])
    assert (done.returncode, done.stderr) == (3, "no\n")


def test_a_program_can_be_started_and_talked_to(mine: ExecutionContext) -> None:
    process = mine.start(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.communicate("word")[0] == "word"


def test_secrets_are_not_shown(mine: ExecutionContext) -> None:
    assert "a secret" not in repr(mine)


def test_a_program_that_does_not_end_is_ended(mine: ExecutionContext) -> None:
    with pytest.raises(HubError, match="sleep did not end within 0.1 seconds."):
        mine.run(["sleep", "60"], timeout=0.1)


def test_a_program_that_is_not_there(mine: ExecutionContext) -> None:
    with pytest.raises(HubError, match=r"jupyterhubb was not found on the service's PATH \(/usr/bin:/bin\)."):
        mine.run(["jupyterhubb"])


def test_a_directory_that_is_not_there(mine: ExecutionContext) -> None:
    with pytest.raises(HubError, match="The working directory /nowhere of the service does not exist"):
        replace(mine, directory="/nowhere").run(["true"])


def test_another_user(mine: ExecutionContext, tmp_path: Path) -> None:
    nobody = account("nobody").context("/", mine.environment)
    if os.geteuid() == 0:
        said = nobody.run(["id"]).stdout
        assert said == subprocess.run(["id", "nobody"], stdout=subprocess.PIPE, text=True, check=True).stdout
    else:
        with pytest.raises(
            HubError, match="The hub runs as user nobody, and only root can act as that user."
        ):
            nobody.run(["id"])


def test_without_root_the_message_has_the_remedy(mine: ExecutionContext) -> None:
    # Seen from an unprivileged process, also where the tests run as root.
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from ansible_collections.hubops.jupyterhub.plugins.module_utils.system "
        "import execution_context\n"
        "os.geteuid() or os.setuid(65534)\n"
        "try: execution_context.ExecutionContext('root', 0, 0, (0,), '/', '/', {}).run(['true'])\n"
        "except Exception as error: print(error)\n"
    )
    collections = REPOSITORY / ".collections"
    done = subprocess.run(["/usr/bin/python3", "-c", program, collections], stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == (
        "The hub runs as user root, and only root can act as that user. Run the task as root: "
        "set `ansible_become: true` for the host, or use `ansible-playbook -b`."
    )


def test_accounts_by_name_and_by_number() -> None:
    by_name = account("root")
    assert account("0") == by_name
    assert by_name.uid == 0 and by_name.gid == 0 and 0 in by_name.groups
    assert account("root", "nogroup", ["daemon"]).gid == account("nobody").gid
    assert group_name(0) == "root"
    assert group_name(987654) == "987654"


@pytest.mark.parametrize(
    ("user", "group", "message"),
    [
        ("no-such-user", "", "The service's user no-such-user does not exist on this host."),
        ("root", "no-such-group", "The service's group no-such-group does not exist on this host."),
    ],
)
def test_accounts_that_do_not_exist(user: str, group: str, message: str) -> None:
    with pytest.raises(HubError, match=message):
        account(user, group)
