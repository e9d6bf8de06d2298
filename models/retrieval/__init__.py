"""From the catalog to hundreds: ways to propose items, all scoring from a ``UserBatch``."""

from types import MappingProxyType
from typing import Final

from domain.errors import BadInputError
from models.retrieval.als import AlsRetriever
from models.retrieval.base import FitContext, Retriever, Scores, hide_non_items
from models.retrieval.bayes import BayesRetriever
from models.retrieval.behaviour import ConvolutionRetriever, GruRetriever
from models.retrieval.config import PRESETS, RetrievalPreset
from models.retrieval.content import ContentRetriever
from models.retrieval.counted import CountedRetriever
from models.retrieval.factorisation import FactorisationRetriever
from models.retrieval.generated import GanRetriever, VaeRetriever
from models.retrieval.gpt2 import Gpt2Retriever
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
        CountedRetriever.name: CountedRetriever,
        ContentRetriever.name: ContentRetriever,
        FactorisationRetriever.name: FactorisationRetriever,
        BayesRetriever.name: BayesRetriever,
        VaeRetriever.name: VaeRetriever,
        GanRetriever.name: GanRetriever,
        SequenceRetriever.name: SequenceRetriever,
        NextItemRetriever.name: NextItemRetriever,
        Gpt2Retriever.name: Gpt2Retriever,
        GruRetriever.name: GruRetriever,
        ConvolutionRetriever.name: ConvolutionRetriever,
    }
)
"""name → class; ``PRESETS[preset].of(name)`` is its configuration."""


def retriever_class(name: str) -> type[Retriever]:
    """The retriever of that name.

    Raises:
        BadInputError: If there is none; says which there are.
    """
    if name not in RETRIEVERS:
        raise BadInputError(f"there is no model {name!r}; there are {', '.join(RETRIEVERS)}")
    kind: type[Retriever] = RETRIEVERS[name]
    return kind


__all__ = [
    "PRESETS",
    "RETRIEVERS",
    "FitContext",
    "RetrievalPreset",
    "Retriever",
    "Scores",
    "hide_non_items",
    "retriever_class",
]
