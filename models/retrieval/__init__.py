"""From the catalog to hundreds: ways to propose items, all scoring from a ``UserBatch``."""

from types import MappingProxyType
from typing import Final

from models.retrieval.als import AlsRetriever
from models.retrieval.base import FitContext, Retriever, Scores, hide_non_items
from models.retrieval.config import PRESETS, RetrievalPreset
from models.retrieval.item_item import EaseRetriever, NeighboursRetriever, TransitionsRetriever
from models.retrieval.next_item import NextItemRetriever
from models.retrieval.personal import PersonalRetriever
from models.retrieval.popularity import PopularityRetriever
from models.retrieval.sequence import SequenceRetriever

RETRIEVERS: Final = MappingProxyType(
    {
        PopularityRetriever.name: PopularityRetriever,
        PersonalRetriever.name: PersonalRetriever,
        AlsRetriever.name: AlsRetriever,
        NeighboursRetriever.name: NeighboursRetriever,
        EaseRetriever.name: EaseRetriever,
        TransitionsRetriever.name: TransitionsRetriever,
        SequenceRetriever.name: SequenceRetriever,
        NextItemRetriever.name: NextItemRetriever,
    }
)
"""name → class; ``PRESETS[preset].of(name)`` is its configuration."""

__all__ = [
    "PRESETS",
    "RETRIEVERS",
    "FitContext",
    "RetrievalPreset",
    "Retriever",
    "Scores",
    "hide_non_items",
]
