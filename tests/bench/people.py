"""What people notice of an upgrade who compute meanwhile, against the documented procedure.

``python -m tests.bench.people [CASE ...]`` prints the figures, and writes ``build/people.json``.

Five people with ten kernels each, on a hub of this machine under supervisord, are upgraded from 4.1.6 to
6.1.1 with their servers kept, behind the hub's own proxy and behind an external one. A page of the hub and a
person's server are asked every 20 ms. One kernel counts aloud over a websocket, which is opened again when
it breaks. The others have a variable each; a kernel that does not know it any more is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import (
    api,
    kernels,
    running_servers,
    websocket,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub.running_servers import RunningServer
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.running_servers import KEEP
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of

from tests.hubs.real_hub import build, free_ports, requirements, running_hub
from tests.hubs.recovery.staged_hub import NEW, OLD, Hub
from tests.hubs.recovery.test_hold_page import CONFIG as EXTERNAL
from tests.hubs.recovery.test_hold_page import external_proxy
from tests.hubs.recovery.watching import Sample, refused, watching

RESULT = Path(__file__).resolve().parents[2] / "build" / "people.json"
START_SECONDS = 300.0
#: After which a websocket is closed, longer than any case takes.
LISTEN_SECONDS = 7200.0
#: For how long the new hub is observed besides.
AFTER_SECONDS = 5.0
TOKEN = "a-token-of-the-measurement"
CONFIG = """
c.Spawner.args = ARGUMENTS
c.SimpleLocalProcessSpawner.home_dir_template = "FOLDER/home/{username}"
c.Authenticator.allow_all = True
c.JupyterHub.services = [{"name": "measurement", "api_token": "TOKEN"}]
scopes = ["list:users", "servers", "access:servers"]
c.JupyterHub.load_roles = [{"name": "measurement", "services": ["measurement"], "scopes": scopes}]
"""
COUNT = "import time\nfor number in range(10**9):\n    print(number, flush=True)\n    time.sleep(0.02)"


@dataclass(frozen=True)
class Kernel:
    """A kernel of a person's server."""

    server_url: str
    id: str

    def execute(self, code: str) -> str:
        """The result of a piece of code. Raises HubError where there is none."""
        address = kernels.channels(self.server_url, self.id)
        with websocket.connected(address, TOKEN, START_SECONDS) as socket:
            return kernels.execute(socket, code)

    def is_lost(self) -> bool:
        """Whether it does not know the variable any more that it was given."""
        try:
            if api.ask(f"{self.server_url}/api/kernels/{self.id}", TOKEN).status != 200:
                return True
            return self.execute("mine") != repr(self.id)
        except HubError:
            return True


class Listener:
    """Somebody who sees a kernel count, and connects again whenever the connection has gone."""

    def __init__(self, kernel: Kernel) -> None:
        self.address = kernels.channels(kernel.server_url, kernel.id)
        self.heard: list[float] = []
        self.connections = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()

    def wait_for_more(self) -> None:
        """Wait until something is heard."""
        deadline, known = time.monotonic() + START_SECONDS, len(self.heard)
        while len(self.heard) == known:
            assert time.monotonic() < deadline, "The kernel says nothing."
            time.sleep(0.02)

    def _listen(self) -> None:
        while not self._end.wait(0.02):
            with suppress(HubError), websocket.connected(self.address, TOKEN, LISTEN_SECONDS) as connection:
                self.connections += 1
                if self.connections == 1:
                    connection.send(json.dumps(kernels.execution(COUNT)))
                while not self._end.is_set():
                    if json.loads(connection.receive())["header"]["msg_type"] == "stream":
                        self.heard.append(time.monotonic())

    def silence(self) -> float:
        """The longest time in which nothing was heard, seconds."""
        return max(later - earlier for earlier, later in zip(self.heard, self.heard[1:]))


def wait_for_the_log_in(samples: list[Sample], page: str) -> None:
    """Wait until a page that is asked from now on is there."""
    began = time.monotonic()
    while not any(each.began > began and each.status == 200 for each in samples if each.path == page):
        assert time.monotonic() < began + START_SECONDS, "Nobody can log in."
        time.sleep(0.1)


def unreached(samples: list[Sample], path: str) -> float:
    """The longest time from one good answer for a path to the next, seconds."""
    good = [sample for sample in samples if sample.status == 200 and sample.path == path]
    return max(later.ended - earlier.ended for earlier, later in zip(good, good[1:]))


def upgrade(deployment: Deployment, folder: Path) -> Callable[[], None]:
    """Stage it; what it then does, as `upgrade.yml` has it, from the stop to the verified hub."""
    hub = Hub(deployment, folder)

    def perform() -> None:
        run_id = hub.arm(running_servers=KEEP)
        assert hub.conduct(run_id).phase == journal.VERIFIED
        rollback.accept(hub.folder, run_id)

    return perform


def follow_the_documentation(deployment: Deployment, _folder: Path) -> Callable[[], None]:
    """Stop, install, upgrade the database, start."""
    service, place = service_of(deployment.service), deployment.hub_environment.path
    config = str(deployment.config.file)

    def perform() -> None:
        service.stop(START_SECONDS)
        install = ["uv", "pip", "install", "--quiet", "--python", f"{place}/bin/python", *requirements(NEW)]
        subprocess.run(install, check=True)
        migrate = [f"{place}/bin/jupyterhub", "upgrade-db", "-f", config]
        variables = {**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}"}
        subprocess.run(migrate, check=True, cwd=Path(config).parent, env=variables, stderr=subprocess.DEVNULL)
        service.start()
        lifecycle.wait_for_version(service, deployment.config.hub_api_url, NEW, START_SECONDS, "")

    return perform


#: The proxy and the procedure of each.
CASES = {
    "managed-upgrade": ("managed", upgrade),
    "external-upgrade": ("external", upgrade),
    "managed-documented": ("managed", follow_the_documentation),
    "external-documented": ("external", follow_the_documentation),
}


@contextmanager
def hub_behind(proxy: str, folder: Path) -> Iterator[Deployment]:
    """A hub with what its users' servers need, behind a proxy of that kind."""
    place, arguments = folder / "environment", ["--allow-root"] if os.geteuid() == 0 else []
    config = (
        CONFIG.replace("FOLDER", str(folder)).replace("TOKEN", TOKEN).replace("ARGUMENTS", str(arguments))
    )
    build(place, OLD, "jupyter-server", "ipykernel")
    with ExitStack() as stack:
        if proxy == "external":
            port, api_port = free_ports(2)
            config += EXTERNAL.format(port=port, api_port=api_port)
            log = stack.enter_context((folder / "proxy.log").open("wb"))
            stack.enter_context(external_proxy(place, port, api_port, log))
        yield stack.enter_context(running_hub(OLD, folder, place=place, config=config))


def start_kernels(deployment: Deployment, people: int, each: int) -> list[Kernel]:
    """Start the servers of people, and kernels in them, each of which has a variable of its own."""
    servers = [RunningServer(f"user{number}", "", f"/user/user{number}/") for number in range(people)]
    missing = running_servers.start(deployment.config.hub_api_url, TOKEN, servers, START_SECONDS)
    assert not missing, missing

    started = []
    for server in servers:
        url = f"{deployment.config.public_url.rstrip('/')}{server.path}".rstrip("/")
        for _number in range(each):
            answer = api.ask(f"{url}/api/kernels", TOKEN, "POST", {}, timeout=START_SECONDS)
            assert answer.status == 201, str(answer)
            kernel = Kernel(url, str(answer.body["id"]))
            assert kernel.execute(f"mine = {kernel.id!r}; mine") == repr(kernel.id)
            started.append(kernel)
    return started


def measure(case: str, people: int, each: int) -> dict[str, Any]:
    """Upgrade a hub, and say what its people have noticed."""
    proxy, procedure = CASES[case]
    with tempfile.TemporaryDirectory() as temporary, hub_behind(proxy, Path(temporary)) as deployment:
        perform = procedure(deployment, Path(temporary))
        first, *others = start_kernels(deployment, people, each)
        port = urllib.parse.urlsplit(deployment.config.public_url).port or 80
        page, server = "/hub/login", f"{urllib.parse.urlsplit(first.server_url).path}/api"
        with Listener(first) as listener:
            with watching(port, page, server) as samples:
                perform()
                wait_for_the_log_in(samples, page)
                time.sleep(AFTER_SECONDS)
            lost = sum(kernel.is_lost() for kernel in others)
            if not lost:
                listener.wait_for_more()
    return {
        "case": case,
        "kernels": people * each,
        # Its server has gone with the others.
        "kernels_lost": lost + bool(lost),
        "seconds_without_a_word_of_a_kernel": None if lost else round(listener.silence(), 2),
        "seconds_without_a_server": None if lost else round(unreached(samples, server), 2),
        "seconds_without_a_log_in": round(unreached(samples, page), 2),
        "connections_of_the_listener": listener.connections,
        "longest_answer_seconds": round(max(sample.ended - sample.began for sample in samples), 2),
        "asked": len(samples),
        "refused": len(refused(samples)),
        "broken": len([sample for sample in samples if not sample.status]) - len(refused(samples)),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Measure each case once."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.people", description=__doc__)
    arguments.add_argument("cases", nargs="*", metavar="CASE", help=f"some of {', '.join(CASES)}")
    arguments.add_argument("--people", type=int, default=5, help="whose servers run, at most 5")
    arguments.add_argument("--kernels", type=int, default=10, help="of each (10)")
    chosen = arguments.parse_args()
    found = []
    RESULT.parent.mkdir(exist_ok=True)
    for case in chosen.cases or CASES:
        found.append(measure(case, chosen.people, chosen.kernels))
        print(json.dumps(found[-1], indent=2), flush=True)
        RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(f"Written to {RESULT.relative_to(RESULT.parents[1])}.")


if __name__ == "__main__":
    main()
