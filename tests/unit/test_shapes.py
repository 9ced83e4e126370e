"""What comes in as JSON becomes fields, or is refused with a sentence."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict


@dataclass(frozen=True)
class Room:
    name: str
    seats: int = 4


@dataclass(frozen=True)
class House:
    name: str
    main: Room
    height: float
    open: bool
    attic: Room | None
    rooms: tuple[Room, ...] = ()
    words: list[str] | None = None
    by_floor: dict[str, tuple[Room, ...]] | None = None
    anything: dict[str, Any] | None = None


MAIN = {"name": "hall", "seats": 9}
HOUSE = {"name": "villa", "main": MAIN, "height": 7.5, "open": True, "attic": None}
FULL = {
    **HOUSE,
    "attic": {"name": "attic", "seats": 0},
    "rooms": [MAIN, {"name": "bath", "seats": 1}],
    "words": ["warm", "dry"],
    "by_floor": {"ground": [MAIN], "first": []},
    "anything": {"deep": {"er": [1, None, "x"]}},
}


def test_a_shape_goes_through_json_unchanged() -> None:
    house = from_dict(House, json.loads(json.dumps(FULL)))

    assert house.rooms == (Room("hall", 9), Room("bath", 1))
    assert house.by_floor == {"ground": (Room("hall", 9),), "first": ()}
    assert to_dict(house) == FULL
    assert from_dict(House, json.loads(json.dumps(to_dict(house)))) == house


def test_what_is_absent_is_defaulted_and_what_is_unknown_ignored() -> None:
    house = from_dict(House, {**HOUSE, "colour": "red", "main": {"name": "hall", "doors": 2}})

    assert house == House("villa", Room("hall", 4), 7.5, True, None)


def test_a_whole_number_may_stand_for_a_fraction() -> None:
    assert from_dict(House, {**HOUSE, "height": 7}).height == 7


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"seats": 1}, "Room has no name."),
        ("hall", "Room is 'hall', not a mapping."),
        ({"name": None}, "Room.name is None, not a text."),
        ({"name": "hall", "seats": "4"}, "Room.seats is '4', not a whole number."),
        ({"name": "hall", "seats": True}, "Room.seats is True, not a whole number."),
    ],
)
def test_what_does_not_fit_is_named_with_the_remedy(data: Any, message: str) -> None:
    with pytest.raises(HubError) as refused:
        from_dict(Room, data)

    assert str(refused.value) == (
        f"{message} It was made by another version of the collection: run again with this one."
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"main": {}}, "House.main has no name."),
        ({"open": 1}, "House.open is 1, not true or false."),
        ({"height": "7.5"}, "House.height is '7.5', not a number."),
        ({"rooms": MAIN}, "House.rooms is {'name': 'hall', 'seats': 9}, not a list."),
        ({"rooms": [MAIN, {}]}, "House.rooms[1] has no name."),
        ({"words": "warm"}, "House.words is 'warm', not a list."),
        ({"by_floor": {"first": [{}]}}, "House.by_floor['first'][0] has no name."),
        ({"by_floor": []}, "House.by_floor is [], not a mapping."),
    ],
)
def test_the_place_within_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HubError) as refused:
        from_dict(House, {**HOUSE, **changes})

    assert refused.value.message == message


def test_a_key_may_be_a_word_of_python_s_own() -> None:
    @dataclass(frozen=True)
    class Move:
        from_: str
        imports: str

    move = from_dict(Move, {"from": "hall", "imports": "chairs"})
    assert (move.from_, to_dict(move)) == ("hall", {"from": "hall", "imports": "chairs"})
    with pytest.raises(HubError, match=r"Move has no from\."):
        from_dict(Move, {"from_": "hall", "imports": "chairs"})


def test_a_shape_that_cannot_be_read_is_a_mistake_of_ours() -> None:
    @dataclass(frozen=True)
    class Odd:
        what: str | int

    with pytest.raises(TypeError, match=r"str \| int"):
        from_dict(Odd, {"what": 1})


def test_a_change_is_a_new_shape() -> None:
    assert to_dict(replace(Room("hall"), seats=2)) == {"name": "hall", "seats": 2}
