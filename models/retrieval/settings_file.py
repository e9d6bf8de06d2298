"""A retriever's settings in a file: what differs from a preset, as JSON a person can write.

    {"model": "ease", "settings": {"regularization": 50.0, "power": 1.0}}

What a file does not name stays as the preset has it. ``vitrine tune`` writes such a file, with how
it came to it beside.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from domain.errors import BadInputError
from domain.files import write_json

C = TypeVar("C")
Value = int | float | None
_WORDS: Final = {
    bool: "true or false",
    int: "a whole number of 0 or more",
    float: "a number of 0 or more",
    NoneType: "null",
}


def value_of(config: object, name: str) -> Value:
    """A configuration's value by its name; a dot goes one configuration deeper.

    Example:
        >>> from models.retrieval.config import PersonalConfig
        >>> value_of(PersonalConfig(), "popularity.window_days")
        7
    """
    found: Any = config
    for part in name.split("."):
        found = getattr(found, part)
    value: Value = found
    return value


def nested(values: Mapping[str, object]) -> dict[str, Any]:
    """Names with dots as mappings in mappings.

    Example:
        >>> nested({"width": 8, "loop.epochs": 2, "loop.patience": 0})
        {'width': 8, 'loop': {'epochs': 2, 'patience': 0}}
    """
    content: dict[str, Any] = {}
    for name, value in values.items():
        *parts, last = name.split(".")
        inner = content
        for part in parts:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return content


def changed(config: C, content: Mapping[str, object], *, where: str = "settings") -> C:
    """The configuration with some values replaced.

    Args:
        config: A frozen dataclass, which may hold others.
        content: Field → value, or → such a mapping for a configuration inside.
        where: What errors call the content.

    Raises:
        BadInputError: If a field does not exist, or its value is of another kind.

    Example:
        >>> from models.retrieval.config import EaseConfig
        >>> changed(EaseConfig(), {"regularization": 50}).regularization
        50.0
    """
    if not is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"{where}: {config!r} holds no fields")
    known = {field.name for field in fields(config)}
    if unknown := sorted(set(content) - known):
        raise BadInputError(
            f"{where}: there is no {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )
    hints = get_type_hints(type(config))
    values: dict[str, object] = {}
    for name, value in content.items():
        inner, place = getattr(config, name), f"{where}.{name}"
        if is_dataclass(inner):
            if not isinstance(value, Mapping):
                raise BadInputError(f"{place}: expected fields of its own, got {value!r}")
            values[name] = changed(inner, value, where=place)
        else:
            values[name] = _fitting(value, hints[name], place)
    made: C = replace(config, **values)
    return made


def _fitting(value: object, hint: Any, place: str) -> object:
    """The value as the hint wants it."""
    if get_origin(hint) is tuple:
        if isinstance(value, list | tuple):
            return tuple(_fitting(each, get_args(hint)[0], place) for each in value)
        raise BadInputError(f"{place}: expected a list, got {value!r}")
    kinds = get_args(hint) or (hint,)
    if value is None or isinstance(value, bool):
        if type(value) in kinds:
            return value
    elif isinstance(value, int | float) and math.isfinite(value) and value >= 0:
        if int in kinds and float(value).is_integer():
            return int(value)
        if float in kinds:
            return float(value)
    words = " or ".join(_WORDS[kind] for kind in kinds)
    raise BadInputError(f"{place}: expected {words}, got {value!r}")


def read_settings(path: Path, config: C, *, model: str) -> C:
    """The configuration with what a settings file changes.

    Raises:
        BadInputError: If it cannot be read, is of another model, or does not fit.
    """
    return changed(config, read_content(path, model=model), where=f"{path}: settings")


def read_content(path: Path, *, model: str) -> Mapping[str, Any]:
    """What a settings file changes, by field.

    Raises:
        BadInputError: If it cannot be read or is of another model.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} is no file of settings: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
        raise BadInputError(
            f'{path} is no file of settings: expected {{"model": …, "settings": {{…}}}}'
        )
    if content.get("model") != model:
        raise BadInputError(f"{path} holds settings of {content.get('model')!r}, not of {model!r}")
    settings: Mapping[str, Any] = content["settings"]
    return settings


def write_settings(path: Path, config: Any, *, model: str, about: Mapping[str, object]) -> None:
    """Write all of a configuration; ``about``: how it was come to, for a person to read."""
    write_json(path, {"model": model, "settings": asdict(config), "about": dict(about)})
