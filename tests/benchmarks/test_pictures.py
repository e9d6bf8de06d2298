import pytest
from matplotlib.figure import Figure

from benchmarks.pictures import bars, save
from models.bootstrap import Interval
from models.plots import interval_figure


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """The path to draw to, and what was drawn there: its panels."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda self, *args, **named: (figures.append(self), save(self, *args, **named)),
    )
    return tmp_path / "picture.png", lambda: [
        axes for axes in figures[-1].axes if axes.get_visible()
    ]


def test_a_bar_for_each_peer_from_zero_and_no_empty_panel(drawn):
    path, panels = drawn
    numbers = {"a": 3.0, "b": 1_234.5, "ours": 20.0}
    bars(
        {"one": numbers, "two": numbers, "three": {"a": 1.0}},
        path,
        label="ms",
        ours=["ours"],
        columns=2,
    )
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [axes.get_title(loc="left") for axes in panels()] == ["one", "two", "three"]
    first = panels()[0]
    assert [bar.get_width() for bar in first.patches] == [3.0, 20.0, 1_234.5]
    assert {bar.get_x() for bar in first.patches} == {0.0}
    assert [text.get_text() for text in first.texts] == ["3", "20", "1,234"]


def test_a_dot_and_its_interval_for_each_model(drawn):
    path, panels = drawn
    rows = [("a", Interval(0.1, 0.05, 0.2)), ("release", Interval(0.3, 0.2, 0.4))]
    figure = interval_figure({"any": rows, "new": rows[:1]}, label="NDCG@10", highlight="release")
    save(figure, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [len(axes.lines) for axes in panels()] == [4, 2]
    assert [tick.get_text() for tick in panels()[0].get_yticklabels()] == ["a", "release"]
    assert list(panels()[0].lines[0].get_xdata()) == [0.05, 0.2]
