import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def test_click_rate_falls_with_position(shown: pa.Table):
    people = shown.filter(pc.and_(pc.invert(shown["is_bot"]), pc.equal(shown["surface"], "home")))
    position, clicked = people["position"].to_numpy(), people["is_clicked"].to_numpy()
    rate = np.array([clicked[position == place].mean() for place in range(1, 9)])
    assert rate[0] > 1.8 * rate[3] > 0
    assert rate[:2].mean() > rate[2:4].mean() > rate[4:].mean()


def test_bots_exist_look_everywhere_and_never_buy(shown: pa.Table, log: pa.Table):
    bots = shown.filter(shown["is_bot"])
    position, clicked = bots["position"].to_numpy(), bots["is_clicked"].to_numpy()
    assert len(bots) > 500
    top, bottom = clicked[position <= 4], clicked[position > 4]
    assert abs(top.mean() - bottom.mean()) < 4 * 0.5 * np.sqrt(1 / len(top) + 1 / len(bottom))
    assert clicked.mean() > 0.3
    assert set(bots["surface"].to_pylist()) == {"home", "search"}
    wanted = log.filter(pc.is_in(log["event_type"], pa.array(["add_to_cart", "purchase"])))
    assert set(wanted["user_id"].to_pylist()).isdisjoint(bots["user_id"].to_pylist())
