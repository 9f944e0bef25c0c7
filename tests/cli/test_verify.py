"""`ssl-bench verify`, on a bundle of a network that really ran on real digits: what is honest agrees at every level,
and cheats are caught, each with its report. `pytest -s` prints the reports."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench.results import samples as sample_files
from ssl_bench.results.rescore import rescored
from ssl_bench.results.roots import FolderRoot
from ssl_bench.results.samples import Table
from ssl_bench.results.store import Results
from ssl_bench.submission import bundle as bundles
from ssl_bench.submission import sketch
from tests.cli.conftest import Command, Said, lines
from tests.submission.real import Submitter, submitter

Row = dict[str, str]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Submitter:
    """Somebody who measured digits_vit on quick."""
    folder = tmp_path_factory.mktemp("lab")
    lab = submitter(folder, folder / "cache")
    lab.run()
    return lab


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verifier's cache, which all tests here share: features are extracted once."""
    return tmp_path_factory.mktemp("verifier") / "cache"


@pytest.fixture
def verify(command: Command, cache: Path) -> Callable[..., Said]:
    def run(*words: object) -> Said:
        said = command("verify", *words, "--cache", cache, "--progress", "none")
        print(f"\n$ ssl-bench verify {' '.join(map(str, words))}   → exit code {said.code}\n{said.out}{said.err}")
        return said

    return run


def handed_in(lab: Submitter, *, change: Any = None, sketched: Any = None) -> Path:
    """Write the lab's bundle, after `change` did something to its records, and return its file."""
    records = Results(lab.settings.results).records()
    records = [change(one) for one in records] if change else records
    made = lab.bundle(records, **({"sketched": sketched} if sketched else {}))
    bundles.write(made, Path("bundle.tar"))
    return Path("bundle.tar")


def rows(said: Said) -> list[tuple[str, str, str, str]]:
    return [tuple(row) for row in lines(said.out) if len(row) == 4]  # type: ignore[misc]


def wrong(said: Said) -> list[tuple[str, str, str]]:
    return [(job, what, found) for job, what, outcome, found in rows(said) if outcome == "disagrees"]


def with_predictions(lab: Submitter, record: Any, change: Callable[[Table], Table]) -> Any:
    """Return a record of other predictions, with just the numbers that those give: what a careful cheat hands in."""
    root = FolderRoot(Path(lab.settings.results))
    table = change(sample_files.read(root, record.samples))
    samples = sample_files.write(root, table)
    scores = rescored(record, table)
    numbers = {
        name: dataclasses.replace(metric, value=scores[name][0], interval=None) if name in scores else metric
        for name, metric in record.metrics.items()
    }
    return dataclasses.replace(record, samples=samples, metrics=numbers)


def all_right(table: Table) -> Table:
    """Return predictions that are all right, as who trains on the test set, or reads its labels, would have them."""
    top5 = np.array(table["top5"])
    for row, target in zip(top5, table["target"], strict=True):
        row[list(row).index(target) if target in row else 4] = row[0]
        row[0] = target
    return {**table, "pred": top5[:, 0], "top5": top5}


# ---------------------------------------------------------------- honest


@pytest.mark.parametrize("level", ["schema", "rescore", "sample", "full"])
def test_what_is_honest_agrees(lab: Submitter, verify: Callable[..., Said], level: str) -> None:
    """A bundle that was measured agrees at every level, with exit code 0, and its report says how far that goes."""
    said = verify(handed_in(lab), "--level", level, "--out", "out")
    assert said.code == 0, said.out
    report = json.loads(Path("out/report.json").read_text())
    assert (report["agrees"], report["level"], report["records"]) == (True, level, 2)
    assert "agrees" in Path("out/report.md").read_text()
    assert bool(report["odds"]) == (level in ("sample", "full"))
    if level == "sample":
        nonce = report["drawn"]["nonce"]
        assert len(bytes.fromhex(nonce)) == 16
        assert f"--nonce {nonce}" in said.err


def test_a_verification_shows_on_the_board(
    lab: Submitter, command: Command, verify: Callable[..., Said], tmp_path: Path
) -> None:
    """What was verified stands on the board, where signatures are asked for only if signed, until it is disputed."""
    from ssl_bench.cli.board_command import make
    from ssl_bench.settings import resolve

    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    kind, public, *_ = Path(f"{key}.pub").read_text().split()
    (tmp_path / "signers").write_text(f'judge@lab namespaces="ssl-bench.verification" {kind} {public}\n')
    bundle = handed_in(lab)
    settings = resolve({"results": "store"}).settings
    assert command("results", "import", bundle, "--results", "store").code == 0

    def level(verifiers: Path | None = None) -> str:
        return make(Results("store"), settings, verifiers=verifiers).tables[0].rows[0].standing.level

    assert level() == "self-reported"
    assert verify(bundle, "--results", "store").code == 0
    assert (level(), level(tmp_path / "signers")) == ("re-scored", "self-reported")
    assert verify(bundle, "--level", "full", "--results", "store", "--by", "judge@lab", "--sign", key).code == 0
    assert (level(), level(tmp_path / "signers")) == ("reproduced", "reproduced")
    assert verify(bundle, "--sign", key).code == 2
    record = Results("store").records()[0].record_id
    words = ("--by", "a@lab", "--reason", "how?", "--link", "https://example.org/7", "--results", "store")
    assert command("results", "dispute", record, *words).code == 0
    assert (level(), level(tmp_path / "signers")) == ("disputed", "disputed")


def test_a_server_may_draw_the_nonce(lab: Submitter, verify: Callable[..., Said], cache: Path) -> None:
    """With the nonce given, a verification that is run again draws the same and runs nothing twice."""
    bundle = handed_in(lab)
    reports, stamps = [], []
    for name in ("one", "two"):
        assert verify(bundle, "--level", "sample", "--nonce", "abcd", "--out", name, "--images", 8).code == 0
        body = json.loads(Path(name, "report.json").read_text())
        reports.append({key: value for key, value in body.items() if key != "created"})
        stamps.append({path: path.stat().st_mtime_ns for path in sorted(cache.glob("verify/*/*/*/*.json"))})
    assert reports[0] == reports[1]
    assert reports[0]["drawn"] == {"nonce": "abcd", "images": 8, "tasks": ["digits"]}
    assert stamps[0] == stamps[1] != {}


def test_records_of_the_store(lab: Submitter, verify: Callable[..., Said]) -> None:
    """Records that were measured here are verified by their ids; that no features were fixed of them is said."""
    shutil.copytree(lab.settings.results, "store")
    ids = [record.record_id[:12] for record in Results("store").records()]
    said = verify(*ids, "--level", "sample", "--results", "store")
    assert said.code == 0
    assert ("digits", "features", "open", "nothing was fixed of them; a run tells") in rows(said)
    assert {one.level for one in Results("store").verifications()} == {"sample"}


def test_rescoring_needs_no_torch(lab: Submitter, command: Command, cache: Path) -> None:
    """A server that computes metrics again needs neither torch nor the model."""
    handed_in(lab)
    code = (
        "import sys\nfrom ssl_bench import cli\n"
        f"sys.argv = ['ssl-bench', 'verify', 'bundle.tar', '--cache', {str(cache)!r}, '--progress', 'none']\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        "print('LOADED', 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "LOADED False" in done.stdout, done.stdout + done.stderr


# ---------------------------------------------------------------- what is missing


def test_a_model_that_is_not_here_is_asked_for(lab: Submitter, verify: Callable[..., Said]) -> None:
    """A model without a card here has exit code 6, says where it is declared to be, and can be named otherwise."""
    bundle = handed_in(
        lab, change=lambda one: dataclasses.replace(one, model=dataclasses.replace(one.model, name="new"))
    )
    said = verify(bundle, "--level", "sample")
    assert said.code == 6
    assert "--model" in said.err
    assert "https://example.org/digits_vit.safetensors" in said.err
    said = verify(bundle, "--level", "sample", "--model", "digits_vit")
    # The committed board knows these weights by their own name, and nothing else is wrong with them.
    assert [line.split("\t")[1] for line in said.out.splitlines() if "\tdisagrees" in line] == ["E050 weights-known"]
    assert re.search(r"\((\d+) agrees, 1 disagrees\)", said.out)


def test_other_weights_than_the_declared_say_nothing(lab: Submitter, verify: Callable[..., Said]) -> None:
    """Where the verifier has another file than the one that is declared, nothing is concluded: exit code 6."""
    said = verify(handed_in(lab), "--level", "sample", "--model", "random:digits_vit")
    assert said.code == 6
    assert "are not those that are claimed" in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no-such.tar",), "cannot read no-such.tar"),
        (("ffff",), "results ls"),
    ],
)
def test_wrong_words(verify: Callable[..., Said], words: tuple[str, ...], said: str) -> None:
    """A file or an id that is not there is named."""
    found = verify(*words)
    assert found.code in (2, 6)
    assert said in found.err


# ---------------------------------------------------------------- three kinds of cheating, and more


def test_invented_metrics_are_caught_by_rescoring(lab: Submitter, verify: Callable[..., Said]) -> None:
    """A number that was edited, its digests made good, is told from the one that its predictions give."""

    def better(record: Any) -> Any:
        top1 = dataclasses.replace(record.metrics["top1"], value=1.0, interval=None)
        return dataclasses.replace(record, metrics={**record.metrics, "top1": top1, "top5": _one(record)})

    def _one(record: Any) -> Any:
        return dataclasses.replace(record.metrics["top5"], value=1.0, interval=None)

    bundle = handed_in(lab, change=better)
    said = verify(bundle)
    assert said.code == 1
    assert any(
        what == "metrics" and "metrics.top1: 1.0 is stated, but the predictions give 0.98" in why
        for _, what, why in wrong(said)
    )
    (kept,) = Results("results").verifications()
    assert not kept.agrees


def test_invented_predictions_are_caught_by_sampling(lab: Submitter, verify: Callable[..., Said]) -> None:
    """Predictions that are all right, as who saw the test labels gives them, pass rescoring, and a run tells."""
    bundle = handed_in(lab, change=lambda one: with_predictions(lab, one, all_right))
    passed = verify(bundle)
    assert [row for row in rows(passed) if row[1] in ("metrics", "targets") and row[2] == "disagrees"] == []
    said = verify(bundle, "--level", "sample")
    assert said.code == 1
    assert ("digits × knn seed 0", "predictions", "1.11 % differ, 0.30 % may") in wrong(said)
    assert ("digits × knn seed 0", "result") in [row[:2] for row in wrong(said)]


def test_permuted_predictions_are_caught(lab: Submitter, verify: Callable[..., Said]) -> None:
    """Predictions whose samples were put in another order are not of the test split, whatever their number says."""

    def permuted(table: Table) -> Table:
        return {key: value[::-1] for key, value in table.items()}

    said = verify(handed_in(lab, change=lambda one: with_predictions(lab, one, permuted)))
    assert said.code == 1
    assert any("other samples" in why or "task.ids" in why for _, _, why in wrong(said))


def test_another_networks_features_are_caught_by_sampling(
    lab: Submitter, verify: Callable[..., Said], tmp_path: Path
) -> None:
    """Who hands in another network's answers under the name and digest of these weights is told by the features."""
    other = submitter(tmp_path / "other", lab.settings.cache, "random:digits_vit")
    theirs = {record.protocol.name: record for record in other.run()}
    for path in Path(other.settings.results).glob("samples/*/*"):
        place = Path(lab.settings.results) / path.relative_to(other.settings.results)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)

    def swapped(record: Any) -> Any:
        found = theirs[record.protocol.name]
        return dataclasses.replace(record, samples=found.samples, metrics=found.metrics)

    def of_the_other(handed: sketch.Sketch) -> sketch.Sketch:
        draw = np.random.default_rng(0).standard_normal((len(handed), 64))
        norms, values = sketch.project(draw)
        return dataclasses.replace(handed, norms=norms, values=values)

    bundle = handed_in(lab, change=swapped, sketched=of_the_other)
    assert [what for _, what, _ in wrong(verify(bundle)) if what in ("metrics", "targets")] == []
    said = verify(bundle, "--level", "sample", "--images", 4)
    assert said.code == 1
    found = wrong(said)
    assert any(what == "features" and why.startswith("4 of 4 images differ") for _, what, why in found)
    assert [job for job, what, _ in found if what == "predictions"] != []


def test_picked_seeds_are_refused_by_the_validator(lab: Submitter, verify: Callable[..., Said]) -> None:
    """A seed that was not asked for, in place of the published one, is refused by name at every level."""
    bundle = handed_in(lab, change=lambda one: dataclasses.replace(one, seed=4))
    said = verify(bundle, "--level", "schema")
    assert said.code == 1
    assert {what.split()[1] for _, what, _ in wrong(said)} == {"seed-missing", "seed-foreign"}


def test_a_seed_that_lies_is_caught_by_a_full_run(lab: Submitter, verify: Callable[..., Said]) -> None:
    """A probe that was trained otherwise, on the test set too, and says it was the official one, passes the validator
    and rescoring; running it tells."""
    chosen = [one for one in Results(lab.settings.results).records() if one.protocol.name == "knn"]

    def trained_on_test(record: Any) -> Any:
        return with_predictions(lab, record, all_right) if record in chosen else record

    bundle = handed_in(lab, change=trained_on_test)
    assert verify(bundle).code == 0
    said = verify(bundle, "--level", "full", "--out", "out")
    assert said.code == 1
    assert {job for job, _, _ in wrong(said)} == {"digits × knn seed 0"}
    assert "**2 disagree**" in Path("out/report.md").read_text()


def test_other_weights_in_the_declared_file_are_caught(lab: Submitter, verify: Callable[..., Said]) -> None:
    """Records of other tensors than the declared file holds disagree: the file is the declared one."""
    forged = dataclasses.replace(Results(lab.settings.results).records()[0].model, weights_digest="0" * 64)
    said = verify(handed_in(lab, change=lambda one: dataclasses.replace(one, model=forged)), "--level", "sample")
    assert said.code == 1
    assert any(what == "weights" and "in the very file that is declared" in why for _, what, why in wrong(said))


def test_another_recipe_is_another_job(lab: Submitter, verify: Callable[..., Said]) -> None:
    """A record whose recipe was changed after the run is of a job that nobody here knows."""

    def recipe(record: Any) -> Any:
        protocol = dataclasses.replace(record.protocol, version=9)
        return dataclasses.replace(record, protocol=protocol)

    said = verify(handed_in(lab, change=recipe), "--level", "sample")
    assert said.code == 1
    assert ("digits × knn seed 0", "run", "this is another job here: version of the protocol differ") in wrong(said)


def test_words_of_a_stranger_look_nothing_up(lab: Submitter, verify: Callable[..., Said], tmp_path: Path) -> None:
    """A task, model or protocol that is named by a path or a module is not looked up: nothing is read or imported."""
    sentinel = tmp_path / "sentinel"
    (tmp_path / "evil.py").write_text(f"open({str(sentinel)!r}, 'w')\n")
    (tmp_path / "evil.toml").write_text('title = "x"\nreader = "evil"\nclasses = 10\n')

    def tasked(record: Any) -> Any:
        return dataclasses.replace(record, task=dataclasses.replace(record.task, name=str(tmp_path / "evil.toml")))

    def asked(record: Any) -> Any:
        return dataclasses.replace(record, protocol=dataclasses.replace(record.protocol, name="evil:Protocol"))

    for change in (tasked, asked):
        said = verify(handed_in(lab, change=change), "--level", "sample", "--shelf", tmp_path)
        assert said.code == 1
        assert any("cannot be asked here" in why for _, _, why in wrong(said))
    for name in (f"ckpt:{tmp_path / 'evil.pth'}", "torchhub:evil", "digits_vit,file=evil"):
        bundle = handed_in(lab, change=lambda one, name=name: _named(one, name))
        assert verify(bundle, "--level", "sample").code == 6
    assert not sentinel.exists()


def _named(record: Any, name: str) -> Any:
    return dataclasses.replace(record, model=dataclasses.replace(record.model, name=name))


def test_reports_hold_no_steering_characters(lab: Submitter, verify: Callable[..., Said]) -> None:
    """What a terminal would obey in a stranger's words comes out as letters."""

    def painted(record: Any) -> Any:
        return dataclasses.replace(record, task=dataclasses.replace(record.task, name="\x1b[2Jdigits\u202e"))

    said = verify(handed_in(lab, change=painted), "--out", "out")
    assert said.code == 1
    text = io.StringIO(said.out + said.err + Path("out/report.md").read_text()).getvalue()
    assert not {"\x1b", "\u202e"} & set(text)
