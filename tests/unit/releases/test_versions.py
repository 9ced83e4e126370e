from __future__ import annotations

import random

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.versions import (
    NEWER,
    OTHER_MAJOR,
    compare,
    parse_release,
)

IN_ORDER = [
    "0.9.6",
    "1.0.0.dev1",
    "1.0.0a1.dev1",
    "1.0.0a1",
    "1.0.0b1",
    "1.0.0b2",
    "1.0.0rc1",
    "1.0.0",
    "1.0.0+local",
    "1.0.0.post1",
    "1.0.1",
    "1.5.1",
    "1.10",
    "2.3.1",
    "5.0.0b1",
    "5.0.0b2",
    "5.0.0",
    "5.4.6",
    "5.4.10",
    "6.1.1",
]


def test_releases_are_ordered_as_pep_440_orders_them() -> None:
    shuffled = random.Random(440).sample(IN_ORDER, len(IN_ORDER))
    assert [str(release) for release in sorted(map(parse_release, shuffled))] == IN_ORDER


@pytest.mark.parametrize(
    ("one", "other"),
    [("6.0", "6.0.0"), ("5.0.0b1", "5.0.0.beta1"), ("5.0rc1", "v5.0c1"), ("5.0.0-dev", "5.0.dev0")],
)
def test_different_spellings_of_a_release_are_equal(one: str, other: str) -> None:
    assert parse_release(one) == parse_release(other)
    assert len({parse_release(one), parse_release(other)}) == 1


@pytest.mark.parametrize("text", ["", "six", "6.", "6.1.1.", "6..1", "6.1.1 beta", "6.1-", "latest", "1!6.0"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(HubError, match='is not a version number. Write it like "6.1.1", in quotes.'):
        parse_release(text)


@pytest.mark.parametrize(
    ("hub", "singleuser", "allow", "expected"),
    [
        ("5.4.6", "5.4.6", (), "ok"),
        ("6.0", "6.0.0", (), "ok"),
        ("5.4.6", "5.2.1", (), "warn"),
        ("5.4.6", "4.1.6", (), "fail"),
        ("5.4.6", "4.1.6", (OTHER_MAJOR,), "warn"),
        ("5.4.6", "4.1.6", (NEWER,), "fail"),
        ("4.1.6", "5.4.6", (), "fail"),
        ("4.1.6", "5.4.6", (OTHER_MAJOR,), "fail"),
        ("4.1.6", "5.4.6", (NEWER,), "warn"),
        ("5.2.1", "5.4.6", (), "fail"),
        ("5.2.1", "5.4.6", (NEWER,), "warn"),
        ("2.3.1", "1.5.1", (OTHER_MAJOR, NEWER), "fail"),
        ("1.5.1", "2.3.1", (OTHER_MAJOR, NEWER), "fail"),
        ("6.1.1", "6.1.1b1", (), "warn"),
    ],
)
def test_the_policy(hub: str, singleuser: str, allow: tuple[str, ...], expected: str) -> None:
    judged = compare(parse_release(hub), parse_release(singleuser), allow)
    assert judged.verdict == expected
    assert hub in judged.reason
