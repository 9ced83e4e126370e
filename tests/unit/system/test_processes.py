from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import (
    Process,
    age,
    family,
    process_of,
)


def test_a_process_that_executes_another_program_is_there_all_the_time(tmp_path: Path) -> None:
    script = tmp_path / "again"
    script.write_text('#!/bin/sh\nexec "$0"\n')
    script.chmod(0o755)
    with subprocess.Popen([script]) as running:
        missed = sum(process_of(running.pid) is None for _look in range(20000))
        running.kill()
    assert missed == 0


def test_what_has_ended_is_no_process() -> None:
    with subprocess.Popen(["true"]) as ended:
        # It has ended, and waits to be reaped.
        while Path(f"/proc/{ended.pid}/stat").read_text().split()[2] != "Z":
            pass
        assert process_of(ended.pid) is None
    assert process_of(ended.pid) is None


def test_a_thread_of_the_kernel_is_no_process() -> None:
    kernel = [path for path in Path("/proc").glob("[0-9]*/stat") if path.read_text().split()[3] in ("0", "2")]
    threads = [int(path.parent.name) for path in kernel if int(path.parent.name) != 1]
    assert [pid for pid in threads if process_of(pid)] == []


def test_the_age_of_a_process_that_may_have_ended() -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    assert age(ended.pid) == 0.0
    assert 0 < age(os.getpid()) < age(1) + 1


def test_children_of_every_thread_belong_to_the_family() -> None:
    program = (
        "import subprocess, sys, threading\n"
        "start = lambda: print(subprocess.Popen(['sleep', '60']).pid, flush=True)\n"
        "thread = threading.Thread(target=lambda: (start(), sys.stdin.read()))\n"
        "thread.start()\n"
    )
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        try:
            assert [each.pid for each in family(parent.pid)] == [parent.pid, child]
        finally:
            os.kill(child, 15)
            parent.kill()


def test_what_a_process_was_started_with(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path, env={"SITE": "ours"}) as running:
        process = process_of(running.pid)
        assert process == Process(running.pid, ["sleep", "60"])
        assert (process.directory(), process.environment()) == (str(tmp_path), {"SITE": "ours"})
        assert process.user() == os.geteuid()
        running.kill()
