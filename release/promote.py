"""From a trained run to the live release: gate → folder → bundle → second check → ledger.

Every step is atomic and the ledger comes last, so a kill anywhere leaves the champion live, and an
ordinary rerun ends in the same state. Releasing the same run twice does nothing twice.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.errors import CannotJudgeError, PromotionRefusedError
from domain.files import exclusive, write_json
from domain.manifest import Manifest
from domain.progress import silent
from domain.settings import Settings
from models.artifacts import file_hash
from models.loop import ProgressCall
from models.runs import RunInfo
from release import bundle, ledger, second_check
from release import folder as release_folder
from release.gate import Verdict, decide
from release.judge import Judged, Recommend, judge_all
from release.ledger import Action, Entry

logger = logging.getLogger(__name__)

Goldens = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Serving:
    """What the serving room does for a release; rooms of one layer do not import one another.

    Attributes:
        recommend: The serving pipeline on a day of the past.
        record: Golden requests of a release's folder, answered in this process.
        registry: The feature registry to copy.
        online_store: The store's address.
    """

    recommend: Recommend
    record: Callable[[Path], Goldens]
    registry: Path
    online_store: str


@dataclass(frozen=True)
class Outcome:
    """What came of it. ``is_new`` is False if this run was released before: nothing was done."""

    entry: Entry
    bundle: Path
    is_new: bool
    verdict: tuple[str, ...] = ()


def promote(
    settings: Settings,
    run: RunInfo,
    *,
    serving: Serving,
    now: datetime,
    progress: ProgressCall = silent,
) -> Outcome:
    """Release a run, if the gate and the second check agree.

    Raises:
        PromotionRefusedError: If they do not; the refusal stands in the ledger, the champion stays.
    """
    releases = settings.releases
    with exclusive(releases / ".release.lock"):
        weights_hash = release_folder.judged_hash(run.folder)
        release_id = release_folder.release_id(run, weights_hash)
        done = ledger.released(releases, release_id)
        if done is not None:
            logger.info("%s was released before, at %s", release_id, done.at)
            return Outcome(done, bundle.bundle_path(releases, release_id), is_new=False)
        champion = ledger.live(releases)
        draft = Entry(
            action=Action.REFUSED,
            release_id=release_id,
            run=run.name,
            why="",
            at="",
            champion=champion.release_id if champion else "",
        )
        promotion = _Promotion(settings, run, draft, weights_hash, serving, progress)
        try:
            return promotion.carried_out(now)
        except PromotionRefusedError as error:
            ledger.append(releases, replace(draft, why=str(error)), now=now)
            progress("release", f"refused: {error}")
            raise


@dataclass(frozen=True)
class _Promotion:
    """One run on its way; ``draft`` becomes the ledger's entry."""

    settings: Settings
    run: RunInfo
    draft: Entry
    weights_hash: str
    serving: Serving
    progress: ProgressCall

    def carried_out(self, now: datetime) -> Outcome:
        judged, verdict = self._judged()
        self.progress("release", "passed the gate", done=1, total=4)
        folder = self.settings.releases / self.draft.release_id
        seal_hash = release_folder.make(
            folder,
            self.run,
            manifest=self._manifest(judged, verdict),
            registry=self.serving.registry,
            queries=release_folder.known_queries(self.settings, until=self.run.until),
        )
        built = self._built(folder, seal_hash)
        self.progress("release", f"built {built.name}", done=2, total=4)
        count = self._checked_again(folder, built)
        self.progress("release", f"{count} golden requests answered as expected", done=3, total=4)
        entry = replace(
            self.draft,
            action=Action.RELEASED,
            why="; ".join(verdict.reasons),
            seal=seal_hash,
            bundle_sha256=file_hash(built),
        )
        entry = ledger.append(self.settings.releases, entry, now=now)
        self.progress("release", f"{entry.release_id} is live", done=4, total=4)
        return Outcome(entry, built, is_new=True, verdict=verdict.reasons)

    def _judged(self) -> tuple[Judged, Verdict]:
        champion = self.draft.champion
        self.progress(
            "release", f"judging against {champion or 'recent popularity'}", done=0, total=4
        )
        run_of_champion = (
            self.settings.releases / champion / release_folder.RUN if champion else None
        )
        try:
            judged = judge_all(
                self.settings,
                self.run,
                champion=run_of_champion,
                recommend=self.serving.recommend,
            )
        except CannotJudgeError as error:
            raise PromotionRefusedError(f"cannot be judged: {error}") from error
        verdict = decide(judged.challenger, popularity=judged.popularity, champion=judged.champion)
        if not verdict.is_accepted:
            raise PromotionRefusedError("; ".join(verdict.reasons))
        for reason in verdict.reasons:
            logger.info("gate: %s", reason)
        return judged, verdict

    def _built(self, folder: Path, seal_hash: str) -> Path:
        return bundle.build(
            folder,
            release_id=self.draft.release_id,
            seal_hash=seal_hash,
            into=self.settings.releases,
            scratch=self.settings.cache / "bundle",
        )

    def _checked_again(self, folder: Path, built: Path) -> int:
        goldens = self.serving.record(folder)
        kept = self.settings.releases / f"{self.draft.release_id}.golden.json"
        write_json(kept, {"requests": list(goldens)})
        return second_check.check(
            built,
            goldens,
            online_store=self.serving.online_store,
            scratch=self.settings.cache / "second_check",
        )

    def _manifest(self, judged: Judged, verdict: Verdict) -> Manifest:
        content: Any = self.run.content
        return Manifest(
            release_id=self.draft.release_id,
            run=self.run.name,
            source=self.settings.source.value,
            until=self.run.until,
            preset=content["preset"],
            git_commit=content["git_commit"],
            data_hash=content["data_hash"],
            feature_services=("retrieval", "ranking"),
            features=content["features"],
            weights_hash=self.weights_hash,
            metrics={"judged": judged.metrics, "gate": verdict.to_json()},
            champion=self.draft.champion,
            verdict=verdict.reasons,
        )
