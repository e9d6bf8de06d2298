"""Serve what the ledger says is live, and follow it: a new release or a rollback restarts it."""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.errors import BadInputError, TamperedReleaseError
from domain.settings import Settings
from models.artifacts import file_hash
from release.bundle import BundleError, bundle_path, import_bundle
from release.ledger import Entry, live, released
from release.server import Server, start

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Place:
    """Where the server stands and what it is told."""

    host: str
    port: int
    online_store: str


def follow(
    settings: Settings, place: Place, *, release_id: str | None, stop: threading.Event
) -> None:
    """Serve until ``stop`` is set; without a release named, whatever is live.

    A release that does not start leaves the one before it serving; a server that dies is started
    again.

    Raises:
        BadInputError: If nothing is live, or there is no such release.
        BundleError: If the first release does not start.
        TamperedReleaseError: If a bundle is not the one that was released.
    """
    entry = wanted(settings.releases, release_id)
    server = _started(settings, place, entry, stop)
    failed = ""
    try:
        while not stop.wait(POLL_SECONDS):
            newest = wanted(settings.releases, release_id)
            is_other = newest.release_id not in (entry.release_id, failed)
            if server.is_running() and not is_other:
                continue
            logger.info("serving %s instead of %s", newest.release_id, entry.release_id)
            server.stop()
            try:
                server, entry = _started(settings, place, newest, stop), newest
            except (BundleError, TamperedReleaseError) as error:
                logger.error(
                    "%s does not start, %s stays: %s", newest.release_id, entry.release_id, error
                )
                failed = newest.release_id
                server = _started(settings, place, entry, stop)
    finally:
        server.stop()


def wanted(releases: Path, release_id: str | None) -> Entry:
    """The entry to serve.

    Raises:
        BadInputError: If there is none.
    """
    entry = released(releases, release_id) if release_id else live(releases)
    if entry is None:
        what = f"{release_id} was never released" if release_id else "nothing is live yet"
        raise BadInputError(f"{what} (ledger in {releases}): run vitrine release first")
    return entry


def _started(settings: Settings, place: Place, entry: Entry, stop: threading.Event) -> Server:
    bundle = bundle_path(settings.releases, entry.release_id)
    if not bundle.exists():
        raise BundleError(f"{bundle} is missing")
    found = file_hash(bundle)
    if found != entry.bundle_sha256:
        raise TamperedReleaseError(
            f"{bundle} is not the bundle that was released: expected {entry.bundle_sha256}, "
            f"got {found}"
        )
    tag = import_bundle(bundle, home=settings.bentoml)
    server = start(
        tag,
        home=settings.bentoml,
        host=place.host,
        port=place.port,
        log=_log(settings),
        settings={
            "VITRINE_HOME": str(settings.root),
            "VITRINE_ONLINE_STORE": place.online_store,
            "VITRINE_SERVE_WORKERS": str(settings.serve_workers),
            "VITRINE_HOST": place.host,
        },
    )
    try:
        server.wait_until_ready(stop=stop)
    except BaseException:
        # Whatever ends the wait (a refusal, Ctrl-C) must not leave a server behind.
        server.stop()
        raise
    return server


def _log(settings: Settings) -> Path:
    path = settings.root / "logs" / "serve.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
