"""Every message of the collection with its remedy, read from the calls of ``HubError`` in its source.

A message is a template: what is only known when it is raised is the name of what stands there, in italics.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
ERRORS = frozenset({"HubError"})

#: What a file's messages without a remedy of their own are part of, and so what is to be done. By the
#: beginning of the path below `plugins`; the longest that fits counts.
PARTS_OF_ANOTHER = {
    "module_utils/databases/comparison.py": (
        "The loss report of a rollback says this instead of numbers. Nothing was changed."
    ),
    "module_utils/databases/copier.py": (
        "The plan or the rehearsal of a move says this in a finding (`move-*`), which has the remedy."
    ),
    "module_utils/databases/migration.py": (
        "The migration is prepared before the outage; nothing was changed. Read the end of the quoted "
        "output: the new environment lacks or breaks something that the hub imports."
    ),
    "module_utils/deployment/lifecycle.py": (
        "In an outage the host has restored the old hub, and its report has more. Otherwise the quoted "
        "end of the hub's log says why; the whole log is that of the service."
    ),
    "module_utils/deployment/person.py": (
        "The new hub was checked as a user would. The old hub is restored; the end of the new hub's "
        "log, below the message, says more. `jupyterhub_verify_checks` leaves a check out."
    ),
    "module_utils/planning/drift.py": (
        "Something differs from the plan that was reviewed, and nothing was begun. Run `plan.yml` again, and "
        "review that."
    ),
    "plugin_utils/plans.py": "Nothing was begun. Run `plan.yml` again, and review that.",
    "module_utils/deployment/verification.py": (
        "The running hub is not the wanted one. In an upgrade the old hub is restored; with `verify`, "
        "find what started this hub or this proxy, and restart the service."
    ),
    "module_utils/hub/": (
        "A check of the hub says this, in the rehearsal, the verification, or before users' servers are"
        " stopped; what follows it names the server. In an outage the old hub is restored. The log of "
        "the hub, or of the user's server, says why."
    ),
    "module_utils/recovery/outage": (
        "A step of the outage has failed, and the host has restored the old hub; the report says how "
        "that ended."
    ),
    "module_utils/recovery/retention.py": (
        "Nothing was removed. Look at the named file: the run that wrote it may have been cut off by a "
        "full disk."
    ),
    "module_utils/runs/outage_process.py": (
        "The outage has not begun, and the old hub serves. Correct what the message quotes, and run the"
        " playbook again."
    ),
    "module_utils/rehearsal/": (
        "The rehearsal says this in a finding (`rehearsal-*`), before anything was changed; the finding"
        " has the remedy."
    ),
    "plugin_utils/vulnerabilities.py": (
        "A note of the plan (`packages-not-audited`) says this, and the upgrade goes on. See "
        "`jupyterhub_audit_url` and `jupyterhub_audit`."
    ),
}


@dataclass(frozen=True)
class Message:
    """One call: ``text`` and ``remedy`` as Markdown, ``path`` below ``plugins``, ``line`` counted from 1."""

    text: str
    remedy: str
    path: str
    line: int

    @property
    def package(self) -> str:
        """``databases``, or ``modules`` for what only the edge of Ansible says."""
        parts = self.path.split("/")
        return parts[1] if parts[0] == "module_utils" and len(parts) > 2 else parts[0]

    @property
    def anchor(self) -> str:
        """A name for links that remains while the text does."""
        words = re.findall(r"[a-z0-9]+", re.sub(r"\*[^*]*\*", "", self.text.lower()))
        return "-".join(words[:12])


def found(plugins: Path = REPOSITORY / "plugins") -> list[Message]:
    """All messages, by path and line; one that only passes another's text on is none of its own."""
    trees = {path: ast.parse(path.read_text()) for path in sorted(plugins.rglob("*.py"))}
    errors = ERRORS | _derived(trees.values())
    messages = []
    for path, tree in trees.items():
        relative = path.relative_to(plugins).as_posix()
        for function, call in _calls(tree, errors):
            reader = _Reader(relative, function)
            given = dict(zip(("message", "hint"), call.args))
            given.update({each.arg: each.value for each in call.keywords if each.arg})
            hints = reader.texts(given["hint"]) if "hint" in given else [""]
            for text in reader.texts(given.get("message", ast.Constant(""))):
                if re.search(r"[a-z]", re.sub(r"\*[^*]*\*", "", text)):
                    remedy = " *or* ".join(dict.fromkeys(filter(None, hints)))
                    messages.append(Message(text, remedy, relative, call.lineno))
    return [replace(each, remedy=each.remedy or _part_of(each.path)) for each in messages]


#: Files whose sentences stop a run without being raised.
SENTENCES = ("module_utils/planning/drift.py", "plugin_utils/plans.py")


def of_tasks(repository: Path = REPOSITORY) -> list[Message]:
    """What action plugins, tasks, and differences from a reviewed plan say by themselves.

    Their remedy is what follows the first sentence.
    """
    plugins, messages = repository / "plugins", []
    for path in [*sorted(plugins.glob("action/*.py")), *(plugins / each for each in SENTENCES)]:
        relative = path.relative_to(plugins).as_posix()
        wanted = _sentences if relative in SENTENCES else _results
        for function, node in _within(ast.parse(path.read_text())):
            for each in wanted(node):
                for text in _Reader(relative, function).texts(each):
                    messages.append(_divided(text, relative, each.lineno))
    for path in sorted([*repository.glob("roles/*/tasks/**/*.yml"), *repository.glob("playbooks/**/*.yml")]):
        relative = path.relative_to(repository).as_posix()
        for text in _of_yaml(yaml.safe_load(path.read_text())):
            messages.append(_divided(text, relative, 1))
    return [each for each in messages if _words_of(each.text) and _words_of(each.remedy)]


def _words_of(text: str) -> list[str]:
    """Those beside what is only known when it is raised; none where that is next to all."""
    words = re.findall(r"[a-z]{2,}", re.sub(r"\*[^*]*\*", "", text.lower()))
    return words if len(words) > 2 else []


def _divided(text: str, path: str, line: int) -> Message:
    first, _, rest = " ".join(text.split()).partition(". ")
    return Message(f"{first.rstrip('.')}.", rest or _part_of(path), path, line)


def _results(node: ast.AST) -> list[ast.expr]:
    """What an action plugin returns as its message."""
    if not isinstance(node, ast.Dict):
        return []
    return [
        value
        for key, value in zip(node.keys, node.values)
        if isinstance(key, ast.Constant) and key.value == "msg"
    ]


def _sentences(node: ast.AST) -> list[ast.expr]:
    """What is listed as a text of its own."""
    if isinstance(node, ast.List):
        listed = node.elts
    elif isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        listed = [node.elt]
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".append"):
        listed = node.args
    else:
        listed = []
    return [each for each in listed if isinstance(each, ast.JoinedStr)]


def _of_yaml(node: Any) -> Iterator[str]:
    """Messages of tasks that fail, with names in the place of expressions."""
    if isinstance(node, list):
        for each in node:
            yield from _of_yaml(each)
    elif isinstance(node, dict):
        for module, name in (("ansible.builtin.assert", "fail_msg"), ("ansible.builtin.fail", "msg")):
            if isinstance(node.get(module), dict):
                parts = re.split(r"\{\{(.*?)\}\}", str(node[module].get(name, "")))
                yield "".join(
                    f"*{_words(re.findall(r'[a-z_]+', part.partition('|')[0])[-1])}*"
                    if number % 2
                    else _escaped(part)
                    for number, part in enumerate(parts)
                )
        for each in node.values():
            yield from _of_yaml(each)


def without_remedy(messages: list[Message]) -> list[Message]:
    """Those after which a reader does not know what to do."""
    return [each for each in messages if not each.remedy]


def _part_of(path: str) -> str:
    fitting = [prefix for prefix in PARTS_OF_ANOTHER if path.startswith(prefix)]
    return PARTS_OF_ANOTHER[max(fitting, key=len)] if fitting else ""


def _derived(trees: Any) -> set[str]:
    """Names of the exceptions that are made of HubError."""
    return {
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) in ERRORS for base in node.bases)
    }


def _calls(tree: ast.AST, errors: frozenset[str]) -> Iterator[tuple[ast.AST, ast.Call]]:
    """Each call with the function that it stands in."""
    for function, node in _within(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in errors:
            yield function, node


def _within(tree: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Each part of a module with the function that it stands in."""

    def within(node: ast.AST, function: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            inner = child if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) else function
            yield function, child
            yield from within(child, inner)

    return within(tree, tree)


class _Reader:
    """Expressions of one function as texts, one for each way that it may end."""

    def __init__(self, path: str, function: ast.AST) -> None:
        name = path[: -len(".py")].replace("/", ".")
        self._module = importlib.import_module(f"ansible_collections.hubops.jupyterhub.plugins.{name}")
        self._function = function

    def texts(self, node: ast.expr, depth: int = 0) -> list[str]:
        """What an expression may be; a local variable is what is assigned to it."""
        if isinstance(node, ast.Constant):
            return [_escaped(str(node.value))]
        if isinstance(node, ast.JoinedStr):
            parts = [self._part(each) for each in node.values]
            return ["".join(each) for each in itertools.product(*parts)]
        if isinstance(node, ast.IfExp):
            return self.texts(node.body, depth) + self.texts(node.orelse, depth)
        if isinstance(node, ast.BoolOp):
            return [text for each in node.values for text in self.texts(each, depth)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.texts(node.left, depth), self.texts(node.right, depth)
            return ["".join(each) for each in itertools.product(left, right)]
        constant = self._constant(node)
        if constant is not None:
            return [_escaped(constant)]
        if isinstance(node, ast.Name) and depth < 2:
            texts = [text for value in self._assigned(node.id) for text in self.texts(value, depth + 1)]
            if texts:
                return texts
        if isinstance(node, ast.Attribute) and node.attr == "hint":
            return ["That of the quoted cause."]
        return [f"*{_name(node)}*"]

    def _part(self, node: ast.expr) -> list[str]:
        if isinstance(node, ast.Constant):
            return [_escaped(str(node.value))]
        assert isinstance(node, ast.FormattedValue)
        constant = self._constant(node.value)
        return [_escaped(constant) if constant is not None else f"*{_name(node.value)}*"]

    def _constant(self, node: ast.expr) -> str | None:
        """The text of a constant of the module, or of another one that it imports."""
        value: Any = self._module
        for each in ast.unparse(node).split("."):
            value = getattr(value, each, None)
        return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None

    def _assigned(self, name: str) -> list[ast.expr]:
        return [
            node.value
            for node in ast.walk(self._function)
            if isinstance(node, ast.Assign) and any(ast.unparse(each) == name for each in node.targets)
        ]


#: Attributes and names that say nothing without what they belong to.
REASONS = {"error", "strerror", "reason", "message", "stderr", "faultString", "errmsg", "wrong", "complaint"}


def _name(node: ast.expr) -> str:
    """What stands at a place of a message, in a word."""
    if isinstance(node, ast.Call):
        function = ast.unparse(node.func).rpartition(".")[2]
        if (
            function in ("join", "str", "sorted", "len", "repr", "next", "mask", "without_credentials")
            and node.args
        ):
            return _name(node.args[0])
        if isinstance(node.func, ast.Attribute) and function in (
            "strip",
            "rstrip",
            "splitlines",
            "partition",
        ):
            return _name(node.func.value)
        return _words(function)
    if isinstance(node, ast.Subscript):
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return _words(node.slice.value)
        return _name(node.value)
    if isinstance(node, ast.Attribute):
        if node.attr in ("path", "name", "version") and isinstance(node.value, ast.Attribute):
            return _name(node.value)
        return "reason" if node.attr in REASONS else _words(node.attr)
    if isinstance(node, ast.Name):
        return "reason" if node.id in REASONS else _words(node.id)
    if isinstance(node, (ast.BoolOp, ast.IfExp)):
        return _name(node.values[0] if isinstance(node, ast.BoolOp) else node.body)
    if isinstance(node, ast.BinOp):
        return _name(node.left)
    if isinstance(node, (ast.GeneratorExp, ast.ListComp)):
        return _name(node.generators[0].iter)
    return "…"


def _words(name: str) -> str:
    return name.strip("_").replace("_", " ").lower()


def _escaped(text: str) -> str:
    """A text in which Markdown finds nothing but code between backticks."""
    parts = re.split(r"(`[^`]*`)", text.replace("\n", " "))
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_\[\]<>#|])", r"\\\1", part) for part in parts
    )


#: Titles of the packages, and when their messages come. Others have their own name.
PACKAGES = {
    "module_utils": (
        "Data between runs",
        "Facts, plans and records that another version of the collection has written.",
    ),
    "databases": (
        "Databases",
        "From finding the hub to the restore: database, its copies, migration and moves.",
    ),
    "deployment": (
        "The hub as a whole",
        "From finding the hub and its config, stop and start, verification.",
    ),
    "environments": (
        "Environments",
        "From planning and staging, and from the exchange of environments in the outage.",
    ),
    "hub": ("The hub's answers", "From requests to the hub, its proxy and users' servers."),
    "planning": (
        "Planning",
        "Before anything is changed. Most of what a plan says is a [finding](findings.md).",
    ),
    "recovery": ("Recovery points, restore and rollback", "From backup, guard, restore and rollback."),
    "rehearsal": ("Rehearsal", "Before the outage, on a copy."),
    "releases": ("Versions and requirements", "At the beginning."),
    "runs": ("Runs", "From the lock that one run has, and its record on the host."),
    "services": ("Service managers", "From systemd, supervisord and Docker."),
    "system": ("Files, processes and containers", "From the host itself."),
    "z2jh": ("Zero to JupyterHub", "From the cluster, Helm and the values of a release."),
    "qhub": ("QHub", "From the redeployment of a QHub, on the controller."),
    "awx": ("AWX", "When AWX is set up."),
    "modules": ("Arguments", "From what a module was given."),
    "plugin_utils": ("On the controller", "Not from the host."),
    "action": ("On the controller, too", "Not from the host."),
    "roles": ("Tasks of roles", "From the playbooks' own tasks."),
}


def page() -> str:
    """All messages as Markdown: a section for each package, each message once, by its text."""
    by_package: dict[str, dict[str, Message]] = {}
    for message in [*found(), *of_tasks()]:
        of_package = by_package.setdefault(message.package, {})
        same = of_package.get(message.text)
        if same and same.remedy != message.remedy:
            message = replace(message, remedy=f"{same.remedy} *or* {message.remedy}")
        of_package[message.text] = message
    lines, anchors = [], set()
    order = [*PACKAGES, *sorted(by_package.keys() - PACKAGES)]
    for package in (each for each in order if each in by_package):
        title, when = PACKAGES.get(package, (package.replace("_", " ").capitalize(), ""))
        lines += [f"### {title}", "", when, ""]
        for text, message in sorted(
            by_package[package].items(), key=lambda each: each[0].lower().lstrip("*`")
        ):
            anchor = f"message-{message.anchor}"
            while anchor in anchors:
                anchor += "-"
            anchors.add(anchor)
            lines += [f"[{text}]{{#{anchor}}}", f": {message.remedy}", ""]
    return "\n".join(lines)
