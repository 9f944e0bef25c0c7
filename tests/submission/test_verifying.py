"""What is drawn to be done again, and what counts as the same."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from ssl_bench.files import digest_json
from ssl_bench.predictions import Truth
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table
from ssl_bench.submission import claims, drawing, sketch, verifying
from ssl_bench.submission.claims import Claim
from ssl_bench.submission.verification import Drawn, Report
from ssl_bench.submission.verifying import Own, Redone
from tests.results.factory import make_record, sha
from tests.submission.factory import make_bundle, scored


def claim_of(*values: tuple[str, float]) -> Claim:
    """A claim of one record per task, with these headline values and no predictions."""
    records = tuple(make_record(task=task, value=value) for task, value in values)
    return Claim("here", "dinov2_vits14", records, sha(*values), lambda _: {}, lambda _: None)


# ---------------------------------------------------------------- drawing


@pytest.mark.parametrize(
    ("total", "false", "drawn"), [(19, 4, 5), (19, 8, 5), (19, 1, 5), (7, 7, 1), (5, 2, 5), (3, 0, 2)]
)
def test_the_chance_to_catch_is_hypergeometric(total: int, false: int, drawn: int) -> None:
    """The chance that a draw of tasks hits a falsified one is that of SciPy's hypergeometric distribution."""
    expected = 1 - stats.hypergeom(total, false, drawn).pmf(0)
    assert drawing.caught(total, false, drawn) == pytest.approx(expected, abs=1e-12)


def test_the_chances_that_are_stated_in_the_design() -> None:
    """Of 19 tasks and 5 that are run again: 26 %, 74 % and 96 % for 1, 4 and 8 falsified ones."""
    assert [round(100 * drawing.caught(19, false, 5)) for false in (1, 4, 8)] == [26, 74, 96]
    assert {false: round(100 * chance) for false, chance in drawing.odds(19, 5).items()} == {
        1: 26,
        2: 47,
        4: 74,
        8: 96,
        16: 100,
    }


def test_the_chance_holds_for_the_draw_itself() -> None:
    """Over many nonces, tasks are drawn as often as the formula says (the surprising one aside)."""
    claim = claim_of(*((f"task{i:02d}", 0.9 if i == 7 else 0.5) for i in range(19)))
    false = {"task01", "task02", "task03", "task04"}
    hits = [bool(false & set(drawing.tasks(f"nonce {i}", claim, 6))) for i in range(3000)]
    assert np.mean(hits) == pytest.approx(drawing.caught(18, 4, 5), abs=0.025)


def test_nobody_can_know_the_draw_beforehand() -> None:
    """Another nonce, bundle or task draws other images, the same three draw the same, and each image but once."""
    digests = np.random.default_rng(0).integers(0, 256, (1000, 32)).astype(np.uint8)
    draws = [
        drawing.images(*words, digests)
        for words in (("n", "c", "t"), ("m", "c", "t"), ("n", "d", "t"), ("n", "c", "u"))
    ]
    assert all(len(set(draw.tolist())) == 32 for draw in draws)
    assert len({tuple(draw) for draw in draws}) == 4
    assert (drawing.images("n", "c", "t", digests) == draws[0]).all()
    order = np.random.default_rng(1).permutation(1000)
    moved = drawing.images("n", "c", "t", digests[order])
    assert {bytes(digests[order][i]) for i in moved} == {bytes(digests[i]) for i in draws[0]}
    assert len(drawing.images("n", "c", "t", digests[:5])) == 5


def test_words_of_the_draw_cannot_run_into_each_other() -> None:
    """An item's place depends on where one word ends and the next begins."""
    assert drawing.place("n", "ab", "c") != drawing.place("n", "a", "bc")


def test_the_most_surprising_task_is_always_run_again() -> None:
    """The task that stands highest above the model's others and above other models is run again, whatever the nonce."""
    claim = claim_of(("cifar10", 0.80), ("cifar100", 0.78), ("dtd", 0.79), ("pets", 0.81))
    field = [
        make_record(model, task, value=value + 0.01 * i)
        for i, model in enumerate(("a", "b", "c"))
        for task, value in (("cifar10", 0.80), ("cifar100", 0.60), ("dtd", 0.79), ("pets", 0.80))
    ]
    assert {drawing.tasks(str(i), claim, 2, field)[0] for i in range(20)} == {"cifar100"}
    assert {drawing.tasks(str(i), claim, 2)[0] for i in range(20)} == {"pets"}
    assert len({drawing.tasks(str(i), claim, 2, field)[1] for i in range(20)}) == 3
    assert drawing.tasks("n", claim, 9, field)[0] == "cifar100"
    assert set(drawing.tasks("n", claim, 9, field)) == set(claim.tasks)


# ---------------------------------------------------------------- rescoring


def own_data(record: Record, table: Table) -> Own:
    ids = list(table["sample_id"])
    return Own(record.task.digest, ids, Truth({"test": np.asarray(table["target"])}, 10, {"test": ids}))


def outcomes(found: list[Redone], what: str) -> list[str]:
    return [one.outcome for one in found if one.what == what]


def test_honest_records_agree() -> None:
    """Every metric of an honest bundle is found again, and its targets are those of one's own data."""
    claim = claims.of_bundle(make_bundle())
    found = verifying.rescored(claim, lambda record: own_data(record, claim.table(record)))
    assert {one.outcome for one in found} == {"agrees"}
    assert [one.what for one in found] == ["metrics", "targets"] * 2


def test_without_own_data_the_targets_are_open() -> None:
    """Where the task's data are not here the metrics agree, and it is said whose targets they were computed from."""
    found = verifying.rescored(claims.of_bundle(make_bundle()), lambda _: None)
    assert outcomes(found, "metrics") == ["agrees"] * 2
    assert outcomes(found, "stated targets") == ["open"] * 2
    assert "targets are the submitter's" in next(one.said for one in found if one.outcome == "open")


def test_agreeing_with_the_submitters_own_labels_earns_nothing() -> None:
    """A record is re-scored against labels that are held elsewhere, or it stays self-reported."""
    claim = claims.of_bundle(make_bundle())
    alone = Report(claim, "rescore", tuple(verifying.rescored(claim, lambda _: None)), "me")
    held = verifying.rescored(claim, lambda record: own_data(record, claim.table(record)))
    assert (alone.agrees, alone.verification().level) == (True, "schema")
    assert Report(claim, "rescore", tuple(held), "me").verification().level == "rescore"


def test_every_invented_metric_is_named() -> None:
    """Each metric whose value is not the predictions' is named, with both values; so is an interval."""
    record, content = scored()
    top1 = dataclasses.replace(record.metrics["top1"], value=0.7, interval=None)
    narrow = dataclasses.replace(record.metrics["top5"].interval, low=0.749, high=0.751)  # type: ignore[type-var]
    top5 = dataclasses.replace(record.metrics["top5"], interval=narrow)
    forged = dataclasses.replace(record, metrics={"top1": top1, "top5": top5})
    found = verifying.rescored(claims.of_bundle(make_bundle((forged, content))), lambda _: None)
    said = [one.said for one in found if one.outcome == "disagrees"]
    assert any("metrics.top1: 0.7 is stated, but the predictions give 0.75" in one for one in said)
    assert any("metrics.top5: [0.749, 0.751] is stated" in one for one in said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda own: dataclasses.replace(own, task_digest=sha("other")), "other images, labels or splits"),
        (lambda own: dataclasses.replace(own, ids=own.ids[::-1]), "other samples, or in another order"),
        (
            lambda own: dataclasses.replace(
                own, truth=Truth({"test": (own.truth.targets + (np.arange(40) < 3)) % 10}, 10, own.truth.ids)
            ),
            "3 of 40 targets are not the data's",
        ),
    ],
)
def test_targets_that_are_not_the_datas_are_told(change, said: str) -> None:
    """Targets of another task, of other samples, or that were edited disagree, and the edited are counted."""
    claim = claims.of_bundle(make_bundle(scored()))
    found = verifying.rescored(claim, lambda record: change(own_data(record, claim.table(record))))
    assert [said in one.said for one in found if one.what == "targets" and one.outcome == "disagrees"] == [True]


# ---------------------------------------------------------------- features


def features_of(rows: int = 64, dim: int = 96, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32) * 3


def compared(handed_in: np.ndarray, again: np.ndarray) -> Redone:
    digests = np.random.default_rng(9).integers(0, 256, (len(handed_in), 32)).astype(np.uint8)
    positions = np.arange(0, len(handed_in), 4)
    return verifying.features(make_record(), sketch.make(handed_in, digests), positions, again[positions])


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-4, 2e-3])
def test_arithmetic_may_differ(noise: float) -> None:
    """Features that differ by what float32, TF32 or bfloat16 sums differ by are the same."""
    features = features_of()
    again = features * (1 + noise * np.random.default_rng(1).standard_normal(features.shape)).astype(np.float32)
    assert compared(features, again).outcome == "agrees"


@pytest.mark.parametrize(
    "change",
    [
        lambda features: features_of(seed=1),
        lambda features: features[::-1],
        lambda features: features * 1.02,
        lambda features: np.zeros_like(features),
        lambda features: features + 0.5 * features_of(seed=2),
        lambda features: np.roll(features, 1, axis=1),
    ],
    ids=["another network", "other images", "another scale", "nothing", "fine-tuned", "another order"],
)
def test_other_features_are_told(change) -> None:
    """Features of another network, of other images, rescaled, empty or perturbed are not the same."""
    features = features_of()
    assert compared(features, change(features)).outcome == "disagrees"
    assert compared(change(features), features).outcome == "disagrees"


def test_one_wrong_image_is_enough() -> None:
    """One drawn image whose feature is another makes the task disagree, and the count says one."""
    features = features_of()
    other = features.copy()
    other[4] = features_of(seed=3)[4]
    assert compared(other, features).said.startswith("1 of 16 images differ")


def test_sketches_of_other_images_are_told() -> None:
    """A sketch must name the task's own images, all of them, in their order."""
    digests = np.random.default_rng(9).integers(0, 256, (64, 32)).astype(np.uint8)
    handed_in = sketch.make(features_of(), digests)
    assert verifying.same_images(make_record(), handed_in, digests) is None
    for own in (digests[::-1], digests[:-1], digests + 1):
        wrong = verifying.same_images(make_record(), handed_in, own)
        assert wrong is not None
        assert wrong.outcome == "disagrees"


# ---------------------------------------------------------------- runs


def run(record: Record, n: int, flips: int) -> tuple[Table, Table]:
    first = np.arange(n) % 10
    return {"pred": first}, {"pred": np.where(np.arange(n) < flips, first + 1, first)}


@pytest.mark.parametrize(
    ("n", "flips", "replicates", "outcome"),
    [
        (10_000, 30, (), "agrees"),
        (10_000, 31, (), "disagrees"),
        (10_000, 120, (0.75, 0.758, 0.75), "agrees"),
        (10_000, 160, (0.75, 0.758, 0.75), "disagrees"),
        (100, 1, (), "agrees"),
        (100, 2, (), "disagrees"),
    ],
)
def test_predictions_may_flip_within_the_tolerance(
    n: int, flips: int, replicates: tuple[float, ...], outcome: str
) -> None:
    """0.3 % of predictions, three deviations of replicates or one sample may flip, whichever is most; not one more."""
    task = dataclasses.replace(make_record().task, samples={"train": 9, "test": n})
    record = make_record(task=task)
    found = verifying.predictions(record, *_pair(record, n, flips), verifying.tolerance(record, replicates))
    assert outcomes(found, "predictions") == [outcome]
    assert math.isclose(
        verifying.tolerance(record, replicates), max(0.003, 1 / n, 3 * np.std(replicates, ddof=1) if replicates else 0)
    )


def _pair(record: Record, n: int, flips: int) -> tuple[Table, Record, Table]:
    theirs, ours = run(record, n, flips)
    return theirs, record, ours


def test_other_results_and_statements_are_told() -> None:
    """A metric that no prediction is kept of, or a count of parameters that a run gives otherwise is told."""
    record = make_record()
    metrics = dict(record.metrics) | {
        "k=200/top1": dataclasses.replace(record.metrics["k=200/top1"], value=0.99, interval=None)
    }
    forged = dataclasses.replace(record, metrics=metrics)
    (result,) = [one for one in verifying.predictions(forged, {}, record, {}, 0.003) if one.what == "result"]
    assert result.outcome == "disagrees"
    assert result.said.startswith("k=200/top1 0.99 claimed")
    small = dataclasses.replace(record, model=dataclasses.replace(record.model, parameters=1))
    (statement,) = [one for one in verifying.predictions(small, {}, record, {}, 0.003) if one.what == "statements"]
    assert (statement.outcome, statement.said) == ("disagrees", "parameters differ")


# ---------------------------------------------------------------- reports


def test_a_report_says_everything_and_obeys_nobody() -> None:
    """A report has verdict, nonce, odds and tolerance; a stranger's words in it are letters, not markup."""
    redone = (
        Redone("digits × <script>", "metrics", "disagrees", "| a | `b` [x](javascript:1) \x1b[2J @team"),
        Redone("digits", "targets", "open", "their own"),
    )
    claim = claim_of(*((f"task{i}", 0.5) for i in range(9)))
    report = Report(claim, "sample", redone, "me", "2026-01-01T00:00:00Z", Drawn("ab", 32, ("task0", "task1")))
    text = report.markdown()
    assert "**1 disagree**" in text
    assert "2 of 9 tasks were run again" in text
    assert f"1: {100 * 2 / 9:.0f} %" in text
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "\\@team" in text
    assert "\\[x\\]\\(javascript:1\\)" in text
    body = report.to_json()
    assert (body["agrees"], body["drawn"]["nonce"], body["tolerance"]["cosine"]) == (False, "ab", 0.999)
    verification = report.verification()
    assert verification.outcome.startswith("1 disagree; digits × <script>: metrics: ")
    assert verification.records == tuple(sorted(record.content_digest for record in claim.records))
    assert digest_json(body)


def test_a_claim_is_of_one_model() -> None:
    """A bundle whose card is of another model than its records is refused before anything is computed."""
    from ssl_bench.errors import UsageError
    from tests.submission.factory import CARD

    with pytest.raises(UsageError, match="the card is of 'other'"):
        claims.of_bundle(make_bundle(card=CARD.replace("dinov2_vits14", "other")))


def test_a_later_release_may_know_more_metrics() -> None:
    """A record of fewer metrics than a run gives now agrees; one whose metric is defined otherwise does not."""
    record = make_record()
    fewer = dataclasses.replace(record.task, metrics={"top1": record.task.metrics["top1"]})
    old = dataclasses.replace(record, task=fewer, metrics={"top1": record.metrics["top1"]})
    assert {one.outcome for one in verifying.predictions(old, {}, record, {}, 0.003)} == {"agrees"}
    lowered = dataclasses.replace(record.task.metrics["top1"], chance=0.01)
    other = dataclasses.replace(
        record, task=dataclasses.replace(record.task, metrics={**record.task.metrics, "top1": lowered})
    )
    (said,) = [one.said for one in verifying.predictions(other, {}, record, {}, 0.003) if one.outcome == "disagrees"]
    assert said == "definitions of the metrics differ"
