"""Records, cards and predictions that are not what was measured."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from ssl_bench.predictions import Truth
from ssl_bench.results import samples as sample_files
from ssl_bench.results.record import Record
from ssl_bench.submission import bundle, claims, sketch, verifying
from ssl_bench.submission.checks.base import Known
from ssl_bench.submission.manifest import Asked
from ssl_bench.submission.validator import validate
from ssl_bench.submission.verifying import Own, Redone
from tests.results.factory import make_metric, sha
from tests.submission.factory import CARD, make_bundle, scored
from tests.submission.hostile.base import Arena, Case
from tests.submission.hostile.texts import record as edited
from tests.submission.test_validator import FAULTS, KNOWN, PEERS, ROUND, Answer, changed, make_round, one, peer

Change = Callable[[Record], Record]
Forge = Callable[[dict[str, Any]], object]


def judged(*answers: Answer, known: Known = KNOWN, card: str = CARD, round: Any = ROUND) -> str:
    """Return what the validator says, in one line per finding."""
    report = validate(make_bundle(*answers, card=card, suite=round.asked), round, known)
    return "\n".join(str(finding) for finding in report.findings) or "nothing was found"


def record(change: Change, **how: Any) -> Callable[[Arena], object]:
    """Hand in a right bundle, one record of which was changed and its digests computed again."""
    return lambda _: judged(*one(change), **how)


def card(old: str, new: str, **how: Any) -> Callable[[Arena], object]:
    """Hand in a right bundle with other words on its card."""
    assert old in CARD
    return lambda _: judged(card=CARD.replace(old, new), **how)


def metric(name: str, value: float, **fields: Any) -> Change:
    """Change one metric, and nothing that would give it away."""

    def change(record: Record) -> Record:
        said = dataclasses.replace(record.metrics[name], value=value, **fields)
        return dataclasses.replace(record, metrics={**record.metrics, name: said})

    return change


def definition(**fields: Any) -> Change:
    """Change how the headline is to be read."""

    def change(record: Record) -> Record:
        said = dataclasses.replace(record.task.metrics["top1"], **fields)
        return changed(record, "task", metrics={**record.task.metrics, "top1": said})

    return change


def narrowed(record: Record) -> Record:
    value = record.metrics["top1"].value
    interval = dataclasses.replace(record.metrics["top1"].interval, low=value, high=value)  # type: ignore[type-var]
    return metric("top1", value, interval=interval)(record)


def predicted(change: Callable[[dict[str, Any]], dict[str, Any]], *, known: Known = KNOWN, ids: bool = False) -> Any:
    """Hand in other predictions with the numbers that they give; with `ids`, the samples' digest, too."""

    def does(_: Arena) -> object:
        import hashlib

        from ssl_bench.files import digest_json
        from ssl_bench.results.rescore import rescored

        first, (told, content) = scored("cifar10"), scored("dtd")
        table = change(dict(sample_files.decode(content)))
        given = sample_files.encode(table)
        samples = dataclasses.replace(told.samples, sha256=hashlib.sha256(given).hexdigest(), n=len(table["pred"]))
        if ids:
            told = changed(told, "task", ids={**(told.task.ids or {}), "test": digest_json(list(table["sample_id"]))})
        told = dataclasses.replace(told, samples=samples)
        values = {name: make_metric(value, n) for name, (value, n) in rescored(told, table).items()}
        return judged(first, (dataclasses.replace(told, metrics=values), given), known=known)

    return does


def reversed_rows(table: dict[str, Any]) -> dict[str, Any]:
    return {name: column[::-1] for name, column in table.items()}


def answers_moved(table: dict[str, Any]) -> dict[str, Any]:
    """Give every sample the answer of another one."""
    return table | {name: np.roll(table[name], 1, axis=0) for name in ("pred", "top5", "confidence")}


def labels_moved(table: dict[str, Any]) -> dict[str, Any]:
    """Make every label the predicted one."""
    return table | {"target": np.array(table["pred"])}


def held() -> Known:
    """A server that holds the labels of both tasks."""
    tables = {scored(task)[0].task.digest: scored(task)[1] for task in ("cifar10", "dtd")}
    return Known(records=PEERS, targets={digest: sample_files.decode(one)["target"] for digest, one in tables.items()})


def verified(change: Change, own: Callable[[Own], Own] = lambda own: own) -> Callable[[Arena], object]:
    """Hand in a changed record, and let a verifier with the data compute its metrics again."""

    def does(_: Arena) -> object:
        told, content = scored("dtd")
        made = make_bundle((change(told), content))
        claim = claims.of_bundle(made)
        table = sample_files.decode(content)
        ids, true = list(table["sample_id"]), Truth({"test": np.asarray(table["target"])}, 10)
        return lines(verifying.rescored(claim, lambda _: own(Own(told.task.digest, ids, true))))

    return does


def lines(found: list[Redone]) -> str:
    return "\n".join(f"{one.outcome}: {one.what}: {one.said}" for one in found)


def swapped(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arena], object]:
    """Fix other features than the named weights make, and let a verifier extract them again."""

    def does(_: Arena) -> object:
        features = np.random.default_rng(0).standard_normal((40, 48)).astype(np.float32)
        told, _ = scored("dtd")
        digests = np.random.default_rng(1).integers(0, 256, (40, 32)).astype(np.uint8)
        handed = sketch.make(change(features), digests)
        return lines([verifying.features(told, handed, np.arange(0, 40, 5), features[::5])])

    return does


def other_images(_: Arena) -> object:
    told, _ = scored("dtd")
    digests = np.random.default_rng(1).integers(0, 256, (40, 32)).astype(np.uint8)
    handed = sketch.make(np.ones((40, 48)), digests)
    found = verifying.same_images(told, handed, np.roll(digests, 1, axis=0))
    return lines([found] if found else [])


def rerun(change: Change) -> Callable[[Arena], object]:
    """Change what no prediction tells, and let a verifier run the job again."""

    def does(_: Arena) -> object:
        told, content = scored("dtd")
        table = sample_files.decode(content)
        return lines(verifying.predictions(change(told), table, told, table, verifying.tolerance(told)))

    return does


def signed_by_nobody(_: Arena) -> object:
    made = make_bundle(suite=ROUND.asked)
    forged = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n"
    arena_contents = {**made.contents, bundle.SIGNATURE: forged}
    manifest = dataclasses.replace(made.manifest, members=bundle.held(arena_contents))
    report = validate(dataclasses.replace(made, contents=arena_contents, manifest=manifest), ROUND, KNOWN)
    return "\n".join(map(str, report.findings))


def attested_elsewhere(arena: Arena) -> object:
    def change(contents: dict[str, bytes]) -> None:
        contents[bundle.ATTEST] = make_bundle(scored("pets")).contents[bundle.ATTEST]

    return arena.judge(arena.changed(change))


def another_of(_: Arena) -> object:
    """Hand in another model's predictions, whose file the board knows."""
    (told, content), other = scored("cifar10"), scored("dtd")
    theirs = peer(task="cifar10")[0]
    theirs = dataclasses.replace(theirs, samples=told.samples)
    return judged((told, content), other, known=Known(records=(theirs,)))


def nearly(_: Arena) -> object:
    """Hand in another model's predictions with one answer changed."""
    (told, content), other = scored("cifar10", n=4000), scored("dtd", n=4000)
    theirs = [peer(task=task, n=4000)[0] for task in ("cifar10", "dtd")]
    tables = {}
    for record_, (_, content_) in zip(theirs, ((told, content), other), strict=True):
        table = dict(sample_files.decode(content_))
        first = np.array(table["pred"])
        first[0] = (first[0] + 1) % 10
        tables[record_.record_id] = table | {"pred": first}
    known = Known(records=tuple(theirs), table=lambda one: tables[one.record_id])
    return judged((told, content), other, known=known)


def best_of_five(_: Arena) -> object:
    """Run five seeds and hand in the best as the one that was asked for."""
    best = max((scored("dtd", seed, right=28 + seed) for seed in range(5)), key=lambda one: one[0].headline.value)
    return judged(scored("cifar10"), best)


def best_of_all(_: Arena) -> object:
    """Leave the worst of the published seeds out."""
    round = make_round(seeds=(0, 1, 2))
    answers = [scored(task, seed) for task in ("cifar10", "dtd") for seed in (0, 1, 2)]
    return judged(*answers[:-1], round=round)


def line_of(text: str) -> Callable[[Arena], object]:
    """Put what is no record among the records."""

    def change(contents: dict[str, bytes]) -> None:
        contents[bundle.RECORDS] += text.encode() + b"\n"

    return lambda arena: arena.changed(change)


VERIFICATION = {
    "schema": "ssl-bench.verification/1",
    "model": "dinov2_vits14",
    "records": ["0" * 64],
    "level": "full",
    "outcome": "agrees",
    "verifier": "me",
    "created": "2026-01-01T00:00:00Z",
}
WITHDRAWAL = {"schema": "ssl-bench.withdrawal/1", "content_digest": "0" * 64, "reason": "a rival's"}
CASES = (
    # numbers
    Case(
        "a metric that was edited",
        edited(lambda r: r["metrics"]["top1"].update(value=1.0)),
        "outside its interval|edited or damaged",
    ),
    Case("a seed that was edited", edited(lambda r: r.update(seed=7)), "record_id does not match"),
    Case(
        "a model that was renamed",
        edited(lambda r: r["model"].update(name="zz")),
        "content_digest does not match|order",
    ),
    Case("a digest that was removed", edited(lambda r: r.pop("content_digest")), "content_digest is missing"),
    Case(
        "a metric that was edited with its digests",
        record(FAULTS["metric-differs"]),
        "E031 metric-differs .*0.875 is stated",
    ),
    Case("a metric a millionth too high", record(metric("top5", 0.75001, interval=None)), "E031 metric-differs"),
    Case("a metric of fewer samples", edited(lambda r: r["metrics"]["top1"].update(n=39)), "n is 39|edited or damaged"),
    Case("an interval of no width", record(narrowed), "E031 metric-differs .*is stated as its interval"),
    Case(
        "a metric that falls when it should rise",
        lambda a: definition(higher_is_better=False)(scored("dtd")[0]),
        "higher_is_better is False, but it is True",
    ),
    Case(
        "a metric in another unit",
        lambda a: definition(unit="percent")(scored("dtd")[0]),
        "unit is percent, but it is fraction",
    ),
    Case(
        "a metric of another range", lambda a: definition(high=100.0)(scored("dtd")[0]), "high is 100.0, but it is 1.0"
    ),
    Case(
        "a chance level of nothing",
        record(definition(chance=0.0)),
        "E020 task-differs .*chance level of top1 is 0.0, not 0.1",
    ),
    Case("a ceiling that makes everything perfect", record(definition(ceiling=0.75)), "E020 task-differs .*ceiling"),
    Case("another headline", record(lambda r: changed(r, "task", metric="top5")), "E020 task-differs .*headline"),
    # predictions
    Case(
        "no predictions",
        lambda a: a.judge(a.changed(lambda c: c.pop(next(n for n in c if n.startswith("samples/"))))),
        "E030 predictions-missing",
    ),
    Case(
        "no sketches",
        lambda a: a.judge(a.changed(lambda c: c.pop(next(n for n in c if n.startswith("sketch/"))))),
        "E033 sketch-missing",
    ),
    Case("predictions in another order", predicted(reversed_rows), "E031 metric-differs .*other samples"),
    Case(
        "predictions and their samples' digest in another order",
        predicted(reversed_rows, known=held(), ids=True),
        "E032 labels-differ|E031",
    ),
    Case("answers of other samples", verified(metric("top1", 0.05, interval=None)), "disagrees: metrics: metrics.top1"),
    Case(
        "labels that were made the predicted ones",
        predicted(labels_moved, known=held()),
        "E032 labels-differ .*10 of 40 labels",
    ),
    Case("every second sample", predicted(lambda t: {k: v[::2] for k, v in t.items()}), "n is|samples|E03"),
    Case("another model's predictions", another_of, "E051 predictions-known"),
    Case("another model's predictions, one of them changed", nearly, "W151 predictions-alike"),
    # features and runs, against a verifier
    Case(
        "features of another network",
        swapped(lambda f: np.random.default_rng(7).standard_normal(f.shape)),
        "disagrees: features: 8 of 8",
    ),
    Case("features of permuted images", swapped(lambda f: f[::-1]), "disagrees: features"),
    Case(
        "features of a network that was trained further",
        swapped(lambda f: f + 0.2 * np.random.default_rng(7).standard_normal(f.shape)),
        "disagrees: features",
    ),
    Case("features scaled for a probe", swapped(lambda f: f * 3), "disagrees: features"),
    Case("features of nothing", swapped(lambda f: f * 0), "disagrees: features"),
    Case("a sketch of other images", other_images, "disagrees: images"),
    Case(
        "targets of another task",
        verified(lambda r: changed(r, "task", digest=sha("easier"))),
        "disagrees: targets: .*other images, labels or splits",
    ),
    Case(
        "a network said to be small",
        rerun(lambda r: changed(r, "model", parameters=1000)),
        "disagrees: statements: parameters",
    ),
    Case(
        "features said to be short",
        rerun(lambda r: changed(r, "model", embed_dim=2)),
        "disagrees: statements: length of the features",
    ),
    Case(
        "a metric that a run does not give",
        rerun(metric("top5", 1.0, interval=None)),
        "disagrees: result: top5 1 claimed",
    ),
    # what was asked
    Case("the best of five seeds", best_of_five, "E012 seed-missing[\\s\\S]*E013 seed-foreign"),
    Case("all seeds but the worst", best_of_all, "E012 seed-missing"),
    Case(
        "two records of one job",
        lambda a: judged(scored("cifar10"), scored("dtd"), scored("dtd", right=35)),
        "E014 answered-twice",
    ),
    Case("a task that is missing", lambda a: judged(scored("cifar10")), "E010 task-missing"),
    Case(
        "a task that nobody asked for",
        lambda a: judged(scored("cifar10"), scored("dtd"), scored("pets")),
        "E011 task-foreign",
    ),
    Case("a run that was cut short", record(FAULTS["truncated"]), "E015 truncated"),
    Case("code that was changed", record(FAULTS["code-dirty"]), "E016 code-dirty"),
    Case("another recipe", record(FAULTS["protocol-unofficial"]), "E017 protocol-unofficial"),
    Case(
        "another version of the protocol",
        record(lambda r: changed(r, "protocol", version=2)),
        "E017 protocol-unofficial",
    ),
    Case("another pooling", record(FAULTS["features-unofficial"]), "E018 features-unofficial"),
    Case("another input for one task", record(FAULTS["features-differ"]), "E019 features-differ"),
    Case("easier images", record(FAULTS["task-differs"]), "E020 task-differs"),
    Case(
        "fewer classes", lambda a: judged(*one(lambda r: changed(r, "task", classes=5))), "task-differs|metric-differs"
    ),
    Case("a task of one's own version", record(lambda r: changed(r, "task", version=2)), "E020 task-differs"),
    Case("another network for one task", record(FAULTS["model-differs"]), "E021 model-differs"),
    Case(
        "another architecture for one task",
        record(lambda r: changed(r, "model", arch={"patch_size": 8})),
        "E021 model-differs",
    ),
    Case(
        "a round that is closed",
        lambda a: "\n".join(map(str, validate(make_bundle(suite=make_round(version=1).asked), ROUND, KNOWN).findings)),
        "E002 round-closed",
    ),
    Case(
        "a round of one's own",
        lambda a: "\n".join(
            map(str, validate(make_bundle(suite=Asked("small", 2, sha("mine"))), ROUND, KNOWN).findings)
        ),
        "E003 round-differs",
    ),
    Case(
        "another harness", lambda a: judged(known=Known(records=PEERS, harness=sha("official"))), "W102 harness-differs"
    ),
    Case("an attestation of another bundle", attested_elsewhere, "E004 attestation-differs"),
    Case("a signature that is none", signed_by_nobody, "E005 signature-wrong|W101 signature-unchecked"),
    Case(
        "a verification of oneself among the records",
        line_of(json.dumps(VERIFICATION, sort_keys=True, separators=(",", ":"))),
        "schema",
    ),
    Case(
        "a withdrawal of a rival's among the records",
        line_of(json.dumps(WITHDRAWAL, sort_keys=True, separators=(",", ":"))),
        "schema",
    ),
    # the card
    Case("a card of another model", card("dinov2_vits14", "dinov2_vitg14"), "E040 card-name"),
    Case(
        "a card of another file",
        lambda a: judged(card=CARD.replace("{sha256}", sha("other file"))),
        "E041 card-weights",
    ),
    Case(
        "weights behind a script", card("https://example.org/w.safetensors", "javascript:alert(1)"), "E041 card-weights"
    ),
    Case(
        "weights on this machine", card("https://example.org/w.safetensors", "file:///etc/passwd"), "E041 card-weights"
    ),
    Case(
        "weights that execute",
        card("https://example.org/w.safetensors", "https://example.org/w.pth"),
        "E043 weights-unsafe",
    ),
    Case(
        "ten passes per image in the closed division",
        card("labels_used = false", "labels_used = false\npasses_per_image = 10"),
        "E044 division",
    ),
    Case(
        "no passes per image",
        card("labels_used = false", "labels_used = false\npasses_per_image = 0"),
        "passes_per_image is less than 1|less than 1",
    ),
    Case(
        "features without a network in the closed division",
        lambda a: judged(*(_embedded(t) for t in ("cifar10", "dtd"))),
        "E044 division",
    ),
    Case(
        "a division of one's own",
        card("labels_used = false", 'labels_used = false\ndivision = "winners"'),
        "division.* not one of",
    ),
    Case("no licence", card('"Apache-2.0"', '" "'), "licence.* empty"),
    Case("what the weights have seen kept silent", card('"LVD-142M"', '""'), "data.* names no dataset|data names no"),
    Case(
        "weights that are known under another name",
        lambda a: judged(known=Known(records=(_same_weights(),))),
        "E050 weights-known",
    ),
    Case(
        "a name that looks like another's",
        lambda a: judged(known=Known(records=tuple(peer(name="dinov2_vitsl4", task=t)[0] for t in ("cifar10", "dtd")))),
        "W152 name-alike",
    ),
    Case("a Cyrillic letter in a known name", lambda a: _as("dinоv2_vits14"), "W152 name-alike"),
    Case("a letter of no width in a known name", lambda a: _as("dinov2_\u200bvits14"), "letters that are not shown"),
    Case("a name in another direction", lambda a: _as("\u202e41stiv_2vonid"), "turn the text round"),
)


def _embedded(task: str) -> Answer:
    told, content = scored(task)
    return changed(told, "model", adapter="embeddings"), content


def _same_weights() -> Record:
    theirs = peer()[0]
    return changed(theirs, "model", weights_digest=scored("cifar10")[0].model.weights_digest)


def _as(name: str) -> str:
    """Hand in a model under this name, beside a known dinov2_vits14."""
    known = Known(records=tuple(peer(name="dinov2_vits14", task=task)[0] for task in ("cifar10", "dtd")))
    return judged(
        scored("cifar10", model=name), scored("dtd", model=name), known=known, card=CARD.replace("dinov2_vits14", name)
    )
