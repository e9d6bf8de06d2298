"""One module a source. Each reads what its source has and knows nothing of the lake."""

from pathlib import Path

from domain.errors import BadInputError
from domain.events import Source
from domain.settings import Settings
from ingest.raw import Connector


def open_connector(settings: Settings) -> Connector:
    """The connector of the settings' shop.

    Raises:
        BadInputError: If the source needs ``data`` and there is none, or is no shop.
    """
    if settings.source == Source.SIMULATED:
        from ingest.connectors.simulated import Simulated

        return Simulated(preset=settings.simulator_preset, seed=settings.simulator_seed)
    if settings.source == Source.ONLINE_RETAIL:
        from ingest.connectors.online_retail import OnlineRetail

        return OnlineRetail(_data(settings))
    if settings.source == Source.FILES:
        from ingest.connectors.files import Files

        return Files(_data(settings))
    raise BadInputError(f"'{settings.source}' is no shop: its events land with the shop's own")


def _data(settings: Settings) -> Path:
    if settings.data is None:
        raise BadInputError(
            f"source '{settings.source}' needs a folder or a file: --data PATH (or VITRINE_DATA)"
        )
    if not settings.data.exists():
        raise BadInputError(f"{settings.data}: no such file or folder")
    return settings.data
