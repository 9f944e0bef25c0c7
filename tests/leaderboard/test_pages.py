"""What the pages of models and tasks, and the folder of them, promise."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import random
import re
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from ssl_bench import tasks
from ssl_bench.leaderboard import addresses, curves, folder, licences, words
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.leaderboard.material import Material
from ssl_bench.leaderboard.ranking import make_board
from ssl_bench.model_zoo import ModelCard, Published
from ssl_bench.results.describe import command
from ssl_bench.results.record import LabelMap, Record
from ssl_bench.results.standing import Standing
from ssl_bench.results.store import Results
from ssl_bench.results.verifications import Verification
from ssl_bench.tasks import SuiteCard
from tests.leaderboard.test_site import HOSTILE, Page
from tests.results.factory import (
    make_grid,
    make_model,
    make_protocol,
    make_record,
    make_scored_record,
    make_task,
    sha,
)

IMAGE = "data:image/png;base64,iVBORw0KGgo="


def material(records: Sequence[Record], **more: Any) -> Material:
    suite, cards = more.pop("suite", None), more.get("models", {})
    drift = more.get("drift", {})
    return Material(make_board(records, suite, cards, drift=drift), **more)


def scored(tmp_path: Path, **more: Any) -> Material:
    """Return the pages' material of two models with predictions: one has 30 of 40 samples right, the other 20."""
    results = Results(tmp_path)
    one = make_scored_record(results)
    names = tuple(f"class {label}" for label in range(10))
    task = dataclasses.replace(one.task, labels=LabelMap(sha(*names), names))
    other = make_scored_record(results, right=20)
    records = [
        dataclasses.replace(one, model=make_model("a"), task=task),
        dataclasses.replace(other, model=make_model("b"), task=task),
    ]
    return material(records, predictions=results.read_samples, **more)


def hostile(**more: Any) -> Material:
    """Return the pages' material of records, cards and entries in which every word is markup."""
    bad = HOSTILE[0]
    records = []
    for name in HOSTILE:
        protocol = make_protocol("logistic_regression")
        curve = tuple({name: row["C"], "top1": row["top1"]} for row in protocol.curve)
        protocol = dataclasses.replace(protocol, selected={name: name}, curve=curve)
        model = dataclasses.replace(make_model(name), about={"paper": name, "note": name}, source=name, library=name)
        task = dataclasses.replace(
            make_task(name),
            source={"url": "javascript:alert(1)", "licence": name},
            labels=LabelMap(sha(1), (name,) * 10),
        )
        record = make_record(model, task, protocol)
        records.append(dataclasses.replace(record, environment={"cpu": name}, code={"commit": name, "dirty": True}))
    published = Published(0.5, "javascript:alert(1)")
    cards = {name: ModelCard(name, "timm", published={f"{name}/knn": published}) for name in HOSTILE}
    found = material(
        records,
        suite=SuiteCard("s", bad, {bad: tuple(HOSTILE)}, ("logistic_regression",), note=bad),
        models=cards,
        withdrawn=[(record, bad) for record in records],
        **more,
    )
    entry = Entry(bad, bad, bad, bad, "javascript:alert(1)", sha(1), (bad,), True, contamination={bad: bad}, note=bad)
    standing = Standing("disputed", bad, bad, bad)
    tables = tuple(
        dataclasses.replace(
            table, rows=tuple(dataclasses.replace(row, entry=entry, standing=standing) for row in table.rows)
        )
        for table in found.board.tables
    )
    return dataclasses.replace(found, board=dataclasses.replace(found.board, tables=tables))


def subpages(found: Material) -> dict[str, str]:
    return {name: page for name, page in folder.pages_of(found) if "/" in name}


# ---------------------------------------------------------------- the folder


def test_a_folder_has_a_page_per_model_and_task_and_its_links_lead_somewhere() -> None:
    """Every relative link of every page leads to a page of the folder, and a fragment to an element of it."""
    pages = dict(folder.pages_of(material(list(make_grid(models=3, tasks=4)))))
    assert sum(name.startswith("models/") for name in pages) == 3
    assert sum(name.startswith("tasks/") for name in pages) == 4
    followed = 0
    for name, page in pages.items():
        for _, attributes in Page(page).elements if name.endswith(".html") else ():
            link = attributes.get("href") or ""
            if not link or re.match("https?://", link):
                continue
            path, _, fragment = link.partition("#")
            target = (Path("/") / name).parent / path if path else Path("/") / name
            there = pages[str(target.resolve().relative_to("/"))]
            assert not fragment or f'id="{fragment}"' in there, (name, link)
            followed += 1
    assert followed > 100


def test_the_same_records_give_the_same_bytes() -> None:
    """The order of the records changes no page."""
    records = list(make_grid(models=3, tasks=4, seeds=2))
    shuffled = random.Random(5).sample(records, len(records))
    assert dict(folder.pages_of(material(records))) == dict(folder.pages_of(material(shuffled)))


def test_writing_removes_pages_of_what_is_no_more_and_nothing_else(tmp_path: Path) -> None:
    """A model that left the board takes its page along; a file that the folder did not write stays."""
    records = list(make_grid(models=2, tasks=1))
    folder.write(material(records), tmp_path)
    own = tmp_path / "models" / "notes.html"
    own.write_text("<p>mine</p>")
    kept = folder.write(material([record for record in records if record.model.name == "model001"]), tmp_path)
    assert {path.name for path in tmp_path.glob("models/*")} == {"model001.html", "notes.html"}
    assert all(path.is_file() for path in kept)


def test_strangers_names_steer_no_path(tmp_path: Path) -> None:
    """Names that climb, hide or differ in case alone become plain files of the folder, one each."""
    names = ["../../up", "..", "/etc/passwd", "A", "a", "con", "x" * 300, "a\0b", ".hidden", "%2e%2e%2fup"]
    written = folder.write(material([make_record(make_model(name), make_task(name)) for name in names]), tmp_path)
    assert len({str(path).lower() for path in written}) == len(written) == 2 * len(names) + 4
    for path in written:
        assert path.resolve().is_relative_to(tmp_path.resolve())
        assert path.is_file()


@pytest.mark.parametrize("make", [lambda: material(list(make_grid(models=2, tasks=2))), hostile])
def test_pages_load_nothing_and_run_nothing(make: Any) -> None:
    """No page holds a script, an inline handler or style, or loads anything; its policy allows its own style alone."""
    for page in subpages(make()).values():
        parsed = Page(page)
        for tag, attributes in parsed.elements:
            assert tag not in ("link", "iframe", "object", "embed", "base", "img", "script", "form")
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]
            if "href" in attributes:
                assert re.match(r"(#|https?://|\.\./(models|tasks|board)[/.])", attributes["href"] or "")
        (policy,) = (a["content"] for _, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy")
        ((_, _, style),) = parsed.contents
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert policy == (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
        )


def test_strangers_words_stay_words() -> None:
    """Markup in names, cards, entries, recipes, notes and reasons is shown as it is written."""
    pages = subpages(hostile())
    assert len(pages) == 2 * len(HOSTILE)
    for page in pages.values():
        assert not {tag for tag, _ in Page(page).elements} & {"script", "img"}
        assert page.count("<b>") == page.count("</b>")  # no stranger's tag was left open
        assert "javascript:alert(1)" not in re.findall(r'href="([^"]*)"', page)
    model = pages[addresses.of_model(HOSTILE[1])]
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in model


# ---------------------------------------------------------------- a model


def model_page(*records: Record, **more: Any) -> str:
    return folder.model_html(material(records, **more), records[0].model.name)


def text_of(page: str) -> str:
    """Return a page's words without its markup, each run of white space as one space."""
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)).split())


def test_a_models_page_says_what_it_is() -> None:
    """Weights digest, parameters, FLOPs, input, pooling, licence and data stand at the head of the page."""
    record = make_record()
    record = dataclasses.replace(record, timing={**record.timing, "flops_per_image": 4.6e9})
    said = text_of(model_page(record))
    for part in (
        f"weights digest {record.model.weights_digest}",
        "parameters 22.1 M",
        "FLOPs of an image 4.6 G",
        "input size [224,224]",
        "pooling cls",
        "licence Apache-2.0",
        "pretrained on LVD-142M",
        "saw labels no",
    ):
        assert part in said.replace("\u00a0", " ")


def test_a_published_number_stands_beside_ours_with_the_difference() -> None:
    """The difference is ours less theirs in points, with its source; what nobody measured here is listed apart."""
    published = {
        "cifar10/knn": Published(0.762, "https://example.org/paper"),
        "dtd/knn": Published(0.5, "their README"),
    }
    card = ModelCard("dinov2_vits14", "timm", published=published)
    page = model_page(make_record(value=0.75), models={"dinov2_vits14": card})
    said = text_of(page)
    assert "76.2 -1.2 outside our interval https://example.org/paper" in said
    assert 'href="https://example.org/paper"' in page
    assert "dtd/knn 0.5, their README" in said


def test_seeds_curves_choices_and_costs_are_shown() -> None:
    """Each seed has its value, each curve a line per seed, each choice its mark at a grid's edge, each cost a sum."""
    protocol = dataclasses.replace(make_protocol("logistic_regression"), at_grid_edge=True)
    page = model_page(*(make_record(protocol=protocol, seed=seed, value=0.7 + 0.1 * seed) for seed in range(2)))
    said = text_of(page)
    assert "seed 0: 70.0 [69.1, 70.9]" in said
    assert "seed 1: 80.0 [79.2, 80.8]" in said
    assert page.count('<polyline class="curve"') == 2
    assert page.count('class="picked"') == 2
    assert "C 1.0 yes * yes" in said
    assert "all 25 2" in said  # seconds of extraction and of the protocol, over both seeds


def test_the_cause_and_the_way_back_are_shown() -> None:
    """Machine, code with a changed working tree, the command of every record, and the whole of it as JSON."""
    record = dataclasses.replace(make_record(), code={"version": "0.1.0", "commit": "abc", "dirty": True})
    page = model_page(record)
    said = text_of(page)
    assert "1 record · NVIDIA H100 · abc · from a changed working tree" in said
    assert command(record) in said
    (whole,) = re.findall(r'<pre class="json">(.*?)</pre>', page, flags=re.DOTALL)
    assert json.loads(unescape(whole)) == record.to_json()


def test_history_tells_drift_withdrawals_and_checks() -> None:
    """Other numbers of a job, withdrawn records with the reason, and who checked stand on the page."""
    record = make_record(value=0.75)
    again = dataclasses.replace(make_record(value=0.71), created="2026-03-01T00:00:00+00:00")
    gone = make_record(task="dtd", value=0.5)
    page = model_page(
        record, drift={record.record_id: (record, again)}, withdrawn=[(gone, "wrong crop"), (make_record("z"), "other")]
    )
    said = text_of(page)
    assert "drift cifar10 · knn · seed 0: 75.0 [74.1, 75.8] (2026-02-01T12:00:00+00:00), then 71.0" in said
    assert "withdrawn dtd · knn · seed 0: 50.0" in said
    assert "wrong crop" in said
    assert "other" not in said.partition("What became of it")[2].partition("Every record")[0]


def test_history_tells_every_check() -> None:
    """Whoever checked some of the records stands on the page, with how many, what came of it and where to read on."""
    record, other = make_record(), make_record("z")
    when = "2026-03-01T00:00:00Z"
    checks = [
        Verification(record.model.name, (record.content_digest,), "rescore", "agrees", "ann", when, signature="x"),
        Verification("z", (other.content_digest,), "dispute", "a doubt", "ben", when),
        Verification(
            "z", (record.content_digest,), "dispute", "<i>odd</i>", "cat", when, link="https://example.org/issue"
        ),
    ]
    page = model_page(record, checks=checks)
    said = text_of(page)
    assert f"{when}: rescore by ann (signed), 1 record: agrees" in said
    assert f"{when}: dispute by cat (unsigned), 1 record: <i>odd</i> ( https://example.org/issue )" in said
    assert "a doubt" not in said


def test_two_networks_of_one_name_are_told_apart() -> None:
    """One page shows both, each with its own facts."""
    said = text_of(model_page(make_record("a"), make_record("a", size=96)))
    assert "input.size [96,96]; asked by knn" in said
    assert "input.size [224,224]; asked by knn" in said


# ---------------------------------------------------------------- curves and words


def test_a_curve_needs_two_numbers_and_a_score() -> None:
    """What is no number, or cannot be drawn, makes no curve."""
    protocol = make_protocol("logistic_regression")
    found = curves.curve_of(protocol)
    assert found is not None
    assert (found.across, found.up, found.picked, len(found.points)) == ("C", "top1", 1.0, 5)
    for rows in (
        (),
        ({"C": 1.0, "top1": 0.5},),
        ({"C": 1.0}, {"C": 2.0}),
        ({"C": "a", "top1": 1}, {"C": "b", "top1": 2}),
    ):
        assert curves.curve_of(dataclasses.replace(protocol, curve=rows)) is None
    huge = tuple({"C": 10**i, "top1": 0.5} for i in (0, 400))
    assert curves.curve_of(dataclasses.replace(protocol, curve=huge)) is None


def test_json_for_readers_is_the_same_json() -> None:
    """What is laid out over lines reads back as it was, however deep."""
    deep: Any = 1
    for i in range(40):
        deep = {"key": deep, "other": ["x" * 50, i]}
    for value in (make_record().to_json(), deep, [], {}, "a\u2028b"):
        assert json.loads(words.laid_out(value)) == value
    assert all(len(line) < 200 for line in words.laid_out(make_record().to_json()).splitlines())


# ---------------------------------------------------------------- a task


def test_a_tasks_page_says_what_is_asked() -> None:
    """Source, splits with sizes and how they are cut, metric, chance, licence, catch and digests come first."""
    card = tasks.get("digits")
    task = dataclasses.replace(make_task("digits"), ids={"train": sha(1), "test": sha(2)})
    said = text_of(folder.task_html(material([make_record(task=task)], tasks={"digits": card}), "digits"))
    for part in (
        card.note.split("\n")[1],
        "headline metric top1, in percent, higher is better, chance 10.0",
        f"train 10,000 train {sha(1)[:16]}",
        f"task digest {task.digest}",
        "licence CC-BY-4.0",
    ):
        assert part in said


def test_a_tasks_page_ranks_models_under_every_protocol() -> None:
    """Best first, with interval and chance; a model that did not answer is absent."""
    records = [make_record(name, value=value) for name, value in (("a", 0.5), ("b", 0.75))]
    page = folder.task_html(material([*records, make_record("c", "dtd")]), "cifar10")
    said = text_of(page)
    assert "1 B 75.0 74.1–75.8" in said
    assert "2 A 50.0" in said
    assert " C " not in said.partition("knn v1")[2]


def test_a_task_under_several_protocols_has_one_table_of_all() -> None:
    """Every model has a line with its value and interval under every protocol, and a dash where it was not asked."""
    records = [make_record("a", value=0.5), make_record("b", value=0.75)]
    page = folder.task_html(
        material([*records, make_record("b", protocol="logistic_regression", value=0.8)]), "cifar10"
    )
    said = text_of(page)
    assert "Under every protocol Model knn top1 logistic_regression top1" in said
    assert "b 75.0 74.1–75.8 80.0 79.2–80.8 a 50.0 49.0–51.0 —" in said
    assert "Under every protocol" not in folder.task_html(material(records), "cifar10")


def test_confusions_recall_and_agreement_come_from_predictions(tmp_path: Path) -> None:
    """Where predictions are here the page counts them; the classes have their names."""
    page = folder.task_html(scored(tmp_path), "cifar10")
    said = text_of(page)
    assert "a, seed 0: 10 of 40 wrong" in said
    assert "b, seed 0: 20 of 40 wrong" in said
    assert page.count('class="matrix"') == 2
    assert '<td class="right s7">3</td>' in page  # 3 of the 4 samples of a class
    assert "class 0 4 75.0 50.0" in said
    assert "a 75.0 50.0 25.0" in said  # both right on 50 %, one alone on 25 %


def test_many_classes_are_listed_by_their_commonest_mistakes(tmp_path: Path) -> None:
    """A matrix of a hundred classes would be read by nobody: the pairs are listed."""
    found = scored(tmp_path)
    records = [
        dataclasses.replace(record, task=dataclasses.replace(record.task, classes=100, labels=None))
        for record in found.board.records
    ]
    page = folder.task_html(material(records, predictions=found.predictions), "cifar10")
    assert 'class="matrix"' not in page
    assert "Taken for" in page


def test_without_predictions_the_page_says_so() -> None:
    """A page of committed records, which travel without predictions, is whole but for the answers."""
    page = folder.task_html(material([make_record()]), "cifar10")
    assert "The per-sample predictions are not beside these records" in page


def shown(tmp_path: Path, licence: str, **more: Any) -> str:
    card = tasks.get("digits")
    card = dataclasses.replace(card, source=dataclasses.replace(card.source, licence=licence))

    def images(record: Record, ids: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(ids, IMAGE)

    found = scored(tmp_path, **{"tasks": {"cifar10": card}, "examples": 3, "images": images} | more)
    return folder.task_html(found, "cifar10")


def test_examples_are_shown_with_their_source_where_the_licence_allows(tmp_path: Path) -> None:
    """As many right as wrong, with class, answer and credit."""
    page = shown(tmp_path, "CC BY 4.0")
    assert page.count(f'<img src="{IMAGE}"') == 6
    assert page.count("taken for class") >= 3
    assert "Alpaydin and Kaynak" in text_of(page).partition("Images: ")[2]


@pytest.mark.parametrize("licence", ["none stated", "CC BY-NC 4.0", "", "MIT; images: none stated", "<b>"])
def test_no_image_is_shown_under_another_licence(tmp_path: Path, licence: str) -> None:
    """A licence that is not known to allow it shows no image, and the page says why."""
    page = shown(tmp_path, licence)
    assert "<img" not in page
    assert "Its licence does not allow showing images: " in page


def test_a_records_own_word_frees_no_image(tmp_path: Path) -> None:
    """The licence that counts is that of this machine's card: a record says what its writer likes."""
    assert "<img" not in shown(tmp_path, "CC BY 4.0", tasks={})


def test_images_that_are_not_here_are_told(tmp_path: Path) -> None:
    """Without the data the page says so."""
    assert "The images are not on this machine." in shown(tmp_path, "MIT", images=lambda record, ids: {})


def test_licences_of_the_built_in_cards() -> None:
    """Of the tasks' licences those are taken that are known by name, and none that is restricted or composed."""
    taken = {card.source.licence for card in map(tasks.read, tasks.names().values()) if allows(card)}
    assert taken == {"MIT", "Apache-2.0", "CC BY 4.0", "CC0 1.0"}


def allows(card: tasks.TaskCard) -> bool:
    return licences.allows_showing(card.source.licence)
