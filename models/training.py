"""The whole training run: from examples before the cutoff to a folder to be judged and served.

Stages, each done once however often the run is killed:

1. ``catalog``: the items and their text embeddings
2. ``features``: what Feast knew about users and items at each snapshot
3. ``early_retrieval``: the sources, fitted before each snapshot
4. ``lists``: candidates, features and labels of each window
5. ``dnn``, ``transformer``: the rankers; ``smaller``, where the preset asks for it: a transformer
   to release instead; ``fusion``: calibrations and α on the validation window
6. ``retrieval_<name>``: the sources again, on everything before the cutoff
"""

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file

from domain.files import exclusive, replacing_file, sweep, write_json
from domain.progress import silent
from domain.stamp import schema_hash
from models.catalog import Catalog
from models.data import TrainingData
from models.device import choose_device, training_threads
from models.loop import History, ProgressCall
from models.presets import TrainingPreset
from models.ranking.config import SmallerConfig
from models.ranking.dnn import FeatureNetwork
from models.ranking.features import counted_of, feature_names, item_slice
from models.ranking.judge import Scored, fit_fusion, mean_ndcg, score_lists
from models.ranking.lists import concatenate
from models.ranking.prepare import (
    Join,
    Preparation,
    fit_early_sources,
    fit_source,
    join_features,
    make_all_lists,
    read_lists,
)
from models.ranking.smaller import save_smaller
from models.ranking.train import TrainContext, fit_dnn, fit_transformer
from models.ranking.transformer import CandidateTransformer
from models.ranking.windows import plan_windows
from models.retrieval import FitContext
from models.retrieval.config import RetrieverConfig, SequenceConfig
from models.retrieval.sequence import SequenceRetriever
from models.runs import ENCODER, RUN_JSON, RunInfo, read_run
from models.stages import Stages
from models.text import Encoder

logger = logging.getLogger(__name__)

ALPHAS: Final = tuple(step / 20 for step in range(21))


@dataclass(frozen=True)
class Provenance:
    """Where a run comes from; written into ``run.json``.

    ``features``: feature view → feature → dtype of the store that was joined.
    """

    preset_name: str
    git_commit: str
    features: Mapping[str, Mapping[str, str]]


def train(
    data: TrainingData,
    *,
    preset: TrainingPreset,
    folder: Path,
    join: Join,
    encoder: Encoder,
    cache: Path | None,
    provenance: Provenance,
    threads: int = 0,
    progress: ProgressCall = silent,
) -> RunInfo:
    """Train a whole run into ``folder``; a finished run is returned as it is.

    Args:
        data: Everything before the cutoff.
        preset: The configuration.
        folder: ``runs/<run>``.
        join: Feast's point-in-time join: ``join(entities, service=…)``.
        encoder: Embeds the items' texts.
        cache: Where text embeddings are kept between runs.
        provenance: What else ``run.json`` says.
        threads: CPU threads; 0 takes every core. A run that is to go on needs as many as before.
        progress: Told where the work is.
    """
    with training_threads(threads), exclusive(folder.parent / f".{folder.name}.lock"):
        if (folder / RUN_JSON).exists():
            logger.info("run %s is finished already", folder.name)
            (folder / RUN_JSON).touch()  # Asked for last: `vitrine evaluate` takes this one.
            return read_run(folder)
        sweep(folder)
        run = _Run(
            data, preset=preset, folder=folder, encoder=encoder, cache=cache, progress=progress
        )
        run.do_all(join)
        run.finish(provenance)
    return read_run(folder)


class _Run:
    """One run under way: where its files are and what its stages share."""

    def __init__(
        self,
        data: TrainingData,
        *,
        preset: TrainingPreset,
        folder: Path,
        encoder: Encoder,
        cache: Path | None,
        progress: ProgressCall,
    ) -> None:
        self.data, self.preset, self.folder = data, preset, folder
        self.encoder, self.cache, self.progress = encoder, cache, progress
        self.checkpoints = folder / "checkpoints"
        total = 7 + (preset.smaller is not None) + len(preset.sources)
        self.stages = Stages(self.checkpoints, progress=progress, total=total)
        self.windows = plan_windows(
            first_day=data.first_day, until=data.until, config=preset.windows
        )

    @cached_property
    def catalog(self) -> Catalog:
        return Catalog.read(self.folder / "catalog.parquet")

    @cached_property
    def text_VE(self) -> npt.NDArray[np.float32]:
        text_VE: npt.NDArray[np.float32] = load_file(self.folder / "text.safetensors")["text_VE"]
        return text_VE

    @cached_property
    def work(self) -> Preparation:
        return Preparation(
            self.data,
            self.catalog,
            self.text_VE,
            self.windows,
            self.preset,
            self.checkpoints,
            self.progress,
        )

    def do_all(self, join: Join) -> None:
        run = self.stages.run
        run("catalog", self._make_catalog)
        run("features", lambda: join_features(self.work, join))
        run("early_retrieval", lambda: fit_early_sources(self.work))
        run("lists", lambda: make_all_lists(self.work))
        run("dnn", self._fit_dnn)
        run("transformer", self._fit_transformer)
        if (smaller := self.preset.smaller) is not None:
            run("smaller", lambda: self._make_smaller(smaller))
        run("fusion", self._fit_fusion)
        for name in self.preset.sources:
            run(f"retrieval_{name}", self._refit(name))

    def _make_catalog(self) -> Mapping[str, object]:
        catalog = Catalog.from_table(self.data.items)
        catalog.write(self.folder / "catalog.parquet")
        text_VE = self.encoder.embed_catalog(catalog, self.cache, progress=self.progress)
        with replacing_file(self.folder / "text.safetensors") as aside:
            save_file({"text_VE": text_VE}, aside)
        # The default encoder is a package that every bundle installs; any other must come along.
        if not self.encoder.is_default:
            self.encoder.save(self.folder / ENCODER)
        return {"items": len(catalog.table)}

    def _context(self, stage: str) -> TrainContext:
        return TrainContext(
            seed=self.preset.seed,
            checkpoint=self.checkpoints / f"{stage}.checkpoint",
            progress=self.progress,
        )

    def _fit_dnn(self) -> Mapping[str, object]:
        train_lists, validation = read_lists(self.work)
        network, history = fit_dnn(
            train_lists,
            concatenate(list(validation.values())),
            feature_names=feature_names(self.preset.sources),
            config=self.preset.dnn,
            context=self._context("dnn"),
        )
        network.save(self.folder / "ranking" / "dnn")
        return history.to_json()

    def _fit_transformer(self) -> Mapping[str, object]:
        train_lists, validation = read_lists(self.work)
        transformer, history = fit_transformer(
            train_lists,
            concatenate(list(validation.values())),
            text_VE=self.text_VE,
            item_columns=item_slice(self.preset.sources),
            config=self.preset.transformer,
            context=self._context("transformer"),
        )
        transformer.save(self._whole_transformer)
        return history.to_json()

    @property
    def _whole_transformer(self) -> Path:
        """The trained transformer: released, or the teacher of the one that is."""
        ranking = self.folder / "ranking"
        return (self.checkpoints if self.preset.smaller is not None else ranking) / "transformer"

    def _make_smaller(self, config: SmallerConfig) -> Mapping[str, object]:
        train_lists, validation = read_lists(self.work)
        teacher = CandidateTransformer.load(
            self._whole_transformer, text_VE=torch.from_numpy(self.text_VE)
        )
        return save_smaller(
            teacher,
            train_lists,
            concatenate(list(validation.values())),
            item_columns=item_slice(self.preset.sources),
            config=config,
            context=self._context("smaller"),
            folder=self.folder / "ranking" / "transformer",
        )

    def _fit_fusion(self) -> Mapping[str, object]:
        dnn = FeatureNetwork.load(self.folder / "ranking" / "dnn")
        transformer = CandidateTransformer.load(
            self.folder / "ranking" / "transformer", text_VE=torch.from_numpy(self.text_VE)
        )
        scored = []
        for lists in read_lists(self.work)[1].values():
            dnn_LC = score_lists(dnn, lists)
            transformer_LC = score_lists(
                transformer, lists, item_columns=item_slice(self.preset.sources)
            )
            counted_LC = counted_of(lists.features_LCF, self.preset.sources)
            scored.append(
                Scored(dnn_LC, transformer_LC, lists.labels_LC, lists.mask_LC, counted_LC)
            )
        fusion = fit_fusion(scored)
        fusion.save(self.folder / "fusion.json")
        ndcg = [mean_ndcg(replace(fusion, alpha=alpha), scored) for alpha in ALPHAS]
        learned = {"alpha": fusion.alpha, "counted_weight": fusion.counted_weight}
        return {**learned, "alphas": list(ALPHAS), "validation_ndcg": ndcg}

    def _refit(self, name: str) -> Callable[[], Mapping[str, object]]:
        def fit() -> Mapping[str, object]:
            retriever = fit_source(
                name,
                self.data.interactions,
                self.catalog,
                until=self.data.until,
                config=self._refit_config(name),
                context=FitContext(
                    text_VE=self.text_VE,
                    checkpoint=self.checkpoints / f"final-{name}.checkpoint",
                    progress=self.progress,
                ),
            )
            retriever.save(self.folder / "retrieval" / name)
            history = getattr(retriever, "history", History())
            return dict(history.to_json())

        return fit

    def _refit_config(self, name: str) -> RetrieverConfig:
        """Same settings; the epochs that were best before the first snapshot, now on all days."""
        config = self.preset.retrieval.of(name)
        if not isinstance(config, SequenceConfig):
            return config
        early = self.checkpoints / "retrieval" / str(self.windows.first_snapshot) / name
        history = SequenceRetriever.load(early).history
        epochs = max(1, history.best_epoch + 1)
        loop = replace(config.loop, epochs=epochs, patience=0)
        return replace(config, validation_days=0, loop=loop)

    def finish(self, provenance: Provenance) -> None:
        device = choose_device()
        seconds = self.stages.seconds()
        notes = self.stages.notes()
        write_json(self.folder / "curves.json", notes)
        content = {
            "run": self.folder.name,
            "until": self.data.until.isoformat(),
            "preset": provenance.preset_name,
            "config": json.loads(json.dumps(asdict(self.preset))),
            "seed": self.preset.seed,
            "git_commit": provenance.git_commit,
            "data_hash": self.data.hash(),
            "features": {view: dict(types) for view, types in provenance.features.items()},
            "feature_schema_hash": schema_hash(provenance.features),
            "encoder_hash": self.encoder.hash,
            "device": device.device.type,
            "device_reason": device.reason,
            "sources": list(self.preset.sources),
            "windows": [[str(w.start), str(w.end)] for w in self.work.all_windows],
            "rows": {
                "interactions": len(self.data.interactions),
                "shown": len(self.data.shown),
                "items": len(self.catalog.table),
                **notes["lists"],
            },
            "seconds": seconds,
            "seconds_total": round(sum(seconds.values()), 3),
        }
        write_json(self.folder / RUN_JSON, content)
        shutil.rmtree(self.checkpoints, ignore_errors=True)
