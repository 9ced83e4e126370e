"""Builds the documentation site into build/docs, without a network.

python -m tools.docs                 writes build/docs/html; fails at a link that leads nowhere
python -m tools.docs --into FOLDER   also puts it beside the sites of other versions, see `versions`

Its pages are docs/*.md, README.md and its neighbours as they are in the checkout, a page for each module,
role and filter by antsibull-docs, and the page of messages. docs/index.md says in which order; a page that it
does not name follows the guides.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tools.docs import messages, versions

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build/docs"
#: Pages beside docs/.
AT_THE_TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
MESSAGES = "<!-- messages -->"
OTHERS = "<!-- other pages -->"
NAME = "hubops.jupyterhub"


def build(repository: Path = REPOSITORY, folder: Path = BUILD) -> Path:
    """The site of a checkout, in ``folder``/html. Raises CalledProcessError when it is not as it must be."""
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    source.mkdir(parents=True)
    shutil.copytree(repository / "docs/images", source / "images")
    galaxy = yaml.safe_load((repository / "galaxy.yml").read_text())
    _write_pages(repository, source, f"{galaxy['repository']}/blob/main")
    _document_plugins(repository, folder, source / "reference")
    return render(source, folder / "html", galaxy["version"])


def render(source: Path, html: Path, version: str) -> Path:
    """Pages as HTML. Raises CalledProcessError where a link or an anchor leads nowhere."""
    for name in ("conf.py", "ansible.rst", "static"):
        place = REPOSITORY / "tools/docs" / name
        (shutil.copytree if place.is_dir() else shutil.copy)(place, source / name)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--quiet",
        "--fail-on-warning",
        "--keep-going",
        "--builder",
        "html",
    ]
    environment = {**os.environ, "HUBOPS_VERSION": version}
    subprocess.run([*command, str(source), str(html)], check=True, env=environment)
    return html


def _write_pages(repository: Path, source: Path, online: str) -> None:
    """All Markdown in one folder, with the links that this needs; what is no page is at ``online``."""
    pages = {path.name: path.read_text() for path in sorted((repository / "docs").glob("*.md"))}
    pages.update({name: (repository / name).read_text() for name in AT_THE_TOP})
    listed = re.findall(r"^(?:.*<)?([\w-]+)>?$", pages["index.md"], re.MULTILINE)
    others = [name[: -len(".md")] for name in pages if name[: -len(".md")] not in (*listed, "index")]
    pages["index.md"] = pages["index.md"].replace(OTHERS, "\n".join(others))
    pages["troubleshooting.md"] = pages["troubleshooting.md"].replace(MESSAGES, messages.page())

    def leads_to(link: re.Match[str]) -> str:
        path = link[1].removeprefix("../").removeprefix("docs/")
        role = re.fullmatch(r"roles/(\w+)/README\.md", path)
        if role:
            return f"](reference/{role[1]}_role.rst)"
        if path not in pages and (repository / path).exists():
            return f"]({online}/{path}{link[2] or ''})"
        return f"]({path}{link[2] or ''})"

    for name, text in pages.items():
        (source / name).write_text(re.sub(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)", leads_to, text))


def _document_plugins(repository: Path, folder: Path, reference: Path) -> None:
    """A page for each module, role and filter of the checkout."""
    collection = folder / "collections/ansible_collections/hubops/jupyterhub"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("plugins", "roles", "meta"):
        shutil.copytree(repository / name, collection / name, ignore=ignored)
    shutil.copy(repository / "galaxy.yml", collection)
    for specs in collection.glob("roles/*/meta/argument_specs.yml"):
        _describe_entry_points(specs)
    reference.mkdir(mode=0o755)
    command = ["antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error"]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    subprocess.run([*command, "--dest-dir", str(reference), NAME], check=True, env=environment)
    for page in reference.glob("*.rst"):
        page.write_text(_for_the_theme(page.read_text()))


def _for_the_theme(page: str) -> str:
    """A page whose contents stand beside it, and whose title is short enough for that."""
    page = re.sub(r"^\.\. contents::\n(?:   .*\n)+", "", page, flags=re.MULTILINE)
    page = page.replace("Hubops.Jupyterhub\n=====", "Modules, roles, filters\n===========")
    title = re.compile(
        rf"^{re.escape(NAME)}\.(\w+ (?:module|role|filter))(?: -- (.*))?\n(\++)$", re.MULTILINE
    )
    return title.sub(lambda found: f"{found[1]}\n{found[3]}\n\n{found[2] or ''}\n", page, count=1)


def _describe_entry_points(specs: Path) -> None:
    """Where the short description of a role's entry point says all, it is the description."""
    found = yaml.safe_load(specs.read_text())
    for entry_point in found["argument_specs"].values():
        entry_point.setdefault("description", f"{entry_point['short_description']}.")
    specs.write_text(yaml.safe_dump(found, sort_keys=False))


def main() -> None:
    """Build it, and publish it where that is asked for."""
    arguments = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--into", type=Path, metavar="FOLDER", help="where the sites of all versions are")
    site = arguments.parse_args().into
    try:
        html = build()
    except subprocess.CalledProcessError as error:
        sys.exit(f"documentation: {error.cmd[0]} ended with {error.returncode}, see above.")
    if site:
        version = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text())["version"]
        html = versions.publish(html, version, site)
    print(f"documentation: {html / 'index.html'}")


if __name__ == "__main__":
    main()
