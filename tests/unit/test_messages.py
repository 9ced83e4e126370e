"""Every message of the collection has a remedy, and the page of messages has every message."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.docs import messages


@pytest.fixture(scope="module")
def known() -> list[messages.Message]:
    return [*messages.found(), *messages.of_tasks()]


def test_every_message_has_a_remedy(known: list[messages.Message]) -> None:
    """Give HubError a hint; only what another message quotes belongs into PARTS_OF_ANOTHER."""
    assert len(known) > 250
    assert [f"{each.path}:{each.line}: {each.text}" for each in messages.without_remedy(known)] == []


def test_each_part_of_another_message_is_there(known: list[messages.Message]) -> None:
    unused = [
        prefix
        for prefix, remedy in messages.PARTS_OF_ANOTHER.items()
        if not any(each.path.startswith(prefix) and each.remedy == remedy for each in known)
    ]
    assert unused == []


def test_what_is_raised_is_found_with_all_that_it_may_say(tmp_path: Path) -> None:
    """As the source has them: texts, names, constants of modules, alternatives, remedies of a cause."""
    source = Path(messages.REPOSITORY / "plugins/module_utils/system/files.py")
    copy = tmp_path / "module_utils/system/files.py"
    copy.parent.mkdir(parents=True)
    copy.write_text(
        source.read_text()
        + '''

class Worse(HubError):
    """One of those."""


def fail(path: str, error: HubError, many: bool) -> None:
    raise HubError("No.")
    raise Worse(f"{path} is <bad>: {error.message}", error.hint or "Make it good.")
    found = "a lot" if many else "one"
    raise HubError(f"{path} has {found}.", hint=f"Remove {', '.join(sorted(path))}.")
    raise HubError(error.message, error.hint)
'''
    )
    found = messages.found(tmp_path)[-3:]
    assert [(each.text, each.remedy) for each in found] == [
        ("No.", ""),
        (r"*path* is \<bad\>: *reason*", "That of the quoted cause. *or* Make it good."),
        ("*path* has *found*.", "Remove *path*."),
    ]
    assert messages.without_remedy(found) == found[:1]


def test_what_fails_without_being_raised_is_found_as_well(known: list[messages.Message]) -> None:
    """Of an action plugin, of a role's task, and a difference from a reviewed plan."""
    remedies = {each.text: each.remedy for each in known}
    assert remedies["No version to upgrade to."].startswith("Set it in the inventory")
    assert remedies[r"jupyterhub\_wheelhouse is set, and jupyterhub\_wheels is not."].startswith(
        "Name the folder"
    )
    assert remedies["*hub packages wheels* has files that no staging has put there, and would be emptied."]
    assert remedies["No plan of *host* was reviewed."] == "Run plan.yml again, and review that."
    assert "Run `plan.yml` again" in remedies["The database is migrated *now*, and not *then*."]
