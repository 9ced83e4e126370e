"""A port on which nothing listens for a moment, as the kernel of this machine has it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import firewall
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.firewall import waiting_connections

from tests.hubs.real_hub import free_ports


def test_a_connection_waits_for_whoever_listens_next() -> None:
    [port] = free_ports(1)
    with socket.socket() as listener, waiting_connections(port) as waits:
        assert waits, "nftables are missing, or the right to use them: tools/firewall"
        listener.bind(("127.0.0.1", port))
        timer = threading.Timer(0.2, listener.listen)
        timer.start()
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
        timer.join()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_request_waits_although_its_connection_is_made(size: int) -> None:
    """A proxy that listens already, and has no routes yet, is not asked."""
    [port] = free_ports(1)
    with socket.create_server(("127.0.0.1", port)) as listener, waiting_connections(port) as waiting:
        assert waiting, "nftables are missing, or the right to use them: tools/firewall"
        with waiting.requests():
            client = socket.create_connection(("127.0.0.1", port), timeout=60)
            server, _address = listener.accept()
            sender = threading.Thread(target=client.sendall, args=[b"x" * size])
            sender.start()
            server.settimeout(0.5)
            with pytest.raises(TimeoutError):
                server.recv(1)
        server.settimeout(60)
        received = 0
        while received < size:
            received += len(server.recv(size))
        sender.join()
        client.close()
        server.close()


def test_it_ends_with_a_process_that_is_killed() -> None:
    [port] = free_ports(1)
    child = os.fork()
    if child == 0:
        with waiting_connections(port):
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    deadline = time.monotonic() + 60
    while f"hubops_{child}_" in subprocess.check_output(["nft", "list", "tables"], text=True):
        assert time.monotonic() < deadline
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_without_the_right_to_it_the_answer_is_no() -> None:
    ask = (
        "import runpy, sys\nwith runpy.run_path(sys.argv[1])['waiting_connections'](1) as waits: print(waits)"
    )
    argv = ["setpriv", "--bounding-set=-net_admin", sys.executable, "-c", ask, str(firewall.__file__)]
    assert subprocess.check_output(argv, text=True).strip() == "None"
