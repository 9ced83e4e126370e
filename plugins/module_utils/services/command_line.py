"""A hub's command line: whether it is one, and which program, arguments and context it names."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field, replace

from ..system.execution_context import ExecutionContext

_PYTHON = re.compile(r"(python|pypy)[\d.]*$")
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh")
# Programs that become, or start, the program which their arguments name; they set what their words say.
_PLAIN_WRAPPERS = (
    *("env", "exec", "nice", "ionice", "chrt", "taskset", "numactl", "nohup", "setsid", "stdbuf", "time"),
    *("tini", "dumb-init", "catchsegv", "systemd-cat"),
)
#: Those that start a program in an environment, by their command ``run`` alone.
_CONDA = ("conda", "mamba", "micromamba")
_RUNNERS = (*_CONDA, "pipenv", "poetry", "uv")
#: Those that set more than that: a user's variables, or an environment's.
_DECIDING_WRAPPERS = ("sudo", "runuser", "su", "gosu", "setpriv", "chpst", *_RUNNERS)
_WRAPPERS = (*_PLAIN_WRAPPERS, *_DECIDING_WRAPPERS)
#: Wrappers that change the user: by these options, or by their first word; some also take a script with -c.
_USER_OPTIONS = {
    "sudo": ("-u", "--user"),
    "runuser": ("-u", "--user"),
    "setpriv": ("--reuid",),
    "chpst": ("-u",),
}
_USER_WORD = ("gosu", "su", "runuser")
_WITH_SCRIPT = ("su", "runuser")
#: Options of theirs whose value is no program.
_VALUED = ("-g", "--group", "-G", "--supp-group", "--regid", "--groups", "-s", "--shell")
_DIRECTORY_OPTIONS = {"env": ("-C", "--chdir"), "sudo": ("-D", "--chdir")}
_UV_FOLDERS = ("--project", "--directory")
_SUB_COMMANDS = ("token", "upgrade-db")


@dataclass(frozen=True)
class HubCommand:
    """The part of a command line that starts the hub, and what wrappers around it set."""

    program: str
    """The ``jupyterhub`` script, or the Python that runs ``-m jupyterhub``."""
    is_python: bool
    arguments: list[str]
    """The hub's own arguments."""
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    directory: str | None = None
    activated: str | None = None
    """Path of an environment that is activated before the hub starts."""
    user: str | None = None
    """As whom it is started, where that is another user than the service's."""
    complete: bool = True
    """Whether the words tell all that is set; where a file is read or a program asked, they do not."""

    def within(self, context: ExecutionContext) -> ExecutionContext:
        """The hub's own context: the service's, with what the wrappers change."""
        environment = {**context.environment, **self.variables}
        if self.activated:
            environment["VIRTUAL_ENV"] = self.activated
            environment["PATH"] = f"{self.activated}/bin:{context.path}"
        directory = os.path.join(context.directory, self.directory or "").rstrip("/") or "/"
        inside = replace(context, environment=environment, directory=directory)
        return inside.of_user(self.user) if self.user else inside


def runs_hub(argv: list[str]) -> bool:
    """Whether a command line starts a hub: not a single-user server, and no ``jupyterhub token`` either."""
    return hub_command(argv) is not None


def is_hub(argv: list[str]) -> bool:
    """Whether a process with this command line is a hub, and no wrapper that waits for one."""
    return runs_hub(argv) and os.path.basename(argv[0]) not in (*_SHELLS, *_WRAPPERS)


def hub_command(argv: list[str]) -> HubCommand | None:
    """The hub's part of ``argv``, also behind ``env``, ``nice``, ``sh -c`` and the like; None without one."""
    if not argv:
        return None
    name, rest = os.path.basename(argv[0]), argv[1:]
    if name == "jupyterhub":
        return _unless_sub_command(HubCommand(argv[0], False, rest))
    if _PYTHON.match(name):
        return _in_python(argv[0], rest)
    if name in _SHELLS:
        return _in_shell(rest)
    if name in _WRAPPERS or _assignment(argv[0]):
        return _in_wrapper(argv)
    return None


def _in_python(python: str, arguments: list[str]) -> HubCommand | None:
    while arguments and arguments[0].startswith("-"):
        if arguments[0] == "-m":
            if arguments[1:2] in (["jupyterhub"], ["jupyterhub.app"]):
                return _unless_sub_command(HubCommand(python, True, arguments[2:]))
            return None
        arguments = arguments[2 if arguments[0] in ("-W", "-X") else 1 :]
    if arguments and os.path.basename(arguments[0]) == "jupyterhub":
        return _unless_sub_command(HubCommand(arguments[0], False, arguments[1:]))
    return None


def _in_wrapper(argv: list[str]) -> HubCommand | None:
    name = os.path.basename(argv[0])
    if name in _RUNNERS and "run" not in argv[1:]:
        return None
    user, names = _user(name, argv)
    for index in range(1, len(argv)):
        if index in names:
            continue
        if name in _WITH_SCRIPT and argv[index - 1] in ("-c", "--command"):
            found = _in_script(" ".join(argv[index:]))
        else:
            found = hub_command(argv[index:])
        if found:
            before = argv[:index]
            return replace(
                found,
                variables={**_assignments(before), **found.variables},
                directory=found.directory or _option(before, _DIRECTORY_OPTIONS.get(name, ())),
                activated=found.activated or _activated(before),
                user=found.user or user,
                complete=found.complete and name not in _DECIDING_WRAPPERS,
            )
    return None


def _user(wrapper: str, argv: list[str]) -> tuple[str | None, set[int]]:
    """As whom a wrapper starts its program, and the positions of words that name users, groups, shells."""
    options = _USER_OPTIONS.get(wrapper, ())
    user = _option(argv, options)
    valued = (*options, *_VALUED) if options or wrapper in _USER_WORD else ()
    names = {index + 1 for index, word in enumerate(argv) if word in valued}
    if wrapper in _USER_WORD and user is None:
        words = [index for index in range(1, len(argv)) if index not in names and argv[index][:1] != "-"]
        # `su -c SCRIPT USER` has its user last.
        first = next(iter(words), 0)
        if first and argv[first - 1] not in ("-c", "--command"):
            return argv[first].partition(":")[0], {*names, first}
    return user, names


def _option(words: list[str], options: tuple[str, ...]) -> str | None:
    """The value of an option: the word after it, or what follows its ``=``."""
    for word, following in zip(words, [*words[1:], ""]):
        if word in options:
            return following
        name, equals, value = word.partition("=")
        if equals and name in options:
            return value
    return None


def _activated(words: list[str]) -> str | None:
    """The environment in which conda or uv runs a program, as far as their words tell."""
    name = os.path.basename(words[0])
    if name in _CONDA:
        environment = _option(words, ("-n", "--name"))
        root = os.path.dirname(os.path.dirname(words[0]))
        named = os.path.join(root, "envs", environment) if root and environment else None
        return _option(words, ("-p", "--prefix")) or named
    project = _option(words, _UV_FOLDERS) if name == "uv" else None
    return os.path.join(project, ".venv") if project else None


def _in_shell(arguments: list[str]) -> HubCommand | None:
    for index, option in enumerate(arguments):
        if re.match(r"-\w*c$", option):
            # One argument, but `systemctl show` does not say where it ends.
            found = _in_script(" ".join(arguments[index + 1 :]))
            has_profile = any(re.match(r"-\w*l|--login$", each) for each in arguments[: index + 1])
            return replace(found, complete=found.complete and not has_profile) if found else None
    return None


def _in_script(script: str) -> HubCommand | None:
    """The hub in a shell's ``-c`` text, with the ``cd``, ``export`` and ``activate`` before it."""
    lexer = shlex.shlex(script.replace("\n", ";"), posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    try:
        words = _without_redirections(list(lexer))
    except ValueError:  # A quote that does not end: the shell will say so.
        return None
    directory = activated = None
    complete = not re.search(r"[$`]", script)
    variables: dict[str, str] = {}
    statement: list[str] = []
    for word in [*words, ";"]:
        if not re.fullmatch(r"[;&|()]+", word):
            statement.append(word)
            continue
        found = hub_command(statement)
        if found:
            return replace(
                found,
                variables={**variables, **found.variables},
                directory=found.directory or directory,
                activated=found.activated or activated,
                complete=found.complete and complete,
            )
        if len(statement) == 2 and statement[0] == "cd":
            directory = statement[1]
        elif len(statement) == 2 and statement[0] in ("source", ".") and statement[1].endswith("/activate"):
            activated = os.path.dirname(os.path.dirname(statement[1]))
        elif statement[:1] == ["export"] or all(_assignment(part) for part in statement):
            variables.update(_assignments(statement))
        elif statement[0] not in ("set", "umask", "ulimit"):
            complete = False
        statement = []
    return None


def _without_redirections(words: list[str]) -> list[str]:
    """Words of a shell without ``>> file``, ``2>&1`` and the like, as the lexer has taken them apart."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif re.fullmatch(r"&?[<>]+[&|]?", word):
            skip = True
            if kept and kept[-1] in ("0", "1", "2"):
                kept.pop()
        else:
            kept.append(word)
    return kept


def _unless_sub_command(command: HubCommand) -> HubCommand | None:
    return None if command.arguments[:1] and command.arguments[0] in _SUB_COMMANDS else command


def _assignment(word: str) -> re.Match[str] | None:
    return re.fullmatch(r"([A-Za-z_]\w*)=(.*)", word, re.DOTALL)


def _assignments(words: list[str]) -> dict[str, str]:
    return {match[1]: match[2] for match in map(_assignment, words) if match}


def with_config_file(arguments: list[str], config_file: str) -> list[str]:
    """The hub's arguments with another config file in the place of the one they name."""
    kept: list[str] = []
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word in ("-f", "--config"):
            skip = True
        elif not word.startswith(("--config=", "-f=", "--JupyterHub.config_file=")):
            kept.append(word)
    return [*kept, f"--config={config_file}"]
