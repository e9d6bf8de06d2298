import json

import numpy as np
import pytest

from benchmarks.fusion import kept_scores, main, some_of
from benchmarks.fusion_judged import (
    difference,
    fitted,
    judged,
    no_model,
    outcome,
    rows_of,
)
from benchmarks.fusion_page import (
    CLAIMED,
    against_both,
    draw,
    in_short,
    page,
    proven,
    why_not_accuracy,
)
from benchmarks.homes import settings_of
from models.bootstrap import times_drawn
from models.ranking.exam import Exam
from models.ranking.lists import RankingLists

SEEDS = (7, 8, 9)
SETS = ("validation", "test")
FIELDS = ("features_LCF", "history_LT", "item_index_LC")


def lists_of(generator):
    """150 lists of 20 candidates, two of them padding, and the odds by which they were wanted."""
    x = generator.normal(-2.5, 1.5, (150, 20))
    labels = (generator.random(x.shape) < 1 / (1 + np.exp(-x))).astype(np.float32)
    index = np.tile(np.arange(2, 22, dtype=np.int32), (150, 1))
    index[:, 18:] = 0
    labels[:, 18:] = 0.0
    nothing = np.zeros((150, 20, 0), np.float32)
    return RankingLists(nothing, np.zeros((150, 1), np.int32), index, labels), x


@pytest.fixture(scope="module")
def shop():
    """An exam of one task, and what two rankers with errors of their own say of it, by seed."""
    generator = np.random.default_rng(11)
    sets = {name: lists_of(generator) for name in SETS}
    exam = Exam(sets["test"][0], *({"any": sets[name][0]} for name in SETS))

    def ranker(error):
        return {
            (name, "any"): (x + error * generator.normal(size=x.shape)).astype(np.float32)
            for name, (_, x) in sets.items()
        }

    return exam, {seed: {"dnn": ranker(1.0), "transformer": ranker(1.2)} for seed in SEEDS}


@pytest.fixture(scope="module")
def result(shop):
    exam, raw = shop
    return {
        "source": "planted",
        "preset": "debug",
        "command": "python -m benchmarks.fusion",
        "machine": {"threads": 1},
        "seeds": list(SEEDS),
        "train_lists": 1_200,
        "train_lists_there_are": 2_400,
        "most_users_of_a_window": 150,
        "windows": [[f"2026-01-{day}", f"2026-01-{day + 10}"] for day in (10, 20)],
        **judged(exam, raw),
    }


def test_two_rankers_with_errors_of_their_own_are_better_together(result):
    task = result["tasks"]["any"]
    assert all(0.2 < alpha < 0.9 for alpha in result["alpha"]["fusion"])
    for measure in ("f1", "auc", "log_loss"):
        assert against_both(task, measure) == "better"


def test_a_part_is_the_fusion_at_its_border(shop):
    exam, raw = shop
    rows = rows_of(raw[7], raw[8], exam.validation)
    of = "test", "any"
    for name, calibration in (
        ("dnn", rows["fusion"].fusion.dnn),
        ("transformer", rows["fusion"].fusion.transformer),
    ):
        np.testing.assert_allclose(
            rows[name].log_odds(of), calibration(raw[7][name][of]), rtol=1e-5
        )
    assert rows["alpha 0.5"].fusion.alpha == 0.5


def test_noise_loses_its_share_at_both_limits(result):
    for found in result["limits"].values():
        assert found["r2 is noise"] > 0.95
        assert found["r1 is noise"] < 0.05


def test_nothing_of_the_test_moves_a_threshold_or_alpha(shop):
    exam, raw = shop
    labels = 1.0 - exam.test["any"].labels_LC
    test = {"any": RankingLists(*(getattr(exam.test["any"], n) for n in FIELDS), labels)}
    turned = Exam(exam.train, exam.validation, test)
    times = times_drawn(150, resamples=2)
    blends = [rows_of(raw[7], raw[8], each.validation) for each in (exam, turned)]
    for name, blend in blends[0].items():
        assert blend.fusion == blends[1][name].fusion
        before, after = (outcome(blend, "any", each, times) for each in (exam, turned))
        assert before.threshold == after.threshold
        assert before.measures["f1"] != after.measures["f1"]


def test_a_difference_from_itself_is_nothing(shop):
    exam, raw = shop
    times = times_drawn(150, resamples=50)
    blends = [fitted(raw[seed]["dnn"], raw[seed]["transformer"], exam.validation) for seed in SEEDS]
    outcomes = [outcome(blend, "any", exam, times) for blend in blends]
    zero = {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert difference(outcomes, outcomes, "f1") == {
        "over_seeds": zero,
        "over_lists": zero,
        "seeds_above": 0,
    }


def test_a_difference_is_paired_so_narrower_than_its_parts(result):
    task = result["tasks"]["any"]
    paired = task["fusion_minus"]["dnn"]["f1"]
    assert paired["over_lists"]["mean"] == pytest.approx(
        task["rows"]["fusion"]["f1"]["mean"] - task["rows"]["dnn"]["f1"]["mean"], abs=2e-6
    )
    assert paired["seeds_above"] == 3


def test_what_needs_no_model_is_arithmetic():
    def lists(labels):
        index = np.array([[2, 3, 4, 5, 0]], np.int32)
        empty = np.zeros((1, 5, 0), np.float32), np.zeros((1, 1), np.int32)
        return RankingLists(*empty, index, np.array([labels], np.float32))

    found = no_model(lists([2, 2, 0, 0, 0]), lists([2, 0, 0, 0, 0]))  # 2 of 4, then 1 of 4
    assert found["wanted_share"] == {"validation": 0.5, "test": 0.25}
    assert found["always no"]["accuracy"] == 0.75
    assert found["always yes"]["f1"] == pytest.approx(2 * 0.25 / 1.25)
    assert found["log_loss_of_share"] == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("lists", "seeds", "measure", "word"),
    [
        ((0.1, 0.3), (0.1, 0.2), "f1", "better"),
        ((0.1, 0.3), (-0.1, 0.2), "f1", "unclear"),  # not sure over seeds
        ((-0.1, 0.3), (0.1, 0.2), "f1", "unclear"),  # not sure over lists
        ((-0.3, -0.1), (-0.3, -0.1), "f1", "worse"),
        ((-0.3, -0.1), (-0.3, -0.1), "log_loss", "better"),
    ],
)
def test_only_what_is_sure_twice_is_said(lists, seeds, measure, word):
    told = {"over_lists": lists, "over_seeds": seeds}
    ends = {name: {"low": low, "high": high} for name, (low, high) in told.items()}
    assert proven(ends, measure) == word


def test_accuracy_is_compared_with_always_no(result):
    task = result["tasks"]["any"]
    said = why_not_accuracy(task)
    no = task["no_model"]["always no"]["accuracy"]
    best = max(task["rows"][name]["accuracy"]["mean"] for name in CLAIMED)
    assert f"{no:.1%}" in said
    assert ("above" in said) == (no > best)


def test_the_short_answer_says_by_how_much_and_what_a_twin_gains(result):
    said = in_short(result)
    gain = result["tasks"]["any"]["fusion_minus"]["dnn"]["f1"]["over_lists"]["mean"]
    assert f"its F1 is {gain:+.4f}" in said
    assert "the better part, the DNN (r1)" in said
    assert "of accuracy, recall and F1 fusion surely raises only F1 over both parts" in said
    assert "F1 +0.03 from the better" in said  # .87 over .84


def test_a_fusion_that_raises_nothing_is_said_to_raise_none(result):
    tasks = json.loads(json.dumps(result["tasks"]))
    for measure in CLAIMED["fusion"]:
        tasks["any"]["fusion_minus"]["dnn"][measure]["over_seeds"]["low"] = -0.1
    assert "fusion surely raises none over both parts" in in_short({**result, "tasks": tasks})


def test_the_page_shows_every_row_beside_what_was_claimed(result):
    text = "\n".join(page(result))
    for words in ("DNN (r1)", "two Transformers", "always no", "*claimed: fusion*", "0.87", "## α"):
        assert words in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {9}  # seven measures and a name


def test_the_picture_is_drawn(result, tmp_path):
    draw(result, tmp_path / "fusion.png")
    assert (tmp_path / "fusion.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "fusion.png").stat().st_size > 10_000


def test_scores_are_made_once_and_padding_becomes_a_number(tmp_path):
    scores = np.array([[1.0, -np.inf]], np.float32)
    made = []

    def make():
        made.append(1)
        return {part: {("test", "any"): scores} for part in ("dnn", "transformer")}

    for _ in range(2):
        raw = kept_scores(tmp_path / "scores.safetensors", make)
        assert raw["transformer"]["test", "any"].tolist() == [[1.0, 0.0]]
    assert made == [1]


def test_the_same_lists_are_trained_on_with_every_seed(shop):
    lists = shop[0].test["any"]
    some = some_of(lists, 20)
    assert len(some) == 20
    np.testing.assert_array_equal(some.labels_LC, some_of(lists, 20).labels_LC)
    assert some_of(lists, 150) is lists


def test_a_home_that_is_not_built_says_what_to_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fusion", "--home", str(tmp_path)])
    main()
    assert "first run make run SOURCE=online_retail" in capsys.readouterr().out


def test_one_seed_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fusion", "--home", str(tmp_path), "--seeds", "1"])
    with pytest.raises(SystemExit):
        main()
    assert "at least two" in capsys.readouterr().err


def test_a_home_knows_whose_shop_it_is(tmp_path):
    (tmp_path / "shop.json").write_text(json.dumps({"source": "online_retail"}))
    assert settings_of(tmp_path).source.value == "online_retail"
