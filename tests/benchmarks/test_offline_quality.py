from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import offline_quality
from benchmarks.offline_quality import GRIDS, LONG, Shop
from domain.errors import BadInputError
from models.retrieval.config import PopularityConfig
from models.retrieval.popularity import PopularityRetriever
from models.sets import read_set

NOTHING = np.zeros((0, 0), np.float32)


@pytest.fixture
def shop():
    return Shop(SimpleNamespace(catalog=None, name="nothing"), NOTHING)


@pytest.mark.parametrize("name", list(GRIDS))
def test_every_setting_of_the_grid_is_one_of_its_model(shop, name):
    fits = shop.fits_of(name)
    grid = GRIDS[name][2]
    assert len(fits) == np.prod([len(values) for values in grid.values()])
    looks = shop.looks_of(name)
    assert looks is None or list(looks) == list(fits)
    assert (looks is not None) == (getattr(GRIDS[name][1], "loop", None) == LONG)


def test_a_row_takes_the_place_of_an_earlier_one_of_its_model(tmp_path, monkeypatch):
    monkeypatch.setattr(offline_quality, "RESULTS", tmp_path)
    monkeypatch.setattr("benchmarks.machine.RESULTS", tmp_path)

    def result(model, ndcg):
        figures = {"mean": ndcg, "low": ndcg, "high": ndcg}
        test = {"recall_at_10": figures, "ndcg_at_10": figures}
        return offline_quality._read(
            {"model": model, "settings": "", "tried": 1, "validation_ndcg": ndcg, "fit_s": 0.0}
            | {"test": test, "seeds": []}
        )

    for model, ndcg in (("a", 0.2), ("b", 0.1), ("a", 0.05)):
        offline_quality.note("set", result(model, ndcg))
    offline_quality.note("another", result("c", 0.3))
    rows = offline_quality.kept_rows()
    assert [(row.model, row.test["ndcg_at_10"].mean) for row in rows["set"]] == [
        ("a", 0.05),
        ("b", 0.1),
    ]
    assert len(rows["another"]) == 1


@pytest.fixture
def small(tmp_path):
    generator = np.random.default_rng(0)
    user = np.repeat(np.arange(60), 6)
    rows = {"user_id": user, "position": np.tile(np.arange(6), 60)}
    rows["item_id"] = np.concatenate([generator.permutation(12)[:6] for _ in range(60)])
    pq.write_table(pa.table(rows), tmp_path / "interactions.parquet")
    pq.write_table(pa.table({"item_id": np.arange(12)}), tmp_path / "items.parquet")
    return Shop(read_set(tmp_path), NOTHING)


def test_settings_that_an_earlier_run_chose_are_taken_again(small):
    (first,) = offline_quality.judged(small, ["popularity"], seeds=1, chosen={})
    worse = next(words for words in small.fits_of("popularity") if words != first.settings)
    chosen = {"popularity": replace(first, settings=worse)}
    (again,) = offline_quality.judged(small, ["popularity"], seeds=1, chosen=chosen)
    assert (again.settings, again.tried) == (worse, first.tried) == (worse, 3)
    unknown = {"popularity": replace(first, settings="of a grid that is gone")}
    (anew,) = offline_quality.judged(small, ["popularity"], seeds=1, chosen=unknown)
    assert replace(anew, fit_s=0) == replace(first, fit_s=0)


def test_seeds_that_a_row_lacks_are_those_it_would_have_had_at_once(small, monkeypatch):
    def drawn_at_random(_shop, _name, config, examples, until, _validate):
        known = PopularityRetriever.fit(
            examples, small.published.catalog, until=until, config=PopularityConfig()
        )
        draw = np.random.default_rng(config.seed)
        return SimpleNamespace(scores=lambda batch: draw.random(known.scores(batch).shape))

    monkeypatch.setattr(Shop, "_fit", drawn_at_random)
    monkeypatch.setitem(GRIDS, "als", (*GRIDS["als"][:2], {}))
    first, _, at_once = offline_quality.judged(small, ["als"], seeds=3, chosen={})
    assert [len(row.seeds) for row in (first, at_once)] == [1, 3]
    assert at_once.seeds[1] != at_once.seeds[2]
    first = replace(first, machine="elsewhere")
    two, three = offline_quality.lacking(small, [first], seeds=3)
    assert (two.seeds, three.seeds) == (at_once.seeds[:2], at_once.seeds)
    assert three.machine == two.machine == f"elsewhere; {offline_quality.where()}"
    assert list(offline_quality.lacking(small, [three], seeds=3)) == []


def test_a_row_whose_settings_are_gone_is_not_given_other_seeds_of_others(small):
    (first,) = offline_quality.judged(small, ["popularity"], seeds=1, chosen={})
    gone = replace(first, settings="of a grid that is gone")
    with pytest.raises(BadInputError, match="popularity: the grid no longer has 'of a grid"):
        list(offline_quality.lacking(small, [gone], seeds=3))
    assert list(offline_quality.lacking(small, [first], seeds=3)) == []
