"""Back to a release that served before: a ledger entry, no training, no building."""

from datetime import datetime
from pathlib import Path

from domain.errors import BadInputError
from domain.seal import require_sealed
from models.artifacts import file_hash
from release.bundle import bundle_path
from release.ledger import Action, Entry, append, history, live, released


def roll_back(releases: Path, *, to: str | None, why: str, now: datetime) -> Entry:
    """Make an earlier release live again; ``vitrine serve`` follows.

    Args:
        releases: The folder of releases.
        to: Which; None takes the one that was live before the present one.
        why: One sentence for the ledger.
        now: The moment.

    Raises:
        BadInputError: If there is no such release, or it is live already.
        TamperedReleaseError: If its files are not the ones that were sealed.
    """
    if not why.strip():
        raise BadInputError("a rollback needs a reason: --why")
    present = live(releases)
    if present is None:
        raise BadInputError(f"nothing was released yet in {releases}")
    wanted = to or _before(releases, present)
    if wanted == present.release_id:
        raise BadInputError(f"{wanted} is live already")
    entry = released(releases, wanted)
    if entry is None:
        raise BadInputError(f"{wanted} was never released; see {releases}")
    require_sealed(releases / wanted)
    _require_bundle(releases, entry)
    back = Entry(
        action=Action.ROLLED_BACK,
        release_id=wanted,
        run=entry.run,
        why=why,
        at="",
        seal=entry.seal,
        bundle_sha256=entry.bundle_sha256,
        champion=present.release_id,
    )
    return append(releases, back, now=now)


def _before(releases: Path, present: Entry) -> str:
    """The release the present one took over from: rolling back twice goes back two steps."""
    origin = released(releases, present.release_id)
    before = origin.champion if origin else ""
    if not before:
        known = sorted({entry.release_id for entry in history(releases)})
        raise BadInputError(f"{present.release_id} is the first release; name one of {known}")
    return before


def _require_bundle(releases: Path, entry: Entry) -> None:
    bundle = bundle_path(releases, entry.release_id)
    if not bundle.exists() or file_hash(bundle) != entry.bundle_sha256:
        raise BadInputError(f"{bundle} is missing or not the bundle that was released")
