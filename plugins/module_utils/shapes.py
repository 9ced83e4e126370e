"""Frozen dataclasses read from JSON and written to it.

What a module gets and what is kept on a host is read once, where it comes in; the rest of the code
has fields.

A field's annotation is a name, ``X | None``, ``tuple[X, ...]``, ``list[X]`` or ``dict[str, X]``, and is read
as the text that ``from __future__ import annotations`` leaves of it: Python 3.8 cannot evaluate ``X | None``.
A field whose key is a word of Python's own ends with an underscore: ``from_`` is the key ``from``.
"""

from __future__ import annotations

import builtins
import re
import sys
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, Callable, TypeVar

from .errors import HubError

ANOTHER_VERSION = "It was made by another version of the collection: run again with this one."

_Shape = TypeVar("_Shape")
_Reader = Callable[[Any, str], Any]

_COLLECTION = re.compile(r"(tuple|list)\[(.+?)(?:, \.\.\.)?\]")
_MAPPING = re.compile(r"dict\[str, (.+)\]")
#: What JSON has; a whole number may stand for a fraction, and only true and false are truth values.
_PLAIN: dict[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a text"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    bool: ((bool,), "true or false"),
}


def from_dict(shape: type[_Shape], data: Any) -> _Shape:
    """The ``shape`` that ``data`` describes, and within it the shapes of its fields.

    Keys that the shape does not know are ignored; a field with a default may be absent. Raises HubError
    that names what is missing or of another kind.
    """
    read: _Shape = _read(shape, data, shape.__name__)
    return read


def to_dict(shape: Any) -> dict[str, Any]:
    """What JSON and Ansible take for ``shape``: the inverse of `from_dict`."""
    return {_key(field.name): plain(getattr(shape, field.name)) for field in fields(shape)}


def _key(name: str) -> str:
    """The key in JSON of a field."""
    return name[:-1] if name.endswith("_") else name


def plain(value: Any) -> Any:
    """What JSON has of a value and of the shapes within it."""
    if is_dataclass(value):
        return to_dict(value)
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value


def _read(shape: Any, data: Any, where: str) -> Any:
    _require(data, (dict,), where, "a mapping")
    values = {}
    for name, (reader, required) in _readers(shape).items():
        key = _key(name)
        if key in data:
            values[name] = reader(data[key], f"{where}.{key}")
        elif required:
            raise HubError(f"{where} has no {key}.", ANOTHER_VERSION)
    return shape(**values)


@lru_cache(maxsize=None)
def _readers(shape: Any) -> dict[str, tuple[_Reader, bool]]:
    """How each field of ``shape`` is read, and whether it has to be there."""
    names: dict[str, Any] = {}
    for base in reversed(shape.__mro__):
        names.update(vars(sys.modules[base.__module__]))
    return {
        field.name: (
            _reader(str(field.type), names),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(shape)
        if field.init
    }


def _reader(annotation: str, names: dict[str, Any]) -> _Reader:
    """How a value of that annotation is read; ``names`` are those of the module that has it."""
    if annotation.endswith(" | None"):
        present = _reader(annotation[: -len(" | None")], names)
        return lambda value, where: None if value is None else present(value, where)
    if found := _COLLECTION.fullmatch(annotation):
        collection: Any = {"tuple": tuple, "list": list}[found[1]]
        each = _reader(found[2], names)
        return lambda value, where: collection(
            each(item, f"{where}[{index}]")
            for index, item in enumerate(_require(value, (list, tuple), where, "a list"))
        )
    if found := _MAPPING.fullmatch(annotation):
        each = _reader(found[1], names)
        return lambda value, where: {
            key: each(item, f"{where}[{key!r}]")
            for key, item in _require(value, (dict,), where, "a mapping").items()
        }
    kind = names.get(annotation, getattr(builtins, annotation, None))
    if kind is Any:
        return lambda value, where: value
    if is_dataclass(kind):
        return lambda value, where: _read(kind, value, where)
    if kind not in _PLAIN:
        raise TypeError(f"{annotation} is not what a shape can hold.")
    kinds, wanted = _PLAIN[kind]
    return lambda value, where: _require(value, kinds, where, wanted)


def _require(value: Any, kinds: tuple[type, ...], where: str, wanted: str) -> Any:
    """``value``, which has to be one of ``kinds``; Python's bool is an int, JSON's is not."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise HubError(f"{where} is {value!r}, not {wanted}.", ANOTHER_VERSION)
    return value
