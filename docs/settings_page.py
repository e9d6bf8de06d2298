"""Write docs/settings.md from the settings themselves: ``python -m docs.settings_page``."""

import types
import typing
from enum import Enum
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from domain.settings import Settings

PAGE: Final = Path(__file__).with_name("settings.md")
_HEAD: Final = """# Settings

One environment variable each; `make docs` writes this page from `domain/settings.py`. What a
home remembers of its shop (`shop.json`: source, data, sizes) stands below the environment and
above the defaults. A secret is never logged.

| variable | takes | default | what it is |
|---|---|---|---|
"""


def settings_page() -> str:
    """The page's text."""
    return _HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, Enum):
        default = default.value
    if isinstance(default, Path):
        default = default.name
    shown = "none" if default is None or default == "" else f"`{default}`"
    description = (field.description or "").replace("|", r"\|")
    return f"| `VITRINE_{name.upper()}` | {_takes(field.annotation)} | {shown} | {description} |\n"


def _takes(annotation: object) -> str:
    """A type in a reader's words."""
    origin = get_origin(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if origin in {typing.Union, types.UnionType}:
        return _takes(next(kind for kind in get_args(annotation) if kind is not type(None)))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{value.value}`" for value in annotation)
    names = {int: "a whole number", float: "a number", str: "text", Path: "a path"}
    if annotation is SecretStr:
        return "a secret"
    return (
        names.get(annotation, str(annotation)) if isinstance(annotation, type) else str(annotation)
    )


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
