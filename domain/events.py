"""The seven kinds of events and what each says about a user's taste."""

from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class EventType(StrEnum):
    """One raw append-only fact. GA4 and UBI names are in docs/glossary.md."""

    IMPRESSION = "impression"
    CLICK = "click"
    VIEW = "view"
    ADD_TO_CART = "add_to_cart"
    PURCHASE = "purchase"
    RETURN = "return"
    SEARCH = "search"


class Surface(StrEnum):
    """Where something is shown."""

    HOME = "home"
    ITEM_PAGE = "item_page"
    SEARCH = "search"
    CART = "cart"


class Source(StrEnum):
    """Whose rows they are. The first three are shops; the last is our own service."""

    SIMULATED = "simulated"
    ONLINE_RETAIL = "online_retail"
    FILES = "files"
    STOREFRONT = "storefront"


SHOP_SOURCES: Final = (Source.SIMULATED, Source.ONLINE_RETAIL, Source.FILES)

INTERACTION_WEIGHTS: Final = MappingProxyType(
    {EventType.CLICK: 1.0, EventType.ADD_TO_CART: 3.0, EventType.PURCHASE: 5.0}
)
"""The event types that say something good, and how much. dbt reads the same numbers as vars."""

SESSION_GAP: Final = timedelta(minutes=30)
"""A user's events further apart than this belong to different sessions."""
