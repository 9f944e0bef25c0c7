"""What the validator finds: each fault by its code, in a bundle that is otherwise right, and nothing in a right one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.errors import UsageError
from ssl_bench.files import digest_json
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.leaderboard.overlaps import Dataset
from ssl_bench.results import samples as sample_files
from ssl_bench.results.record import MetricDefinition, MetricValue, Record, Samples
from ssl_bench.submission import bundle, reports, validator
from ssl_bench.submission.bundle import Bundle
from ssl_bench.submission.checks.base import Known
from ssl_bench.submission.checks.duplicates import one_edit, skeleton
from ssl_bench.submission.findings import CODES
from ssl_bench.submission.manifest import Asked
from ssl_bench.submission.rounds import Ask, Round
from ssl_bench.submission.validator import Report, validate
from ssl_bench.submission.waivers import Waiver
from ssl_bench.tasks import Source, SuiteCard, TaskCard
from tests.results.factory import RECIPES, make_metric, sha
from tests.submission.factory import CARD, make_bundle, scored, written
from tests.test_signatures import make_key

Answer = tuple[Record, bytes]


def make_round(seeds: tuple[int, ...] = (0,), **suite: Any) -> Round:
    """Return the round of two tasks by logistic regression."""
    given = {"name": "small", "title": "Small", "groups": {"all": ("cifar10", "dtd")}, "version": 2}
    card = SuiteCard(**given | suite)
    recipe, requested = RECIPES["logistic_regression"], {"pooled": "default"}
    asks = tuple(Ask(task, "logistic_regression", 1, recipe, requested, seeds) for task in card.tasks)
    cards = {task: TaskCard(task, task, "image_folder", 10) for task in card.tasks}
    return Round(card, cards, asks)


ROUND = make_round()


def peer(name: str = "other", task: str = "cifar10", **how: Any) -> Answer:
    """Return what another model on the board answered."""
    record, content = scored(task, model=name, **how)
    model = dataclasses.replace(record.model, file_sha256=sha(name))
    samples = dataclasses.replace(record.samples, sha256=sha(name, task))
    return dataclasses.replace(record, model=model, samples=samples), content


PEERS = tuple(peer(task=task, right=25)[0] for task in ("cifar10", "dtd"))
KNOWN = Known(records=PEERS)


def judged(*answers: Answer, round: Round = ROUND, known: Known = KNOWN, card: str = CARD, **other: Any) -> Report:
    """Return the report of a bundle for a round."""
    return validate(make_bundle(*answers, card=card, suite=round.asked), round, known, **other)


def codes(report: Report) -> list[str]:
    """Return the names of what was found, sorted."""
    return sorted({finding.name for finding in report.findings})


def changed(record: Record, block: str, **values: Any) -> Record:
    """Return a record with another block, and the digests that it then has."""
    part = getattr(record, block)
    if isinstance(part, Mapping):
        return dataclasses.replace(record, **{block: {**part, **values}})
    return dataclasses.replace(record, **{block: dataclasses.replace(part, **values)})


def one(change: Callable[[Record], Record]) -> tuple[Answer, Answer]:
    """Return the two answers of a right bundle, the second of them changed."""
    (first, a), (second, b) = scored("cifar10"), scored("dtd")
    return (first, a), (change(second), b)


def test_a_right_bundle_is_taken() -> None:
    """A bundle that answers the whole round by its recipes has no finding, and exit code 0."""
    report = judged()
    assert report.findings == ()
    assert (report.accepted, report.exit_code, report.records) == (True, 0, 2)


FAULTS: dict[str, Callable[[Record], Record]] = {
    "truncated": lambda record: changed(record, "task", truncated=40),
    "code-dirty": lambda record: changed(record, "code", dirty=True),
    "protocol-unofficial": lambda record: changed(record, "protocol", recipe={"C": [1.0], "max_iter": 1000}),
    "features-unofficial": lambda record: changed(record, "features", requested={"pooled": "cls"}),
    "features-differ": lambda record: changed(
        record, "features", resolved={**record.features.resolved, "pooled": "gap"}
    ),
    "task-differs": lambda record: changed(record, "task", digest=sha("other images")),
    "model-differs": lambda record: changed(record, "model", weights_digest=sha("other weights")),
    "metric-differs": lambda record: dataclasses.replace(
        record, metrics={**record.metrics, "top1": make_metric(0.875, 40), "top5": make_metric(1.0, 40)}
    ),
    "seed-foreign": lambda record: dataclasses.replace(record, seed=3),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_record_with_one_fault_is_found(name: str) -> None:
    """Each way of answering another question, or with other numbers, is found by its name, and refuses the bundle."""
    report = judged(*one(FAULTS[name]))
    assert name in codes(report)
    assert {*codes(report)} <= {name, "seed-missing"}
    assert report.exit_code == 1
    assert {finding.where for finding in report.findings} <= {
        "dtd × logistic_regression seed 0",
        "dtd × logistic_regression seed 3",
        "dtd × logistic_regression",
    }


def test_tasks_that_are_missing_or_foreign_are_found() -> None:
    """Every task of the round must be answered, and no other."""
    assert codes(judged(scored("cifar10"))) == ["task-missing"]
    assert codes(judged(scored("cifar10"), scored("dtd"), scored("pets"))) == ["task-foreign"]


def test_all_published_seeds_and_none_else() -> None:
    """Who leaves a seed out, or adds one, is found; all seeds of the protocol pass."""
    round = make_round(seeds=(0, 1, 2))
    answers = [scored(task, seed) for task in ("cifar10", "dtd") for seed in (0, 1, 2)]
    assert codes(judged(*answers, round=round)) == []
    report = judged(*answers[:-1], round=round)
    assert [str(finding) for finding in report.findings] == [
        "E012 seed-missing dtd × logistic_regression: seed 2 is missing; the published seeds are 0, 1, 2. "
        "Run `ssl-bench submit` with this release; it measures what is missing"
    ]
    assert codes(judged(*answers, scored("dtd", 7), round=round)) == ["seed-foreign"]


def test_two_records_of_one_job_are_found() -> None:
    """Of two measurements nobody may choose the better."""
    again = scored("dtd", right=35)
    assert codes(judged(scored("cifar10"), scored("dtd"), again)) == ["answered-twice"]


def test_rounds_that_are_closed_or_differ_are_found() -> None:
    """An older round is refused with the open one named; a round of the same name that asks otherwise is, too."""
    old = make_bundle(suite=make_round(version=1).asked)
    (finding,) = validate(old, ROUND, KNOWN).findings
    assert (finding.name, finding.where) == ("round-closed", "small@1")
    assert "small@2" in finding.what
    other = Asked("small", 2, sha("other"))
    assert codes(validate(make_bundle(suite=other), ROUND, KNOWN)) == ["round-differs"]


def test_a_round_moves_with_what_is_asked() -> None:
    """The digest of a round changes with a recipe, a seed, a task's version, and not with a title."""
    assert dataclasses.replace(ROUND, suite=dataclasses.replace(ROUND.suite, title="Other")).digest == ROUND.digest
    ask = ROUND.asks[0]
    card = ROUND.tasks["dtd"]
    others = [
        dataclasses.replace(ROUND, asks=(dataclasses.replace(ask, seeds=(0, 1)), ROUND.asks[1])),
        dataclasses.replace(ROUND, asks=(dataclasses.replace(ask, recipe={"C": [1.0]}), ROUND.asks[1])),
        dataclasses.replace(ROUND, asks=ROUND.asks[:1]),
        dataclasses.replace(ROUND, tasks={**ROUND.tasks, "dtd": dataclasses.replace(card, version=2)}),
        make_round(aggregate="mean_of_groups@1"),
    ]
    assert len({ROUND.digest, *(other.digest for other in others)}) == 6


def test_a_headline_that_predictions_do_not_hold_is_pointed_at() -> None:
    """A number that cannot be computed again is named as the submitter's word, for a verifier."""
    (record, _), other = scored("cifar10"), scored("dtd")
    content = sample_files.encode(
        {"sample_id": [f"{i}.png" for i in range(40)], "target": np.zeros(40, int), "hits": [[0]] * 40}
    )
    samples = Samples(hashlib.sha256(content).hexdigest(), 40, ("sample_id", "target", "hits"))
    metric = metrics.get("map")
    definition = MetricDefinition(metric.unit, True, metric.low, metric.high, metric.chance(10), metric.high)
    task = dataclasses.replace(record.task, metric="map", metrics={"map": definition}, ids=None)
    ranked = dataclasses.replace(record, task=task, samples=samples, metrics={"map": MetricValue(1.0, 40)})
    asks = (dataclasses.replace(ROUND.asks[0], metric="map"), ROUND.asks[1])
    report = judged((ranked, content), other, round=dataclasses.replace(ROUND, asks=asks))
    assert codes(report) == ["headline-stated"]
    assert report.accepted


def test_the_open_division_may_ask_otherwise() -> None:
    """In the open division recipes and features are the submitter's; seeds, data, numbers and cut runs are not."""
    card = CARD + 'division = "open"\n'
    for name in ("protocol-unofficial", "features-unofficial", "features-differ"):
        assert codes(judged(*one(FAULTS[name]), card=card)) == []
    for name in ("truncated", "code-dirty", "task-differs", "metric-differs"):
        assert codes(judged(*one(FAULTS[name]), card=card)) == [name]


def test_labels_that_are_held_elsewhere_are_compared() -> None:
    """Whoever changes labels so that wrong predictions become right ones is found where the labels are held."""
    (record, content), other = scored("cifar10"), scored("dtd")
    table = sample_files.decode(content)
    truth = np.array(table["target"])
    held = Known(records=PEERS, targets={record.task.digest: truth})
    assert codes(judged((record, content), other, known=held)) == []
    assert judged((record, content), other, known=held).labels == {
        "cifar10": "held here",
        "dtd": "stated in the bundle",
    }
    forged = truth.copy()
    forged[-1] = (forged[-1] + 1) % 10
    report = judged((record, content), other, known=Known(records=PEERS, targets={record.task.digest: forged}))
    assert codes(report) == ["labels-differ"]
    assert report.findings[0].what == "1 of 40 labels are not those of the test set"


def test_predictions_of_other_samples_are_found() -> None:
    """Predictions whose sample ids are not the task's cannot stand for it."""
    (record, content), other = scored("cifar10"), scored("dtd")
    ids = {**(record.task.ids or {}), "test": digest_json(["another.png"])}
    report = judged((changed(record, "task", ids=ids), content), other)
    assert codes(report) == ["metric-differs"]
    assert "are of other samples" in report.findings[0].what


def _without(prefix: str) -> Bundle:
    """Return a right bundle that lacks members, and whose manifest and attestation say so."""
    made = make_bundle(suite=ROUND.asked)
    contents = {name: content for name, content in made.contents.items() if not name.startswith(prefix)}
    attest = dict(made.attestation) | {
        "subject": [s for s in made.attestation["subject"] if not s["name"].startswith(prefix)]
    }
    contents["attest.json"] = json.dumps(attest).encode()
    manifest = dataclasses.replace(made.manifest, members=bundle.held(contents))
    return dataclasses.replace(made, contents=contents, manifest=manifest)


@pytest.mark.parametrize(("prefix", "name"), [("samples/", "predictions-missing"), ("sketch/", "sketch-missing")])
def test_members_that_are_missing_are_found(prefix: str, name: str) -> None:
    """A record without predictions, or whose features were not fixed, is refused."""
    assert codes(validate(_without(prefix), ROUND, KNOWN)) == [name]


def test_sketches_of_other_images_are_found() -> None:
    """Where the images are at hand, a sketch must be of them, one by one: otherwise nothing was fixed."""
    made = make_bundle(suite=ROUND.asked)
    record = made.records[0]
    found = made.sketch(record)
    assert found is not None
    images = np.zeros((40, 32), np.uint8)
    images[:, :16] = found.images
    known = dataclasses.replace(KNOWN, images={record.task.digest: images})
    assert codes(validate(made, ROUND, known)) == []
    images[[0, 1]] = images[[1, 0]]
    report = validate(made, ROUND, known)
    assert codes(report) == ["sketch-differs"]
    assert report.findings[0].what.startswith("2 of 40 sketches are of other images")


def test_an_attestation_of_another_bundle_is_found(tmp_path: Path) -> None:
    """A statement, and its signature, cannot be carried over to other members."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("OpenSSH is not installed")
    key = make_key(tmp_path / "key")
    signed = make_bundle(suite=ROUND.asked, key=key)
    assert codes(validate(signed, ROUND, KNOWN)) == []
    other = make_bundle(scored("cifar10", right=31), scored("dtd"), suite=ROUND.asked, key=key)

    def mixed(**members: bytes) -> Report:
        contents = {**other.contents, **{name.replace("_", "."): content for name, content in members.items()}}
        manifest = dataclasses.replace(other.manifest, members=bundle.held(contents))
        return validate(dataclasses.replace(other, contents=contents, manifest=manifest), ROUND, KNOWN)

    signature = signed.contents["attest.json.sig"]
    assert codes(mixed(attest_json=signed.contents["attest.json"], attest_json_sig=signature)) == [
        "attestation-differs"
    ]
    assert codes(mixed(attest_json_sig=signature)) == ["signature-wrong"]


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ('name = "dinov2_vits14"', 'name = "another"', "card-name"),
        ('name = "dinov2_vits14"', 'name = "My Model"', "card-name"),
        ('sha256 = "{sha256}"', f'sha256 = "{sha("no")}"', "card-weights"),
        ("https://example.org/w.safetensors", "http://example.org/w.safetensors", "card-weights"),
        ("https://example.org/w.safetensors", "javascript:alert(1)", "card-weights"),
        ("https://example.org/w.safetensors", "https://example.org/w.pth", "weights-unsafe"),
        ("labels_used = false", "labels_used = false\npasses_per_image = 10", "division"),
        ('["LVD-142M"]', '["CIFAR-10, train"]', "contamination-undeclared"),
        ('["LVD-142M"]', '["ImageNet 22k"]', "contamination-undeclared"),
        ("labels_used = false", 'labels_used = false\n[contamination]\nsvhn = "all"', "contamination-undeclared"),
        ('["LVD-142M"]', '["unknown"]', "data-unknown"),
    ],
)
def test_cards_that_are_not_of_this_model_or_silent_are_found(old: str, new: str, name: str) -> None:
    """Name, file, address, division and what the weights have seen must be those of what was measured."""
    known = dataclasses.replace(KNOWN, datasets={"imagenet22k": Dataset("imagenet22k", "ImageNet-22k", ("dtd",))})
    assert CARD.count(old)
    assert codes(judged(card=CARD.replace(old, new), known=known)) == [name]


def test_declared_contamination_passes() -> None:
    """Who says what was seen is taken; the board marks the cell and shows the mean without it."""
    card = CARD.replace('["LVD-142M"]', '["CIFAR-10"]') + '[contamination]\ncifar10 = "train images, no labels"\n'
    assert codes(judged(card=card)) == []


def test_private_weights_and_embeddings() -> None:
    """Weights may be private; features without a network belong to the open division."""
    assert codes(judged(card=CARD.replace("https://example.org/w.safetensors", "private"))) == []
    answers = [
        (changed(record, "model", adapter="embeddings", file_sha256=""), content)
        for record, content in (scored("cifar10"), scored("dtd"))
    ]
    assert codes(judged(*answers)) == ["division"]
    assert codes(judged(*answers, card=CARD + 'division = "open"\n')) == []


def test_weights_that_are_known_under_another_name_are_found() -> None:
    """One network has one name, whether its tensors or its file are known already."""
    twin = dataclasses.replace(
        PEERS[0], model=dataclasses.replace(PEERS[0].model, weights_digest=sha("weights", "dinov2_vits14"))
    )
    assert codes(judged(known=Known(records=(*PEERS, twin)))) == ["weights-known"]
    entry = dataclasses.replace(make_bundle().entry, name="somebody_elses")
    assert codes(judged(known=Known(records=PEERS, entries={entry.name: entry}))) == ["weights-known"]


def test_the_predictions_of_another_model_are_found() -> None:
    """Predictions that are another's bit by bit are refused; those that nearly are wait for a person."""
    record, content = scored("cifar10")
    stolen = changed(PEERS[0], "samples", sha256=record.samples.sha256)
    assert codes(judged(known=Known(records=(stolen, PEERS[1])))) == ["predictions-known"]
    table = sample_files.decode(content)
    tables, alike = {"cifar10": table}, [peer(task=task, right=30)[0] for task in ("cifar10", "dtd")]
    held = Known(records=alike, table=lambda one: tables.get(one.task.name))
    assert codes(judged(known=held)) == ["predictions-alike"]
    assert codes(judged(known=dataclasses.replace(held, records=[alike[0], PEERS[1]]))) == []
    tables["cifar10"] = {**table, "pred": (table["pred"] + (np.arange(40) < 2)) % 10}
    assert codes(judged(known=held)) == []


def test_a_name_of_somebody_else_is_refused() -> None:
    """A name belongs to the organisation that had it first, and names that read alike wait for a person."""
    entry = make_bundle().entry
    theirs = dataclasses.replace(entry, organisation="Another Lab", sha256=sha("theirs"))
    assert codes(judged(known=Known(records=PEERS, entries={entry.name: theirs}))) == ["name-taken"]
    namesake = changed(peer(entry.name)[0], "model", weights_digest=sha("other weights"))
    assert codes(judged(known=Known(records=(*PEERS, namesake)))) == ["name-taken"]
    assert codes(judged(known=Known(records=(*PEERS, *make_bundle().records)))) == []
    for name, organisation, found in (
        ("DINOv2_ViT-S14", "A Lab", ["name-alike"]),
        ("dіnov2_vits14", "A Lab", ["name-alike"]),  # a Cyrillic і
        ("dinov2_vitb14", "Another Lab", ["name-alike"]),
        ("dinov2_vitb14", "A Lab", []),
        ("mae_vitb16", "Another Lab", []),
    ):
        other = dataclasses.replace(theirs, name=name, organisation=organisation)
        assert codes(judged(known=Known(records=PEERS, entries={name: other}))) == found, name


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("resnet50", "resnet5O", True), ("modern", "modem", True), ("vit_l", "vit-1", True), ("mae", "mea", False)],
)
def test_skeletons(one: str, other: str, alike: bool) -> None:
    """Names that readers take for each other have one skeleton."""
    assert (skeleton(one) == skeleton(other)) == alike


def test_one_edit() -> None:
    """One letter changed, added, left out, or two swapped are one edit; more are not."""
    assert all(one_edit("abcd", other) for other in ("abcx", "abcde", "abc", "bcd", "bacd", "xabcd"))
    assert not any(one_edit("abcd", other) for other in ("abcd", "ab", "abxy", "dcba", "abcdef"))


def board(models: int = 6, tasks: int = 7) -> tuple[Round, list[Record]]:
    """Return a round of several tasks, and what other models of rising skill answered."""
    names = tuple(f"task{i}" for i in range(tasks))
    round = make_round(groups={"all": names})
    found = [peer(f"model{i}", name, right=20 + i)[0] for i in range(models) for name in names]
    return round, found


def test_numbers_far_above_the_best_are_pointed_at() -> None:
    """A task that beats all others by far, alone among the entry's, is named for a verifier; it refuses nothing."""
    round, records = board()
    usual = [scored(f"task{i}", right=23) for i in range(7)]
    assert codes(judged(*usual, round=round, known=Known(records=records))) == []
    report = judged(*usual[:-1], scored("task6", right=39), round=round, known=Known(records=records))
    assert codes(report) == ["outlier", "pattern"]
    assert {finding.where for finding in report.findings} == {"task6 × logistic_regression"}
    assert report.accepted
    seen = CARD + '[contamination]\ntask6 = "all images"\n'
    explained = judged(*usual[:-1], scored("task6", right=39), round=round, known=Known(records=records), card=seen)
    assert codes(explained) == []
    everywhere = [scored(f"task{i}", right=26) for i in range(7)]
    assert codes(judged(*everywhere, round=round, known=Known(records=records))) == []


def test_what_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A task that nobody else answered, other code, and a signature that cannot be checked here are for a person."""
    assert codes(judged(known=Known())) == ["task-unpinned"]
    assert codes(judged(known=dataclasses.replace(KNOWN, harness=sha("other code")))) == ["harness-differs"]
    if shutil.which("ssh-keygen"):
        signed = make_bundle(suite=ROUND.asked, key=make_key(tmp_path / "key"))
        monkeypatch.setenv("PATH", "")
        assert codes(validate(signed, ROUND, KNOWN)) == ["signature-unchecked"]


def test_the_card_of_a_task_says_what_its_data_must_be() -> None:
    """Where a task's card pins its data, the board's records do not matter; another version is another task."""
    digest = scored("dtd")[0].task.digest
    for card, found in (
        ({"source": Source(digest=digest)}, []),
        ({"source": Source(digest=sha("true data"))}, ["task-differs"]),
        ({"version": 2}, ["task-differs"]),
        ({"classes": 12}, ["task-differs"]),
    ):
        tasks = {**ROUND.tasks, "dtd": dataclasses.replace(ROUND.tasks["dtd"], **card)}
        assert codes(judged(round=dataclasses.replace(ROUND, tasks=tasks))) == found, card


def test_a_bundle_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round takes bundles up to a size."""
    monkeypatch.setattr("ssl_bench.submission.checks.structure.MOST", 10_000)
    assert codes(judged()) == ["too-large"]


def test_every_finding_is_tested() -> None:
    """No code can be given that no test of this file has seen."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert not [name for name in CODES if f'"{name}"' not in text]


def test_a_waiver_excuses_what_it_names_alone() -> None:
    """A waiver excuses one kind of finding about one model in one round, and the report says why."""
    waiver = Waiver(
        "w", "dinov2_vits14", "small@2", "task-missing", "the data was withdrawn", "board", "2026-03-01", "dtd"
    )
    report = judged(scored("cifar10"), waivers={"w": waiver})
    assert report.accepted
    assert report.findings[0].waived == "the data was withdrawn (board, 2026-03-01)"
    for other in ({"model": "x"}, {"round": "small@1"}, {"where": "cifar10"}, {"finding": "seed-missing"}):
        assert not judged(scored("cifar10"), waivers={"w": dataclasses.replace(waiver, **other)}).accepted


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("finding", "seed-mising", "Did you mean seed-missing"),
        ("finding", "metric-differs", "is never waived"),
        ("reason", " ", "needs a reason"),
        ("created", "yesterday", "a day"),
    ],
)
def test_waivers_that_say_too_little_are_refused(key: str, value: str, message: str) -> None:
    """A waiver names a known finding, a reason, who decided and when; forged numbers cannot be waived."""
    given = {
        "model": "m",
        "round": "r@1",
        "finding": "truncated",
        "reason": "why",
        "by": "who",
        "created": "2026-03-01",
    }
    with pytest.raises(UsageError, match=message):
        Waiver("w", **given | {key: value})


def test_a_damaged_file_has_a_report(tmp_path: Path) -> None:
    """A bundle that cannot be read has one finding, which says why without naming a folder of the machine."""
    path = written(tmp_path / "b.tar", make_bundle(suite=ROUND.asked))
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(UsageError) as caught:
        bundle.read(path)
    report = validator.unreadable(path, caught.value)
    assert (codes(report), report.exit_code) == (["unreadable"], 1)
    assert str(tmp_path) not in reports.to_json(report)
    assert "cut off" in reports.markdown(report)


def test_every_code_is_one_fault() -> None:
    """No two findings share a code, codes say whether they refuse, and forgeries are never waived."""
    assert len({*CODES.values()}) == len(CODES)
    assert all(code[0] in "EW" and code[1:].isdigit() for code in CODES.values())


def test_reports_for_programs_and_people() -> None:
    """The JSON names code, place and mend; in the Markdown no word of a stranger is markup."""
    evil = '<img src=x onerror=alert(1)>|[x](javascript:1) @everyone `"'
    card = CARD.replace('name = "dinov2_vits14"', f"name = '''{evil}'''")
    report = judged(card=card)
    body = json.loads(reports.to_json(report))
    assert body["findings"][0]["code"] == "E040"
    assert not body["accepted"]
    text = reports.markdown(report)
    assert text.startswith(reports.MARKER)
    assert "<img" not in text
    assert "@everyone" not in text
    assert "[x](" not in text
    assert "2 to mend" in text


def test_a_long_report_stays_within_a_comment() -> None:
    """However much is wrong, the Markdown fits into a comment and says where the rest is."""
    answers = [scored(f"task{i}") for i in range(1, 700)]
    records = [record for record, _ in answers]
    report = Report(
        "0" * 64, "m", "small@2", validate(make_bundle(*answers[:2]), ROUND, KNOWN).findings * 300, len(records)
    )
    text = reports.markdown(report)
    assert len(text) < 65_536
    assert "`report.json`" in text


def test_entries_say_all_that_is_missing_at_once() -> None:
    """A card with several gaps names all of them."""
    with pytest.raises(UsageError, match=r"organisation is empty; .*sha256 is not .*; data names no dataset"):
        Entry("m", "", "c", "l", "w", "", (), False)
