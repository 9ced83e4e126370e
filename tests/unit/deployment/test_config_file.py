"""The line of a config that names the hub's database: found, shown and changed, or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import config_file
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

OLD = "sqlite:///jupyterhub.sqlite"
NEW = "postgresql://hub:it's \"s€cret@db/hub"
BEFORE = "c = get_config()  # noqa\n# Größe\n"
AFTER = "c.JupyterHub.port = 8000\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "jupyterhub_config.py"


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        (f"c.JupyterHub.db_url = '{OLD}'\n", f"c.JupyterHub.db_url = {ascii(NEW)}\n"),
        (f'é = c.JupyterHub.db_url = "{OLD}"; x = 1\n', f"é = c.JupyterHub.db_url = {ascii(NEW)}; x = 1\n"),
        (
            "if True:\n    c.JupyterHub.db_url = (\n        'sqlite:///'\n        'jupyterhub.sqlite')\r\n",
            f"if True:\n    c.JupyterHub.db_url = (\n        {ascii(NEW)})\r\n",
        ),
        (
            f'get_config().JupyterHub.db_url = """{OLD}"""\n',
            f"get_config().JupyterHub.db_url = {ascii(NEW)}\n",
        ),
    ],
)
def test_the_line_is_changed_and_nothing_else(config: Path, line: str, changed: str) -> None:
    config.write_bytes((BEFORE + line + AFTER).encode())
    config.chmod(0o640)
    os.chown(config, 65534, 65534)

    config_file.find([str(config)], OLD, ["db_url", "port"]).write(NEW)

    assert config.read_bytes().decode() == BEFORE + changed + AFTER
    values: dict[str, object] = {}
    exec(changed.strip(), {"c": Names(values), "get_config": lambda: Names(values)})
    assert values["db_url"] == NEW
    found = config.stat()
    assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (0o640, 65534, 65534)
    assert list(config.parent.iterdir()) == [config]


class Names:
    """Takes what a config assigns."""

    def __init__(self, values: dict[str, object]) -> None:
        self.__dict__["values"] = values

    def __getattr__(self, _name: str) -> Names:
        return self

    def __setattr__(self, name: str, value: object) -> None:
        self.__dict__["values"][name] = value


def test_a_link_stays_and_an_included_file_is_changed(config: Path, tmp_path: Path) -> None:
    included, real = tmp_path / "database.py", tmp_path / "real.py"
    config.write_text("load_subconfig('database.py')\n")
    real.write_text(f"c.JupyterHub.db_url = '{OLD}'\n")
    included.symlink_to(real)
    config_file.find([str(config), str(included)], OLD, ["db_url"]).write(NEW)
    assert included.is_symlink()
    assert real.read_text() == f"c.JupyterHub.db_url = {ascii(NEW)}\n"


def test_no_password_is_shown(config: Path) -> None:
    old = "postgresql://hub:older@db/hub"
    config.write_text(f"secret = 'x'\nc.JupyterHub.db_url = '{old}'  # here\nsecret = 'y'\n")
    line = config_file.find([str(config)], "postgresql://hub:***@db/hub", ["db_url"])
    assert line.diff("postgresql://hub:newer@other/hub").splitlines() == [
        f"--- {config}",
        f"+++ {config}",
        "@@ -2 +2 @@",
        "-c.JupyterHub.db_url = 'postgresql://hub:***@db/hub'  # here",
        "+c.JupyterHub.db_url = 'postgresql://hub:***@other/hub'  # here",
    ]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            "import os\nc.JupyterHub.db_url = os.environ['DB']\n",
            ["db_url"],
            "at .*:2, but comes from the env",
        ),
        (
            "c.JupyterHub.db_url = f'sqlite:///{x}'\n",
            ["db_url"],
            "at .*:1, but comes from the env.* or from code",
        ),
        (f"c.JupyterHub.db_url = '{OLD}'\n" * 2, ["db_url"], "set at 2 places: .*:1, .*:2"),
        (
            "c.JupyterHub.db_url = 'sqlite:///other'\n",
            ["db_url"],
            "is sqlite:///other at .*:1, but .* is sqlite",
        ),
        (
            "setattr(c.JupyterHub, 'db_url', x)\n",
            ["db_url"],
            "set, but by no assignment in .*jupyterhub_config",
        ),
        ("c.JupyterHub.port = 1\n", ["port"], "No config file sets c.JupyterHub.db_url.* Write the present"),
        ("c.JupyterHub.db_url += 'x'\n", ["db_url"], "by no assignment"),
        (f"# -*- coding: latin-1 -*-\né = c.JupyterHub.db_url = '{OLD}'\n", ["db_url"], "is not in UTF-8"),
        (f"\ufeffc.JupyterHub.db_url = '{OLD}'\n", ["db_url"], "is not in UTF-8"),
    ],
)
def test_what_cannot_be_changed_is_refused(
    config: Path, content: str, options: list[str], message: str
) -> None:
    encoding = "latin-1" if "latin-1" in content else "utf-8"
    config.write_text(content, encoding=encoding)
    with pytest.raises(HubError, match=message):
        config_file.find([str(config)], OLD, options)
    assert config.read_text(encoding=encoding) == content


def test_the_value_of_a_file_that_is_no_python_is_not_known(tmp_path: Path) -> None:
    for content in ('{"JupyterHub": {"db_url": "x"}}', "c.JupyterHub.db_url = 'a'\n(", ""):
        (tmp_path / "config").write_text(content)
        assert config_file.value_in(tmp_path / "config") == ""
    assert config_file.value_in(tmp_path / "missing") == ""
