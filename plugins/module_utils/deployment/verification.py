"""Proof that a hub works: the right version in the right environment, reading the right database.

``/hub/health`` answers while the database is locked, so it proves nothing. The hub is asked with a token that
is written into its database for the purpose, and taken back afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..databases.base import Database
from ..databases.migration import python_of
from ..environments.layout import prefix_of
from ..environments.packages import installed_version
from ..errors import HubError
from ..hub import api, logs, managed_services
from ..hub_scripts import token_lender
from ..services.base import Service
from ..services.kinds import service_of
from ..system.execution_context import ExecutionContext
from ..system.processes import age, is_alive
from ..system.source import source_of
from . import compatibility, lifecycle, person
from .database import database_of
from .model import Deployment

TOKEN_SECONDS = 600
#: What a verification asks, and what it asks for a user whose server is started.
SCOPES = ("list:users", "read:hub", "proxy")
SCOPES_OF_A_USER = ("read:users", "servers", "access:servers")
ANSWER_TIMEOUT = 30
SERVICES_TIMEOUT = 30
LOOK_SECONDS = 0.5
#: A hub that is younger may be one that its service manager starts again and again.
FRESH_SECONDS = 60
EXITS_SECONDS = 600
FEW_EXITS = 2
FORBIDDEN = 403
#: The niceness of what must not miss a moment of the hub.
FOREMOST = -10
BEYOND_ALL = 1_000_000_000
PAGINATED = "application/jupyterhub-pagination+json"


class Verification(NamedTuple):
    """What the running hub was found to be."""

    version: str
    sys_executable: str | None
    """Interpreter that the hub names; None where nothing may be written."""
    main_pid: int
    users: int | None
    """Number of users that the hub reads from its database; None where nothing may be written."""
    seconds: float
    checks: dict[str, str]
    """What was done as a person does it, and how it ended; see `person`."""
    errors: list[str]
    deprecated: list[str]
    unrecognized: list[str]
    access: list[str]


def verify(
    deployment: Deployment,
    *,
    version: str,
    environment: str = "",
    point: Path | None = None,
    since: str = "",
    timeout: float = 120,
    watch: float = 0,
    user: str = "",
    checks: Collection[str] = person.CHECKS,
    may_write: bool = True,
    lender: Lender | None = None,
) -> Verification:
    """Wait until the hub answers as ``version``, and prove that it is the one it should be.

    ``environment`` is the path of the environment it must run in, the deployment's unless given. ``point`` is
    as in `database_of`. ``since`` is a mark in the service's log, the start of its process unless given.
    Lines in the log are reported and fail nothing. The log-in page is asked for, and the server of ``user``,
    where one is named, is started, computes, and is stopped again, as far as ``checks`` want it. For
    ``watch`` seconds more the hub must keep running as the same process, and still answer then. ``lender``
    is one that was started before the hub; without it, an idle hub may take as long as its database's
    `seen_within` to see the token.

    Raises HubError, with the end of the log, when the hub exits or does not answer within ``timeout``
    seconds, runs in another environment, is still the old process, does not read its database, cannot be
    reached through the proxy, does not start the user's server or a kernel in it, or does not run a managed
    service that it ran before.
    """
    started = time.monotonic()
    service = service_of(deployment.service)
    mark = since or service.log_mark_of_start()
    environment = environment or str(deployment.hub_environment.path)
    api_url = str(deployment.config.hub_api_url)
    lifecycle.wait_for_version(service, api_url, version, timeout, mark)
    try:
        main_pid = _require_new_process(deployment, service, version)
        executable, users = None, None
        done = person.see_log_in(deployment, checks)
        if may_write:
            database = database_of(deployment, point)
            with contextlib.ExitStack() as stack:
                lent = lender or stack.enter_context(
                    lending(database, environment, service.context(), _scopes(user), starts=False)
                )
                token = lent.token()
                wait_until_seen(api_url, token, database.seen_within)
                executable = _require_environment(api_url, token, environment, version)
                users = _require_users(database, api_url, token, version)
                if not deployment.proxy.managed:
                    _require_route(api_url, token)
                done.update(person.work(deployment, token, user, version, timeout, checks))
        if deployment.proxy.answers:
            _require_proxy(str(deployment.config.public_url), version)
        _require_lasting(service, main_pid, watch)
        managed_services.require(_services_before(deployment), main_pid, SERVICES_TIMEOUT)
        lifecycle.wait_for_version(service, api_url, version, ANSWER_TIMEOUT, mark)
    except HubError as error:
        raise HubError(f"{error.message}\n{logs.end(service.log_since(mark))}", error.hint) from error
    return Verification(
        version,
        executable,
        main_pid,
        users,
        round(time.monotonic() - started, 3),
        done,
        *logs.sort_out(service.log_since(mark)),
    )


def prove(
    deployment: Deployment,
    *,
    version: str,
    revision: str,
    allow: Collection[str],
    without: Collection[str] = (),
    **how: Any,
) -> dict[str, Any]:
    """`verify`, and compare the hub with its single-user environments and its database; what was found.

    ``revision``, ``allow`` and ``without`` as in `compatibility.match_deployment`, ``how`` as in `verify`.
    """
    found = verify(deployment, version=version, **how)._asdict()
    match = compatibility.match_deployment(deployment, version, revision, allow, without=without)
    failed = compatibility.failures(match)
    if failed:
        raise HubError(compatibility.message(failed))
    return {**found, "match": match}


def unanswered(deployment: Deployment) -> dict[str, str]:
    """Why the hub that runs would fail a verification as it is.

    ``start``: it does not stay up. ``hub``: it does not answer. ``version``: it is not the one on the disk.
    ``proxy``: it cannot be reached through its proxy; ``elsewhere``: through an external one, from the
    address that the config names, which is not required afterwards either. Nothing is written.
    """
    version, api_url = deployment.jupyterhub, deployment.config.hub_api_url
    # A hub that is busy for a moment is no fault.
    answered = api.version(api_url) or api.version(api_url)
    exits = _exits(service_of(deployment.service))
    if exits:
        return {"start": exits}
    if not answered:
        return {"hub": f"It does not answer at {api_url}."}
    if answered != version:
        return {
            "version": f"It is version {answered} at {api_url}, and {deployment.hub_environment.path} "
            f"has {version}."
        }
    if not deployment.proxy.answers:
        return {"elsewhere": f"Its external proxy does not lead to it from {deployment.config.public_url}."}
    try:
        _require_proxy(deployment.config.public_url, version)
    except HubError as error:
        return {"proxy": error.message}
    return {}


def _exits(service: Service) -> str:
    """That the hub, started just now, had exited again and again, with its log; '' where it had not."""
    pid = service.main_pid()
    if pid and age(pid) > FRESH_SECONDS:
        return ""
    lines = service.log_since(service.log_mark_at(time.time() - EXITS_SECONDS))
    exits = logs.starts(lines) - logs.stops(lines) - 1
    if exits < FEW_EXITS:
        return ""
    return f"It has exited {exits} times within {EXITS_SECONDS // 60} minutes.\n{logs.end(lines)}"


def _require_new_process(deployment: Deployment, service: Service, version: str) -> int:
    pid = service.main_pid()
    if pid is None:
        raise HubError(
            f"A hub answers, but the service {service.name} has no process.",
            "Another hub has its port: end it, or give one of them another port.",
        )
    upgraded = deployment.hub_environment.jupyterhub != version
    if upgraded and pid == deployment.service.main_pid:
        raise HubError(f"The hub's process {pid} is the one from before the upgrade.", "Restart the service.")
    return pid


def _services_before(deployment: Deployment) -> list[str]:
    """The managed services that ran when the hub was found; one that did not is not required now."""
    return [service.name for service in deployment.config.services if service.running]


def _require_lasting(service: Service, main_pid: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not is_alive(main_pid) or service.main_pid() != main_pid:
            raise HubError("The hub answered, and then its process ended.", "Its log says why.")
        time.sleep(LOOK_SECONDS)


class Lender:
    """A process that has written a token of the hub's into its database, or will: see `token_lender`."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[str], database: str) -> None:
        self._process = process
        self._errors = errors
        self._database = database

    def say(self, line: str) -> None:
        if self._process.stdin is None:
            raise AssertionError("The token's lender has no pipes.")
        # One that has failed reads nothing; `token` and `end` say why.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()

    def token(self) -> str:
        """The token. Raises HubError where none could be written."""
        if self._process.stdout is None:
            raise AssertionError("The token's lender has no pipes.")
        self.say("")
        line = self._process.stdout.readline()
        if not line:
            self.end()
            raise AssertionError("The token's lender has ended without a token and without a reason.")
        return str(json.loads(line)["token"])

    def end(self) -> None:
        """Have the token removed. Raises HubError when that, or writing it, has failed."""
        # Closes its input, which it waits for.
        with contextlib.suppress(BrokenPipeError), self._process:
            pass
        ended = self._process.wait()
        if ended < 0:
            raise HubError(
                f"The process that writes a token into {self._database} was ended by signal {-ended}.",
                "The system's log says why: a lack of memory, perhaps.",
            )
        if ended:
            self._errors.seek(0)
            raise HubError(
                f"No token could be written into {self._database} and removed again: "
                f"{logs.reason(self._errors.read())}.",
                "The hub's user must be able to write the database and its folder.",
            )


def _scopes(user: str) -> list[str]:
    return [*SCOPES, *(f"{scope}!user={user}" for scope in SCOPES_OF_A_USER if user)]


@contextlib.contextmanager
def lending(
    database: Database,
    environment: str,
    context: ExecutionContext,
    scopes: Sequence[str],
    starts: bool,
    seconds: float = TOKEN_SECONDS,
) -> Iterator[Lender]:
    """A lender of a token with these scopes, an administrator's before 2.0; its rows are gone afterwards.

    ``starts``: the hub is started only now, so that it sees the token at once. The token expires after
    ``seconds``, should its lender be killed.
    """
    # SQLAlchemy would create one that is not there.
    database.contents()
    url = database.url(installed_version(environment, "sqlalchemy") or "")
    argv = [python_of(environment), "-c", source_of(token_lender)]
    with tempfile.TemporaryFile("w+") as errors:
        # It takes the token out of the database once the hub has stopped.
        outliving = context.outliving()
        process = outliving.start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        if starts:
            # On a busy host, the hub would else be past the moment that the lender waits for.
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, FOREMOST)
        lender = Lender(process, errors, database.name)
        wanted = {"url": url, "seconds": int(seconds), "scopes": list(scopes), "starts": starts}
        lender.say(json.dumps(wanted))
        try:
            yield lender
        except BaseException:
            with contextlib.suppress(HubError):
                lender.end()
            raise
        lender.end()


def lending_ahead(
    deployment: Deployment, point: Path, user: str = ""
) -> AbstractContextManager[Lender | None]:
    """A lender for a hub that is about to start, where `verify` would else wait for it; None where not."""
    database = database_of(deployment, point)
    if not database.seen_within:
        return contextlib.nullcontext()
    environment, context = deployment.hub_environment.path, service_of(deployment.service).context()
    return lending(database, environment, context, _scopes(user), starts=True)


def wait_until_seen(api_url: str, token: str, seconds: float) -> None:
    """Wait until the hub knows a token: what a database's transaction began with stays what the hub sees."""
    deadline = time.monotonic() + seconds
    while api.ask(f"{api_url}/info", token).status == FORBIDDEN and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def _require_environment(api_url: str, token: str, environment: str, version: str) -> str:
    """Compare version and interpreter that the hub itself names."""
    info = api.read(f"{api_url}/info", token)
    if info["version"] != version:
        raise HubError(f"The hub says that it is version {info['version']}, not {version}.")
    executable = str(info["sys_executable"])
    # The folders may be links; the interpreter is one in every venv, and leads out of it.
    if os.path.realpath(Path(executable).parent.parent) != os.path.realpath(prefix_of(Path(environment))):
        raise HubError(
            f"The hub runs in {executable}, not in {environment}.",
            "Compare the command of the service with the environment that was upgraded.",
        )
    return executable


def _require_users(database: Database, api_url: str, token: str, version: str) -> int:
    """Compare the number of users that the hub reads with the rows of the database that we know.

    No user is in the answer: for each, hubs before 5.0 would write a row of a spawner into the database.
    """
    before = database.contents().rows["users"]
    if version.startswith("1."):
        # It cannot count. That it found the token that we wrote shows that it reads this database.
        api.read(f"{api_url}/users?state=active", token)
        return before
    page = api.read(f"{api_url}/users?limit=1&offset={BEYOND_ALL}", token, accept=PAGINATED)
    users = int(page["_pagination"]["total"])
    after = database.contents().rows["users"]
    if not min(before, after) <= users <= max(before, after):
        raise HubError(
            f"The hub knows {users} users, but there are {after} in {database.name}.",
            "It reads another database: compare JupyterHub.db_url and the service's working directory.",
        )
    return users


def _require_route(api_url: str, token: str) -> None:
    """Ask the hub for the routes of its proxy, which must have the one to the hub: the first by its name."""
    routes = api.read(f"{api_url}/proxy", token)
    if not any(route.get("data", {}).get("hub") for route in routes.values()):
        raise HubError(
            "The external proxy has no route to the hub.",
            "Compare ConfigurableHTTPProxy.api_url with the address of the proxy that users reach.",
        )


def _require_proxy(public_url: str, version: str) -> None:
    """Reach the hub through the proxy, as users do; without a token, so no certificate has to be checked."""
    url = f"{public_url.rstrip('/')}/hub/api/"
    answer = api.read(url)
    if answer.get("version") != version:
        raise HubError(f"The proxy at {public_url} leads to another hub: {answer}.")
