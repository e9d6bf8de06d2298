"""All mutations by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from quality.mutations.days import DAYS
from quality.mutations.deliveries import DELIVERIES
from quality.mutations.finer import FINER
from quality.mutations.invoices import INVOICES
from quality.mutations.kinds import Mutation
from quality.mutations.landed import GONE, LANDED
from quality.mutations.models import MODELS
from quality.mutations.published import PUBLISHED

_ALL: Final = (*DELIVERIES, *DAYS, *FINER, *INVOICES, *LANDED, *MODELS, *PUBLISHED, *GONE)

MUTATIONS: Final[Mapping[str, Mutation]] = MappingProxyType({one.name: one for one in _ALL})
"""The faults that every shop meets first, then one for each rule that none of them is about."""


def needing(rule: str) -> list[Mutation]:
    """The mutations that this rule must notice."""
    return [one for one in MUTATIONS.values() if one.by == rule]
