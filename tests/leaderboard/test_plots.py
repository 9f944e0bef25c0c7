"""What the plots of a board show, and that they are safe to stand in a page."""

from __future__ import annotations

import dataclasses
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ssl_bench.leaderboard import costs, plots, views
from ssl_bench.leaderboard.plots import cost, critical, figure, heat, protocols, svg, wins
from ssl_bench.leaderboard.plots.scatter import Point
from ssl_bench.leaderboard.ranking import Board, Table, make_board
from ssl_bench.model_zoo import ModelCard
from ssl_bench.pages import template
from ssl_bench.results.record import MetricDefinition, Record
from ssl_bench.statistics import nemenyi
from ssl_bench.tasks import SuiteCard
from tests.results.factory import make_grid, make_model, make_protocol, make_record, make_task

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]>&amp;",
    "\x1b[31m\x00",
    "𝔪" * 200,
    " ",
    "a",
]


def board(models: int = 5, tasks: int = 4, **options: int) -> Board:
    return make_board(list(make_grid(models=models, tasks=tasks, **options)))


def of(values: Mapping[str, Sequence[float]], **changes: Callable[[Record], Record]) -> Table:
    """Return the table of models with these values on the tasks t0, t1, …; `changes` by model's name."""
    records = [
        changes.get(name, lambda record: record)(make_record(name, f"t{i}", value=value))
        for name, row in values.items()
        for i, value in enumerate(row)
    ]
    (table,) = make_board(records).tables
    return table


def all_figures(board: Board) -> list[plots.Figure]:
    return [*plots.figures(board), *(one for table in board.tables for one in plots.of_table(table))]


def parsed(figure: plots.Figure) -> xml.Element:
    return xml.fromstring(figure.svg)


def found(board: Board, ending: str) -> plots.Figure:
    """Return the first table's figure whose id ends so."""
    return next(one for one in plots.of_table(board.tables[0]) if one.id.endswith(ending))


# ---------------------------------------------------------------- every plot


def hostile_board() -> Board:
    records = [
        make_record(make_model(name), make_task(task), protocol, value=0.3 + 0.05 * i)
        for i, name in enumerate(HOSTILE)
        for task in HOSTILE
        for protocol in (make_protocol(HOSTILE[0], {}), make_protocol(HOSTILE[1], {}))
    ]
    records = [
        dataclasses.replace(
            one,
            environment={"device": HOSTILE[i % 2]},
            timing={**one.timing, "flops_per_image": 1e9 * (1 + i)},
        )
        for i, one in enumerate(records)
    ]
    suite = SuiteCard("s", "S", {name: tuple(HOSTILE) for name in HOSTILE}, (HOSTILE[0], HOSTILE[1]))
    return make_board(records, suite, {name: ModelCard(name, "timm") for name in HOSTILE})


@pytest.mark.parametrize("make", [board, hostile_board])
def test_every_plot_is_whole(make: Callable[[], Board]) -> None:
    """A plot is one well-formed svg with a name and a description, of no elements but shapes and text, with no inline
    style, script, link or handler."""
    made = all_figures(make())
    kinds = {one.id.rpartition("-")[2] for one in made if one.svg}
    assert {"parameters", "ranks", "critical", "wins", "views"} <= kinds
    for one in made:
        if not one.svg:
            assert one.note.startswith("Left out: ")
            continue
        root = parsed(one)
        assert root.tag == "svg"
        assert root[0].tag == "title"
        assert root[0].text
        assert root[1].tag == "desc"
        assert root.attrib["role"] == "img"
        for element in root.iter():
            assert element.tag in {"svg", "title", "desc", "g", "text", "line", "rect", "circle", "path"}
            assert not {"style", "href", "src"} & set(element.attrib)
            assert not [name for name in element.attrib if name.startswith("on")]
        assert not re.search(r"[\x00-\x1f]", one.svg)


@pytest.mark.parametrize("make", [board, hostile_board])
def test_ids_are_unique(make: Callable[[], Board]) -> None:
    """No two plots of a page share an id, whatever tasks and protocols are called."""
    ids = [one.id for one in all_figures(make())]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z0-9-]+", one) for one in ids)


def test_slugs() -> None:
    """Two names never give one slug."""
    names = ["a_b", "a-b", "a b", "A_b", "a__b", "a_b_", "", "-", "é", "è", *HOSTILE]
    assert len({figure.slug(name) for name in names}) == len(names)
    assert figure.slug("logistic_regression") == "logistic-regression"


def test_equal_boards_give_equal_bytes() -> None:
    """The order in which records are given changes no byte of a plot."""
    records = list(make_grid(models=6, tasks=3, seeds=2))
    shuffled = random.Random(1).sample(records, len(records))
    assert all_figures(make_board(records)) == all_figures(make_board(shuffled))


def test_everything_stays_on_the_canvas() -> None:
    """No circle, line or box lies outside the view box."""
    for one in all_figures(board(models=14, tasks=20)):
        if not one.svg:
            continue
        root = parsed(one)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for element in root.iter():
            for names, most in ((("cx", "x1", "x2"), width), (("cy", "y1", "y2"), height)):
                assert all(0 <= float(element.attrib[name]) <= most for name in names if name in element.attrib)
            if element.tag == "rect":
                assert float(element.attrib["x"]) + float(element.attrib["width"]) <= width
                assert float(element.attrib["y"]) + float(element.attrib["height"]) <= height


def test_of_many_models_the_first_are_shown() -> None:
    """Of more than fifty models a plot shows fifty and says so; a matrix of numbers shows twelve."""
    made = board(models=60, tasks=3)
    for one in all_figures(made):
        if not one.svg:
            continue
        assert re.search(r"The first (50|12)( of 60)? models", one.note), one.id
        assert len(list(parsed(one).iter("circle"))) <= figure.MOST
    assert "The first 12 of 60 models are shown." in found(made, "-wins").note


def test_every_class_has_a_style() -> None:
    """Every class that a plot uses is in the page's style sheet, and every class that the plots' sheet adds is used."""
    used = {
        name
        for one in all_figures(board(models=20, tasks=6))
        if one.svg
        for element in parsed(one).iter()
        for name in element.attrib.get("class", "").split()
    }
    sheet = template("board.css") + template("plots.css")
    unstyled = {"dots", "scatter", "critical", "heat", "plain"}
    assert {name for name in used if not re.search(rf"\.{name}\b", sheet)} <= unstyled
    assert set(re.findall(r"svg[^{]*\.([a-z]+\d*)", template("plots.css"))) <= used | {"control"}


def test_nothing_to_plot() -> None:
    """What lacks data is left out with the reason."""
    alone = make_board([make_record()])
    made = {one.id: one for one in all_figures(alone)}
    for kind in ("parameters", "flops", "speed", "ranks", "critical", "wins", "views"):
        assert made[f"knn-{kind}"].svg == ""
        assert made[f"knn-{kind}"].note.startswith("Left out: ")
    assert all_figures(make_board([])) == []


def test_light_imports() -> None:
    """Plots load no torch, SciPy, pandas, pyarrow or plotting library."""
    code = (
        "import sys, ssl_bench.leaderboard.plots;"
        "print(sorted({'torch', 'scipy', 'pandas', 'pyarrow', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# ---------------------------------------------------------------- axes


@pytest.mark.parametrize(
    ("low", "high", "percent", "labels"),
    [
        (0.12, 0.87, True, ["0", "20", "40", "60", "80", "100"]),
        (0.701, 0.704, True, ["69", "69.5", "70", "70.5", "71", "71.5"]),
        (-0.05, 0.3, True, ["-10", "0", "10", "20", "30"]),
        (7.25, 312.5, False, ["0", "100", "200", "300", "400"]),
        (0.5, 0.5, True, ["49", "49.5", "50", "50.5", "51"]),
    ],
)
def test_axis(low: float, high: float, percent: bool, labels: list[str]) -> None:
    """An axis has round numbers, and holds both ends."""
    made = svg.axis(low, high, 0, 100, percent=percent)
    assert made.start <= low <= high <= made.stop
    assert 0 <= made.at(low) <= made.at(high) <= 100
    assert [label for _, label in made.ticks] == labels


@pytest.mark.parametrize(("low", "high"), [(143_136, 852_368), (1.0, 1.0), (3e6, 1e13), (81.4, 4069.8)])
def test_log_axis(low: float, high: float) -> None:
    """A logarithmic axis has a margin around both ends and at least two ticks; equal ratios are equal lengths."""
    made = svg.log_axis(low, high, 0, 100)
    assert 0 < made.at(low) <= made.at(high) < 100
    assert 2 <= len(made.ticks) <= 7
    assert made.at(2 * low) - made.at(low) == pytest.approx(made.at(20 * low) - made.at(10 * low))


@pytest.mark.parametrize(
    ("value", "said"), [(22_056_576, "22.1 M"), (4.6e9, "4.6 G"), (999, "999"), (1e12, "1 T"), (1500, "1.5 k")]
)
def test_amount(value: float, said: str) -> None:
    """Large numbers are said with three digits and a prefix."""
    assert svg.amount(value) == said


# ---------------------------------------------------------------- costs


def sized(parameters: int) -> Callable[[Record], Record]:
    return lambda record: dataclasses.replace(record, model=dataclasses.replace(record.model, parameters=parameters))


def test_pareto_front() -> None:
    """On the front are the models that no other beats: here three of five, and never a control."""
    table = of(
        {"small": [0.5], "worse": [0.45], "middle": [0.7], "large": [0.8], "wasteful": [0.75]},
        small=sized(1000),
        worse=sized(2000),
        middle=sized(3000),
        large=sized(9000),
        wasteful=sized(9000),
    )
    (one,) = [made for made in cost.figures(table) if made.id.endswith("parameters")]
    desc = parsed(one)[1].text or ""
    front, _, others = desc.partition(". Others: ")
    assert front == "Front: small, 50.0 at 1 k; middle, 70.0 at 3 k; large, 80.0 at 9 k"
    assert set(others.split("; ")) == {"wasteful, 75.0 at 9 k", "worse, 45.0 at 2 k"}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("less_is_better", [True, False])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_front_by_brute_force(seed: int, less_is_better: bool, higher_is_better: bool) -> None:
    """The front holds exactly the points that no other point dominates, in every pair of directions."""
    draw = random.Random(seed)
    points = [Point(str(i), draw.randint(1, 6), draw.randint(1, 6), control=i % 5 == 0) for i in range(25)]
    (table,) = board(models=2, tasks=1, seeds=1).tables[:1]
    definition = dataclasses.replace(table.means, higher_is_better=higher_is_better)
    kind = cost._Cost("x", "x", lambda row: 1.0, less_is_better, "")

    def dominates(one: Point, other: Point) -> bool:
        signs = (-1 if less_is_better else 1, 1 if higher_is_better else -1)
        gains = [signs[0] * (one.x - other.x), signs[1] * (one.y - other.y)]
        return min(gains) >= 0 and max(gains) > 0

    models = [point for point in points if not point.control]
    expected = {p.label for p in models if not any(dominates(other, p) for other in models)}
    front = cost._front(points, kind, dataclasses.replace(table, means=definition))
    assert {point.label for point in front} == expected


def test_speeds_of_one_machine() -> None:
    """Speeds of the machine with most models are plotted, and the others are counted, not mixed in."""

    def timed(device: str, speed: float) -> Callable[[Record], Record]:
        return lambda record: dataclasses.replace(
            record, environment={"device": device}, timing={**record.timing, "images_per_second": speed}
        )

    table = of(
        {"a": [0.5, 0.5], "b": [0.6, 0.6], "c": [0.7, 0.7]},
        a=timed("NVIDIA H100", 5000.0),
        b=timed("NVIDIA H100", 4000.0),
        c=timed("NVIDIA A100", 9000.0),
    )
    (one,) = [made for made in cost.figures(table) if made.id.endswith("speed")]
    assert one.title == "Mean against images per second, NVIDIA H100"
    assert "Not shown: 1 not timed on it." in one.note
    assert "9 k" not in one.svg
    assert len(list(parsed(one).iter("circle"))) == 2


def test_costs_of_records() -> None:
    """A cost is that of any job of the network and input, on its hardware the median; jobs that extracted nothing tell
    nothing."""
    timings = [{"images_per_second": speed} for speed in (100.0, 0.0, 300.0, 110.0)]
    records = [dataclasses.replace(make_record(task=f"t{i}"), timing=timing) for i, timing in enumerate(timings)]
    records.append(dataclasses.replace(make_record(size=96), timing={"flops_per_image": 5.0}))
    found = costs.of_records(records)
    assert found[costs.key_of(records[0])] == costs.Costs(None, {"NVIDIA H100": 110.0})
    assert found[costs.key_of(records[-1])] == costs.Costs(5.0, {})
    cpu = dataclasses.replace(records[0], environment={"device": "cpu", "cpu": "AMD EPYC", "threads": 2})
    assert costs.hardware(cpu) == "AMD EPYC, 2 threads"


# ---------------------------------------------------------------- other means, ranks and wins

VALUES = {"a": [0.9, 0.8, 0.7, 0.2], "b": [0.8, 0.8, 0.6, 0.1], "c": [0.1, 0.2, 0.9, 0.8]}


def test_views_by_hand() -> None:
    """Ranks are (1, 1½, 2, 2), (2, 1½, 3, 3) and (3, 3, 1, 1); win rates (3 − R) / 2; the interquartile mean is of the
    two middle tasks; chance is 10 %."""
    table = of(VALUES)
    by_name = {view.reference: view for view in views.views(table)}
    names = [row.model.name for row in table.rows]

    def values(reference: str) -> dict[str, float | None]:
        return dict(zip(names, by_name[reference].values, strict=True))

    assert values("mean_rank@1") == {"a": 6.5 / 4, "b": 9.5 / 4, "c": 2.0}
    assert values("win_rate@1") == {"a": (3 - 6.5 / 4) / 2, "b": (3 - 9.5 / 4) / 2, "c": 0.5}
    assert values("iqm@1")["a"] == pytest.approx(((0.7 - 0.1) / 0.9 + (0.8 - 0.1) / 0.9) / 2)
    assert values("chance_normalised_mean@1")["c"] == pytest.approx((0.5 - 0.1) / 0.9)
    assert {name for name, view in by_name.items() if view.relative} == {"mean_rank@1", "win_rate@1", "bt_elo@1"}
    (made,) = [one for one in plots.of_table(table) if one.id.endswith("views")]
    assert made.note.count("(depends on the models shown)") == 2


def test_elo_by_hand() -> None:
    """A model that beats raw pixels on 3 of 4 tasks and ties on one has odds of (3½ + ½) to (½ + ½), 241 points over
    their 1000; without pixels on every task nobody has points."""
    pixels = make_model("pixels", adapter="pixels")
    records = [make_record("a", f"t{i}", value=value) for i, value in enumerate((0.9, 0.9, 0.9, 0.5))]
    anchor = [make_record(pixels, f"t{i}", value=0.5) for i in range(4)]
    (table,) = make_board([*records, *anchor]).tables
    assert views.elo(table) == pytest.approx((1000 + 400 * np.log10(4), 1000))
    (table,) = make_board([*records, *anchor[1:]]).tables
    assert views.elo(table) == (None, None)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 19, 100])
def test_iqm_is_scipys_trimmed_mean(count: int) -> None:
    """The interquartile mean is SciPy's mean trimmed by a quarter at each end."""
    values = np.random.default_rng(count).random(count)
    assert views.iqm(values.tolist()) == pytest.approx(stats.trim_mean(values, 0.25))


def test_mean_ranks_are_scipys() -> None:
    """Mean ranks and the correlation of ranks are SciPy's, ties included."""
    draw = np.random.default_rng(0)
    values = draw.integers(0, 6, (2, 30)).tolist()
    assert views.ranked(values[0]) == stats.rankdata(values[0]).tolist()
    assert protocols.spearman(*values) == pytest.approx(stats.spearmanr(*values).statistic)
    assert protocols.spearman([1, 1, 1], [1, 2, 3]) == 0.0


def test_who_is_ranked() -> None:
    """Controls and models that lack a task have no rank, and change nobody's."""
    control = make_model("r", adapter="random")
    extra = [make_record(control, f"t{i}", value=0.99) for i in range(4)] + [make_record("part", "t0", value=0.99)]
    records = [make_record(name, f"t{i}", value=value) for name, row in VALUES.items() for i, value in enumerate(row)]
    (table,) = make_board([*records, *extra]).tables
    ranks = {row.model.name: rank for row, rank in zip(table.rows, views.mean_ranks(table), strict=True)}
    assert ranks == {"a": 6.5 / 4, "b": 9.5 / 4, "c": 2.0, "r": None, "part": None}


def test_wins_by_hand() -> None:
    """`a` beats `b` on three tasks and ties on one, 7/8 of 4; where lower is better, the lower value wins."""
    table = of(VALUES)
    rows = {row.model.name: row for row in table.rows}
    assert views.wins(rows["a"], rows["b"], table) == (7 / 8, 4)
    assert views.wins(rows["b"], rows["a"], table) == (1 / 8, 4)
    made = wins.figure(table)
    assert "1 a: –, 88, 50" in (parsed(made)[1].text or "")
    falling = dataclasses.replace(table.columns[0].definition, higher_is_better=False)
    task = dataclasses.replace(table.columns[0].task, metrics={"top1": falling})
    turned = dataclasses.replace(table, columns=(dataclasses.replace(table.columns[0], task=task), *table.columns[1:]))
    assert views.wins(rows["a"], rows["b"], turned) == (5 / 8, 4)


def test_missing_tasks_in_wins() -> None:
    """Only tasks that both models have answered count, and a pair without any has no number."""
    records = [
        make_record("a", "t0"),
        make_record("a", "t1"),
        make_record("b", "t1", value=0.8),
        make_record("c", "t0"),
    ]
    (table,) = make_board(records).tables
    rows = {row.model.name: row for row in table.rows}
    assert views.wins(rows["a"], rows["b"], table) == (0.0, 1)
    assert views.wins(rows["b"], rows["c"], table) == (0.0, 0)
    assert wins.figure(table).svg


def test_critical_difference() -> None:
    """Mean ranks and groups are those of Nemenyi's test, whose difference for 3 models on 8 tasks is 2.343 √(12 / 48)
    (Demšar 2006, table 5); bars stand beside the models that it does not tell apart."""
    draw = np.random.default_rng(1)
    values = {"a": draw.uniform(0.8, 0.9, 8), "b": draw.uniform(0.8, 0.9, 8), "c": draw.uniform(0.1, 0.2, 8)}
    table = of({name: row.tolist() for name, row in values.items()})
    made = critical.figure(table)
    assert nemenyi(np.array(views.scores(table.rows, table))).difference == pytest.approx(2.343 * 0.5, abs=1e-3)
    assert "critical difference 1.17" in made.svg
    assert len([one for one in parsed(made).iter("line") if one.attrib["class"] == "clique"]) == 1
    assert re.search(r"Not told apart: [ab], [ab]", parsed(made)[1].text or "")
    p = stats.friedmanchisquare(*(np.round(row * 2000) for row in values.values())).pvalue
    assert ("< 0.001" if p < 0.001 else f"{p:.3f}") in made.note


def test_lanes() -> None:
    """Bars that are beside each other have lanes of their own; bars that are not share one."""
    assert critical._lanes([(0, 2), (1, 4), (3, 5), (5, 6)]) == [0, 1, 0, 1]


# ---------------------------------------------------------------- heat maps, groups and protocols


def test_heat_map_values() -> None:
    """A value is its share of the way from chance to the best: 55 % of ten classes is 50, chance 0, and 5 % is −6;
    where lower is better, the way goes down."""
    table = of({"a": [0.55, 0.1, 0.05, 1.0]})
    assert [heat.placed(table.rows[0], table, i) for i in range(4)] == pytest.approx([0.5, 0.0, -0.0556, 1.0], abs=1e-3)
    (made,) = heat.figures(table)
    boxes = [one.attrib["class"] for one in parsed(made).iter("rect")]
    assert boxes == ["above t5", "above t0", "below t1", "above t10"]
    assert [one.text for one in parsed(made).iter("text") if one.attrib.get("class") == "value"] == [
        "50",
        "0",
        "-6",
        "100",
    ]
    error = MetricDefinition("fraction", False, 0.0, 1.0, 0.9)
    task = dataclasses.replace(table.columns[0].task, metrics={"top1": error})
    turned = dataclasses.replace(table, columns=(dataclasses.replace(table.columns[0], task=task), *table.columns[1:]))
    assert heat.placed(turned.rows[0], turned, 0) == pytest.approx((0.55 - 0.9) / (0 - 0.9))


def test_a_ceiling_is_the_best() -> None:
    """Where a task's card states what can be reached, that is 100, in heat maps and in normalised means."""
    table = of({"a": [0.55], "b": [0.7]})
    reached = dataclasses.replace(table.columns[0].definition, ceiling=0.7)
    task = dataclasses.replace(table.columns[0].task, metrics={"top1": reached})
    table = dataclasses.replace(table, columns=(dataclasses.replace(table.columns[0], task=task),))
    assert [heat.placed(row, table, 0) for row in table.rows] == pytest.approx([1.0, 0.75])
    assert views.views(table)[0].values == pytest.approx((1.0, 0.75))


def test_heat_maps_of_many_tasks() -> None:
    """More than eight tasks are shown group by group, at most eight to a map, each once."""
    suite = SuiteCard("s", "S", {"A": tuple(f"t{i}" for i in range(11)), "B": ("u",)}, ("knn",))
    (table,) = make_board([make_record("a", task) for task in suite.tasks], suite).tables
    made = heat.figures(table)
    assert [one.title for one in made] == ["Models by tasks, A 1/2", "Models by tasks, A 2/2", "Models by tasks, B"]
    assert [len(list(parsed(one).iter("rect"))) for one in made] == [5, 6, 1]


def test_heat_map_without_chance() -> None:
    """A task without a level of chance is named, not drawn."""
    table = of({"a": [0.5, 0.6], "b": [0.7, 0.8]})
    nothing = dataclasses.replace(table.columns[0].definition, chance=None)
    task = dataclasses.replace(table.columns[0].task, metrics={"top1": nothing})
    column = dataclasses.replace(table.columns[0], task=task)
    (made,) = heat.figures(dataclasses.replace(table, columns=(column, table.columns[1])))
    assert made.note.endswith("Without a level of chance, and so not here: t0.")
    assert len(list(parsed(made).iter("rect"))) == 2
    (made,) = heat.figures(dataclasses.replace(table, columns=(column,), rows=()))
    assert made.svg == ""


def test_groups() -> None:
    """Each group has a plot of its mean with the interval of independent tasks; a single group has none."""
    suite = SuiteCard("s", "S", {"A": ("cifar10", "cifar100"), "B": ("dtd",)}, ("knn",))
    records = [make_record("a", task, value=0.5) for task in suite.tasks] + [make_record("b", "dtd", value=0.7)]
    made = {one.title: one for one in plots.of_table(make_board(records, suite).tables[0])}
    half = 1.96 * np.sqrt(2 * 0.5 * 0.5 / 10_000) / 2
    assert f"a 50.0 ({50 - 100 * half:.1f} to {50 + 100 * half:.1f})" in made["A, mean"].svg
    assert len(list(parsed(made["B, mean"]).iter("circle"))) == 2
    assert not [one for one in plots.of_table(of({"a": [0.5]})) if "-group-" in one.id]


def test_protocols_against_each_other() -> None:
    """Two protocols' means stand against each other with the correlation of their ranks; controls are shown and do not
    count."""
    pairs = {"a": (0.5, 0.6), "b": (0.6, 0.5), "c": (0.7, 0.8), "d": (0.8, 0.9)}
    records = [
        make_record(name, protocol=protocol, value=value)
        for name, row in pairs.items()
        for protocol, value in zip(("knn", "logistic_regression"), row, strict=True)
    ]
    control = make_model("r", adapter="random")
    records += [make_record(control, protocol=protocol, value=0.1) for protocol in ("knn", "logistic_regression")]
    (made,) = plots.figures(make_board(records))
    assert "correlation of 4 models, controls aside: 0.80" in made.note
    assert len(list(parsed(made).iter("circle"))) == 5
    assert "a, knn 50.0, logistic_regression 60.0" in made.svg


def test_protocols_of_other_tasks() -> None:
    """Means over different tasks are not set against each other."""
    records = [make_record(name, "dtd") for name in "abcd"]
    records += [make_record(name, "pets", "logistic_regression") for name in "abcd"]
    (made,) = plots.figures(make_board(records))
    assert made.note == "Left out: the two answer different tasks, so that their means say different things."


def test_pairs_of_many_protocols() -> None:
    """Of more than ten pairs, those with the first protocol are shown."""
    names = ["knn", *(f"p{i}" for i in range(6))]
    records = [make_record(model, protocol=make_protocol(name, {})) for name in names for model in "abc"]
    made = plots.figures(make_board(records))
    assert [one.title for one in made] == [f"p{i} against knn" for i in range(6)]
