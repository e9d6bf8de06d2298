"""Two people changed one registry: keep what both did.

Feast reads the whole registry, changes it in memory and writes it back, so of two writers the
second silently undoes the first (20 of 40 updates kept, seen with Feast 0.67). Here what the second
one *changed* is applied to what now stands there.
"""

from collections.abc import Hashable, Iterable
from typing import Any

from feast.protos.feast.core.Registry_pb2 import Registry


def merged(base: Registry, theirs: Registry, ours: Registry) -> Registry:
    """``theirs`` with what was added, changed or deleted between ``base`` and ``ours``.

    Of one object changed by both, ours stays: as if we had come a moment later.
    """
    both = Registry()
    both.CopyFrom(theirs)
    for field in Registry.DESCRIPTOR.fields:
        if field.message_type is None or field.name == "last_updated":
            continue
        before, there, here = (getattr(one, field.name) for one in (base, theirs, ours))
        kept = getattr(both, field.name)
        if _is_list(there):
            _merge_lists(before, there, here, into=kept)
        else:
            _merge_holders(before, there, here, into=kept)
    return both


def _merge_holders(before: Any, there: Any, here: Any, *, into: Any) -> None:
    """Messages that only hold a list: the infrastructure, the history of versions."""
    for field in into.DESCRIPTOR.fields:
        lists = (getattr(one, field.name) for one in (before, there, here))
        _merge_lists(*lists, into=getattr(into, field.name))


def _merge_lists(before: Any, there: Any, here: Any, *, into: Any) -> None:
    known, standing, wanted = _by_key(before), _by_key(there), _by_key(here)
    for key in known.keys() - wanted.keys():
        standing.pop(key, None)
    changed = {key: value for key, value in wanted.items() if known.get(key) != value}
    result = list((standing | changed).values())
    # In one step: ``into`` may be the very list that ``standing`` points into.
    copies = [type(value).FromString(value.SerializeToString()) for value in result]
    del into[:]
    into.extend(copies)


def _by_key(values: Iterable[Any]) -> dict[Hashable, Any]:
    return {_key(value): value for value in values}


def _key(value: Any) -> Hashable:
    """Project and name, wherever this kind of object keeps them; else the whole content."""
    named = value.spec if "spec" in value.DESCRIPTOR.fields_by_name else value
    names = named.DESCRIPTOR.fields_by_name
    if "name" in names:
        return (named.project if "project" in names else "", named.name)
    if "project_uuid" in names:
        return (value.project,)
    content: bytes = value.SerializeToString(deterministic=True)
    return content


def _is_list(value: Any) -> bool:
    return hasattr(value, "extend")
