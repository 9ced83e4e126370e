from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services import supervisord
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import find_services
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.supervisord import (
    Supervisor,
    SupervisordProgram,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import is_alive, process_of

from tests.hubs.real_hub import environment, free_ports, supervise


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("supervisord")
    for name, trap in {"good": "", "deaf": "trap '' TERM"}.items():
        (folder / name).mkdir()
        (folder / name / "jupyterhub").write_text(f"#!/bin/sh\n{trap}\necho serving\nexec sleep 1000\n")
        (folder / name / "jupyterhub").chmod(0o755)
    (folder / "conf.d").mkdir()
    (folder / "supervisord.conf").write_text(
        f"[supervisord]\nlogfile={folder}/supervisord.log\npidfile={folder}/supervisord.pid\n"
        'environment=SHARED="from, supervisord",OWN="shared"\numask=027\n'
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        "[unix_http_server]\nfile=%(here)s/s.sock\nusername=me\npassword=p@ss%%:word\n"
        "[include]\nfiles=%(ENV_FRAGMENTS)s/*.conf\n"
    )
    (folder / "conf.d" / "hubs.conf").write_text(
        "[program:good]\ncommand=%(here)s/../good/jupyterhub -f %(program_name)s.py ; the hub\n"
        'directory=%(here)s/..\nenvironment=OWN="it\'s 100%%",PATH="%(here)s:/usr/bin:/bin"\n'
        "redirect_stderr=true\nstdout_logfile=%(here)s/../good.log\nautostart=false\nautorestart=true\n"
        "[program:deaf]\ncommand=%(here)s/../deaf/jupyterhub\nautostart=false\nstopwaitsecs=60\n"
        "[program:absent]\ncommand=%(here)s/../absent/jupyterhub\nautostart=false\n"
        "[program:other]\ncommand=/bin/sleep 1000\nautostart=false\n"
        "[group:teaching]\nprograms=deaf,absent\n"
    )
    with supervise(folder, {"FRAGMENTS": str(folder / "conf.d"), "SECRET": "a secret"}):
        yield folder


def program(folder: Path, name: str) -> SupervisordProgram:
    return SupervisordProgram(folder / "supervisord.conf", name)


def wait_until_serving(service: SupervisordProgram, mark: str) -> None:
    deadline = time.monotonic() + 10
    while service.log_since(mark) != ["serving"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_programs_that_run_hubs_are_found(folder: Path) -> None:
    found = [service for service in supervisord.SupervisordProgram.find() if service.config.parent == folder]
    assert [service.name for service in found] == ["good", "teaching:deaf", "teaching:absent"]
    assert [service.deployment_name for service in found] == ["good", "deaf", "absent"]


def test_a_supervisord_that_is_starting_a_program_is_one(tmp_path: Path) -> None:
    """Between fork and exec its child has the same command line: here for as long as the test needs it."""
    config = tmp_path / "supervisord.conf"
    config.write_text("[supervisord]\n")
    script = tmp_path / "supervisord"
    script.write_text("import os, signal\nif os.fork():\n    print('forked', flush=True)\nsignal.pause()\n")
    argv = [sys.executable, str(script), "-c", str(config)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout and process.stdout.readline()
        try:
            found = [each.pid for each in supervisord.running_supervisors() if each.config == config]
            assert found == [process.pid]
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_hub_is_found_by_either_name(folder: Path) -> None:
    for name in ("deaf", "teaching:deaf"):
        assert [service.name for service in find_services(name)] == ["teaching:deaf"]


def test_what_a_program_gets(folder: Path) -> None:
    context = program(folder, "good").context()
    environment = context.environment
    assert environment["SHARED"] == "from, supervisord"
    assert environment["OWN"] == "it's 100%"
    assert environment["SECRET"] == "a secret"
    assert environment["SUPERVISOR_PROCESS_NAME"] == environment["SUPERVISOR_GROUP_NAME"] == "good"
    assert environment["SUPERVISOR_SERVER_URL"] == f"unix://{folder}/s.sock"
    assert context.user == pwd.getpwuid(os.geteuid()).pw_name
    assert os.path.samefile(context.directory, folder)
    assert context.umask == 0o027


def test_a_running_hub_really_has_that_execution_context(folder: Path) -> None:
    service = program(folder, "good")
    mark = service.log_mark()
    service.start()
    wait_until_serving(service, mark)
    process = process_of(service.main_pid() or 0)
    while process and process.argv[0] != "sleep":  # the shell has spoken, and is about to execute it
        process = process_of(process.pid)
    assert process is not None
    directory, environment = process.directory(), process.environment()
    service.stop(10)
    assert os.path.samefile(directory, service.context().directory)
    # The shell of this "hub" may have set it.
    environment.pop("PWD", None)
    assert environment == {
        name: value for name, value in service.context().environment.items() if name != "PWD"
    }


def test_facts_of_a_program(folder: Path) -> None:
    facts = program(folder, "good").facts()
    assert facts.command == [f"{folder}/conf.d/../good/jupyterhub", "-f", "good.py"]
    assert facts.unit_file == f"{folder}/conf.d/hubs.conf"
    assert facts.manager_files == [f"{folder}/supervisord.conf"]
    assert facts.particulars == {"config": f"{folder}/supervisord.conf", "url": f"unix://{folder}/s.sock"}
    assert facts.enabled is False
    assert (facts.state, facts.main_pid) == ("stopped", None)
    assert "SECRET" in facts.environment_names
    assert "a secret" not in str(facts) and "p@ss" not in str(facts)


def test_start_and_stop(folder: Path) -> None:
    service = program(folder, "good")
    mark = service.log_mark()
    service.start()
    assert service.state() in ("starting", "running")
    pid = service.main_pid()
    assert pid is not None and is_alive(pid)
    service.start()
    assert service.main_pid() == pid
    wait_until_serving(service, mark)
    service.stop(10)
    assert not is_alive(pid)
    assert (service.state(), service.main_pid()) == ("stopped", None)
    service.stop(10)


def test_a_log_that_was_rotated_loses_no_line(folder: Path) -> None:
    service = program(folder, "good")
    mark = service.log_mark()
    service.start()
    # A signal that comes before supervisord's child has become the program is lost.
    wait_until_serving(service, mark)
    service.stop(10)
    log = folder / "good.log"
    mark = service.log_mark()
    with log.open("a") as file:
        file.write("late\n")
    log.rename(folder / "good.log.1")
    log.write_text("early\n")
    assert service.log_since(mark) == ["late", "early"]


def test_a_hub_that_does_not_stop(folder: Path) -> None:
    service = program(folder, "teaching:deaf")
    mark = service.log_mark()
    service.start()
    pid = service.main_pid()
    assert pid is not None
    wait_until_serving(service, mark)
    with pytest.raises(HubError, match="teaching:deaf did not stop within 0.3 seconds; it is STOPPING."):
        service.stop(0.3)
    assert service.state() == "stopping"
    service.kill()
    service.stop(10)
    assert not is_alive(pid)


def test_a_hub_that_cannot_be_started(folder: Path) -> None:
    service = program(folder, "teaching:absent")
    with pytest.raises(HubError, match="supervisord could not start teaching:absent: NO_FILE"):
        service.start()
    service.stop(10)
    assert service.main_pid() is None


def test_a_hold_is_a_file_with_its_reason(folder: Path) -> None:
    service, hold = program(folder, "good"), folder / "state" / "good" / "hold"
    service.install_hold(hold)
    service.hold("upgrade to 6.1.1", hold)
    assert hold.read_text() == "upgrade to 6.1.1\n"
    service.release(hold)
    assert not hold.exists()
    service.release(hold)


def test_a_program_that_is_not_in_the_config(folder: Path) -> None:
    with pytest.raises(HubError, match=f"{folder}/supervisord.conf has no program nope."):
        program(folder, "nope").state()


def test_a_supervisord_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=f"No supervisord runs with {tmp_path}/supervisord.conf."):
        program(tmp_path, "good").state()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["supervisord", "-c", "a.conf"], "a.conf"),
        (["python", "/opt/bin/supervisord", "--configuration", "/a.conf", "-n"], "/a.conf"),
        (["supervisord", "--configuration=/a.conf"], "/a.conf"),
        (["supervisord", "-n", "-ca.conf"], "a.conf"),
        (["supervisord", "-n"], "supervisord.conf"),
    ],
)
def test_the_config_that_a_supervisord_uses(tmp_path: Path, argv: list[str], expected: str) -> None:
    (tmp_path / "supervisord.conf").touch()
    assert supervisord.config_of(argv, str(tmp_path)) == expected


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("[inet_http_server]\nport=9001\n", "http://127.0.0.1:9001"),
        ("[inet_http_server]\nport=*:9001\nusername=a\npassword=b\n", "http://127.0.0.1:9001"),
        ("[inet_http_server]\nport=10.0.0.1:9001\n", "http://10.0.0.1:9001"),
        ("[unix_http_server]\nfile=%(here)s/x.sock ; socket\n", "unix://{here}/x.sock"),
    ],
)
def test_where_a_supervisord_answers(tmp_path: Path, server: str, url: str) -> None:
    assert configured(tmp_path, server).url() == url.format(here=tmp_path)


def test_a_supervisord_that_answers_nowhere(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"cannot be reached. Give it a \[unix_http_server\] section"):
        configured(tmp_path, "").url()


def test_a_name_without_a_value(tmp_path: Path) -> None:
    supervisor = configured(tmp_path, "[program:hub]\ncommand=%(ENV_BIN)s/jupyterhub\n")
    [found] = supervisord.programs_of(supervisor)
    with pytest.raises(HubError, match=r"command of \[program:hub\] cannot be expanded: 'ENV_BIN'"):
        found.command()


def configured(folder: Path, text: str) -> Supervisor:
    config = folder / "supervisord.conf"
    config.write_text(f"[supervisord]\n{text}")
    sections, files = supervisord.read_config(config, {})
    return Supervisor(1, 0, str(folder), config, {}, sections, files)


@pytest.mark.parametrize(
    ("name", "exit_status", "expected"),
    [
        ("RUNNING", 0, "running"),
        ("STOPPING", 0, "stopping"),
        ("STARTING", 0, "starting"),
        ("BACKOFF", 0, "starting"),
        ("FATAL", 0, "failed"),
        ("EXITED", 1, "failed"),
        ("EXITED", 0, "stopped"),
        ("STOPPED", 0, "stopped"),
    ],
)
def test_states(name: str, exit_status: int, expected: str) -> None:
    assert supervisord.state_of({"statename": name, "exitstatus": exit_status}) == expected


def test_a_supervisord_in_another_managers_service(tmp_path: Path) -> None:
    """As Debian's is in a unit of systemd: the hub is a program of its own, and not what runs supervisord."""
    (tmp_path / "jupyterhub").write_text(
        f"#!{sys.executable}\nimport signal\nprint('serving', flush=True)\nsignal.pause()\n"
    )
    (tmp_path / "jupyterhub").chmod(0o755)
    config = tmp_path / "supervisord.conf"
    config.write_text(
        f"[supervisord]\nlogfile={tmp_path}/supervisord.log\npidfile={tmp_path}/supervisord.pid\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[inet_http_server]\nport=127.0.0.1:{free_ports(1)[0]}\nusername=me\npassword=p@ss\n"
        f"[unix_http_server]\nfile={tmp_path}/s.sock\n"
        f"[program:inner]\ncommand={environment('4.1.6')}/bin/supervisord -n -c {tmp_path}/inner.conf\n"
    )
    (tmp_path / "inner.conf").write_text(
        f"[supervisord]\nlogfile={tmp_path}/inner.log\npidfile={tmp_path}/inner.pid\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[inet_http_server]\nport=127.0.0.1:{free_ports(1)[0]}\nusername=me\npassword=p@ss\n"
        f"[program:nested]\ncommand={tmp_path}/jupyterhub\nstdout_logfile={tmp_path}/nested.log\n"
        "[group:teaching]\nprograms=nested\n"
    )
    with supervise(tmp_path):
        deadline = time.monotonic() + 20
        while (
            not (tmp_path / "nested.log").exists() or "serving" not in (tmp_path / "nested.log").read_text()
        ):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        found = [each for each in find_services() if each.name in ("inner", "teaching:nested")]
        assert [each.name for each in found] == ["teaching:nested"]
