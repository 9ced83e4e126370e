from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import process_of


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
