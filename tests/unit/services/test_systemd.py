"""What systemd prints, recorded from real ones (252 of Debian 12 by default)."""

from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services import systemd

SHOWN = """\
Restart=on-failure
MainPID=508
ExecStart={ path=/opt/jupyterhub/bin/jupyterhub ; argv[]=/opt/jupyterhub/bin/jupyterhub -f /etc/hub.py ; \
ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
Environment=PATH=/opt/jupyterhub/bin:/usr/bin
EnvironmentFiles=/etc/jupyterhub/environment (ignore_errors=no)
EnvironmentFiles=/etc/default/my hub (ignore_errors=yes)
Id=jupyterhub.service
LoadState=loaded

Restart=no
Id=dbus.service
LoadState=loaded
"""


def test_each_paragraph_is_a_unit() -> None:
    hub, dbus = systemd.parse_show(SHOWN)
    assert hub["Id"] == ["jupyterhub.service"]
    assert hub["MainPID"] == ["508"]
    assert dbus == {"Restart": ["no"], "Id": ["dbus.service"], "LoadState": ["loaded"]}
    assert systemd.parse_exec_start(hub["ExecStart"]) == [
        "/opt/jupyterhub/bin/jupyterhub",
        "-f",
        "/etc/hub.py",
    ]
    assert systemd.environment_files(hub) == [
        ("/etc/jupyterhub/environment", False),
        ("/etc/default/my hub", True),
    ]


@pytest.mark.parametrize(
    ("error", "output", "files"),
    [
        ("inherit", "append:/var/log/hub.log", ["/var/log/hub.log"]),
        ("file:/var/log/hub.err", "truncate:/var/log/hub.out", ["/var/log/hub.err", "/var/log/hub.out"]),
        ("inherit", "journal", []),
    ],
)
def test_the_files_that_a_unit_writes_its_output_into(error: str, output: str, files: list[str]) -> None:
    [unit] = systemd.parse_show(f"StandardOutput={output}\nStandardError={error}\nId=jupyterhub.service\n")
    assert systemd.log_files(unit) == files


def started(argv: str, last: str = "ignore_errors=no") -> str:
    return f"{{ path=/bin/x ; argv[]={argv} ; {last} ; start_time=[n/a] ; pid=0 }}"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([started("/opt/hub/bin/jupyterhub")], ["/opt/hub/bin/jupyterhub"]),
        ([started("/opt/hub/bin/jupyterhub --debug", "flags=")], ["/opt/hub/bin/jupyterhub", "--debug"]),
        # systemd 256 quotes.
        (
            [started('/opt/hub/bin/jupyterhub -f "/etc/my hub.py"')],
            ["/opt/hub/bin/jupyterhub", "-f", "/etc/my hub.py"],
        ),
        ([started("/bin/sh -c it's")], ["/bin/sh", "-c", "it's"]),
        # Of several lines of Type=oneshot the one that runs the hub counts.
        ([started("/opt/hub/bin/jupyterhub"), started("/bin/true")], ["/opt/hub/bin/jupyterhub"]),
        ([], []),
        (["nonsense"], []),
    ],
)
def test_exec_start(values: list[str], expected: list[str]) -> None:
    assert systemd.parse_exec_start(values) == expected


def test_exec_start_over_the_bus_separates_every_argument() -> None:
    printed = (
        '{"type":"a(sasbttttuii)","data":[["/bin/bash",["/bin/bash","-lc","exec jupyterhub -f \\"/etc/my '
        'hub.py\\""],false,1795210409896710,2117575703,0,0,34,0,0]]}'
    )
    assert systemd.parse_bus_exec_start(printed) == [
        "/bin/bash",
        "-lc",
        'exec jupyterhub -f "/etc/my hub.py"',
    ]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["hub", "-f", "${CONFIG}/hub.py"], ["hub", "-f", "/etc/a b/hub.py"]),
        (["hub", "$OPTIONS"], ["hub", "--debug", "--no-ssl"]),
        (["hub", "$UNSET", "${UNSET}"], ["hub", ""]),
        (["hub", "$$HOME"], ["hub", "$HOME"]),
    ],
)
def test_variables_in_a_command_line(argv: list[str], expected: list[str]) -> None:
    environment = {"CONFIG": "/etc/a b", "OPTIONS": "--debug --no-ssl"}
    assert systemd.expand_variables(argv, environment) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nB=two words  \n", {"A": "1", "B": "two words"}),
        ("# no\n; no\n  C = 3\n", {"C": "3"}),
        ('A="x # y"\nB=\'$a "b"\'\n', {"A": "x # y", "B": '$a "b"'}),
        ('A="a \\"b\\" \\\\ \\$c"\n', {"A": 'a "b" \\ $c'}),
        ("A=one\\\ntwo\nB=x\\ y\n", {"A": "onetwo", "B": "x y"}),
        ('A="first\nsecond"\nB=1', {"A": "first\nsecond", "B": "1"}),
        ("# a comment \\\nA=still the comment\nB=1\n", {"B": "1"}),
        ("export A=1\n=2\nnothing\n", {}),
        ("A=\n", {"A": ""}),
        ("KEY=abc=def==\n", {"KEY": "abc=def=="}),
    ],
)
def test_environment_files(text: str, expected: dict[str, str]) -> None:
    assert systemd.parse_environment_file(text) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["LANG=C.UTF-8", "PATH=/usr/bin:/bin"], {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}),
        (["A=$'x\\ny'"], {"A": "x\ny"}),
        (["no assignment"], {}),
    ],
)
def test_the_managers_environment(lines: list[str], expected: dict[str, str]) -> None:
    assert systemd.parse_assignments(lines) == expected


def test_a_units_environment_as_shown_is_quoted_like_a_shell_would() -> None:
    properties = systemd.parse_show('Environment="A=b c" "Q=x\\"y" PATH=/usr/bin\nLoadState=loaded\n')[0]
    assert systemd.own_environment(properties) == {"A": "b c", "Q": 'x"y', "PATH": "/usr/bin"}


@pytest.mark.parametrize(
    ("active_state", "main_pid", "expected"),
    [
        ("active", 12, "running"),
        ("reloading", 12, "running"),
        ("activating", 12, "starting"),
        ("deactivating", 12, "stopping"),
        ("deactivating", 0, "stopped"),
        ("inactive", 0, "stopped"),
        ("failed", 0, "failed"),
    ],
)
def test_states(active_state: str, main_pid: int, expected: str) -> None:
    assert systemd.state_of(active_state, main_pid) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("jupyterhub.service", "jupyterhub_2eservice"),
        ("jupyter-hub@1.service", "jupyter_2dhub_401_2eservice"),
        ("1hub.service", "_31hub_2eservice"),
    ],
)
def test_names_on_the_bus(name: str, expected: str) -> None:
    assert systemd.bus_label(name) == expected
