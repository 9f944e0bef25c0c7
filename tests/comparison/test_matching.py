"""What is compared with what, and what is refused."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

import ssl_bench
from ssl_bench.comparison import sources
from ssl_bench.errors import IncomparableError, MissingError, UsageError
from ssl_bench.results.store import Results
from tests.comparison.factory import answers, flipped, put_classes
from tests.results.factory import make_protocol


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with one record."""
    put_classes(tmp_path / "base", "dtd", answers("dtd", 400))
    return tmp_path / "base"


def refused(base: Path, cand: Path, **given: object) -> str:
    with pytest.raises(IncomparableError) as error:
        ssl_bench.compare(base, cand, **given)  # type: ignore[arg-type]
    return str(error.value)


def test_another_recipe(base: Path, tmp_path: Path) -> None:
    """Another recipe is refused with the field and both values; a field that is allowed to differ is told."""
    pred = answers("dtd", 400)
    put_classes(tmp_path / "cand", "dtd", pred, protocol=make_protocol("knn", {"k": 10, "temperature": 0.07}))
    assert refused(base, tmp_path / "cand") == "dinov2_vits14 · dtd · knn: recipe.k: 20 ≠ 10"
    found = ssl_bench.compare(base, tmp_path / "cand", allow=["recipe.k"])
    assert found.notes == ("dinov2_vits14 · dtd · knn: recipe.k differs and is allowed to: 20 ≠ 10",)


def test_another_version_of_the_task(base: Path, tmp_path: Path) -> None:
    """Other content of a task is refused: its digest and version are told, and what explains them."""
    put_classes(tmp_path / "cand", "dtd", answers("dtd", 300), version=2)
    said = refused(base, tmp_path / "cand")
    assert "task.version: 1 ≠ 2" in said
    assert "task.samples.test: 400 ≠ 300" in said
    assert "task.digest: " in said


def test_what_is_missing_and_what_is_new(base: Path, tmp_path: Path) -> None:
    """A job that the candidate lacks is refused, unless it may be missing; one that base lacks is told."""
    put_classes(base, "pets", answers("pets", 400))
    put_classes(tmp_path / "cand", "dtd", answers("dtd", 400))
    put_classes(tmp_path / "cand", "cars", answers("cars", 400))
    assert refused(base, tmp_path / "cand") == "dinov2_vits14 · pets · knn: record: present ≠ missing"
    found = ssl_bench.compare(base, tmp_path / "cand", allow=["missing"])
    assert [one.task for one in found.tasks] == ["dtd"]
    assert "dinov2_vits14 · cars · knn: only the candidate has it" in found.notes


def test_truncated_records(tmp_path: Path) -> None:
    """Records of a part of the test set are refused, unless that is allowed."""
    for side in ("base", "cand"):
        put_classes(tmp_path / side, "dtd", answers("dtd", 64), truncated=64)
    assert "task.truncated" in refused(tmp_path / "base", tmp_path / "cand")
    assert ssl_bench.compare(tmp_path / "base", tmp_path / "cand", allow=["truncated"]).exit_code == 0


def test_other_weights_are_another_question(base: Path, tmp_path: Path) -> None:
    """The same name with other weights is refused under the question of code, and answered under that of method."""
    put_classes(tmp_path / "cand", "dtd", flipped("dtd", answers("dtd", 400), 9, 3), weights="other")
    said = refused(base, tmp_path / "cand")
    assert "model.weights_digest (--question method compares two networks)" in said
    found = ssl_bench.compare(base, tmp_path / "cand", question="method")
    assert found.tasks[0].losses == 9
    assert any("these weights, not of the methods" in note for note in found.notes)


def test_two_models_of_one_store(base: Path) -> None:
    """Two models of one set of records are put beside each other; a wrong name is answered with the nearest."""
    put_classes(base, "dtd", flipped("dtd", answers("dtd", 400), 40, 5), model="mae_vitb16")
    (one,) = ssl_bench.compare(base, models=["dinov2_vits14", "mae_vitb16"]).tasks
    assert (one.base_model, one.model, one.losses, one.wins) == ("dinov2_vits14", "mae_vitb16", 40, 5)
    with pytest.raises(UsageError, match="Did you mean mae_vitb16"):
        ssl_bench.compare(base, models=["dinov2_vits14", "mae_vitb14"])


def test_several_recipes_of_one_protocol(tmp_path: Path) -> None:
    """Recipes of one protocol are compared each with its own, and told apart in words."""
    for side in ("base", "cand"):
        for shots in (1, 5):
            pred = answers("dtd", 400, accuracy=0.5 + 0.05 * shots)
            put_classes(tmp_path / side, "dtd", pred, protocol=make_protocol("few_shot", {"shots": shots}))
    found = ssl_bench.compare(tmp_path / "base", tmp_path / "cand")
    assert sorted(one.name for one in found.tasks) == ["dtd (shots=1)", "dtd (shots=5)"]
    assert found.suites == ()


def test_how_the_sides_were_run(base: Path, tmp_path: Path) -> None:
    """Another device, batch size or version is no obstacle, and is told with both values."""
    put_classes(tmp_path / "cand", "dtd", answers("dtd", 400), environment={"device": "NVIDIA H200", "batch_size": 1})
    found = ssl_bench.compare(base, tmp_path / "cand")
    assert found.surroundings == (
        "environment.batch_size: 128 → 1",
        'environment.device: "NVIDIA H100" → "NVIDIA H200"',
    )


# ---------------------------------------------------------------- where a side comes from


def test_a_packed_file(base: Path, tmp_path: Path) -> None:
    """A packed file is a side, and its predictions lie beside it."""
    Results(base).pack()
    (packed,) = base.glob("*.jsonl")
    put_classes(tmp_path / "cand", "dtd", flipped("dtd", answers("dtd", 400), 9, 3))
    assert ssl_bench.compare(packed, tmp_path / "cand").tasks[0].losses == 9
    packed.write_text(packed.read_text() + "{broken\n")
    assert ssl_bench.compare(packed, tmp_path / "cand").notes[0].startswith("skipped: dinov2_vits14.jsonl:2")


def test_a_commit(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records at a commit are a side, packed or loose; predictions are found under another root by their digest."""
    monkeypatch.chdir(tmp_path)
    Results(base).pack()
    for words in (
        "init -q",
        "add base/dinov2_vits14.jsonl",
        "-c user.name=a -c user.email=a@b.c commit -q -m one",
        "tag v1",
    ):
        subprocess.run(["git", *words.split()], check=True)
    put_classes(Path("cand"), "dtd", flipped("dtd", answers("dtd", 400), 9, 3))
    assert not ssl_bench.compare("git:v1:base", "cand").tasks[0].paired
    for name in ("git:v1:base", "git:HEAD:base/dinov2_vits14.jsonl"):
        assert ssl_bench.compare(name, "cand", samples=[base]).tasks[0].losses == 9
    with pytest.raises(MissingError, match=r"git says: .*fetch-depth: 0"):
        sources.get("git:v2:base")
    with pytest.raises(UsageError, match="git holds no"):
        sources.get("git:v1:elsewhere")
    with pytest.raises(UsageError, match="git:REF:PATH"):
        sources.get("git:v1")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "no folder and no packed file.*git:REF:PATH, baseline:NAME"),
        (".", "no record is in"),
        ("baseline:main", "no baseline is called 'main'"),
        ("git:--output=x:y", "is not git:REF:PATH"),
    ],
)
def test_what_is_no_side(name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What names no records is answered with what would."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=says):
        sources.get(name)


def test_damaged_predictions(base: Path, tmp_path: Path) -> None:
    """A per-sample file whose bytes are not those that its name tells is named, never read."""
    put_classes(tmp_path / "cand", "dtd", flipped("dtd", answers("dtd", 400), 9, 3))
    (file,) = (tmp_path / "cand" / "samples").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UsageError, match="was edited or damaged"):
        ssl_bench.compare(base, tmp_path / "cand")


def test_one_name_for_several_networks(base: Path, tmp_path: Path) -> None:
    """Where one name stands for two networks in a store, the one whose weights the other side has is compared."""
    pred = answers("dtd", 400)
    put_classes(tmp_path / "cand", "dtd", flipped("dtd", pred, 9, 3))
    other = put_classes(tmp_path / "cand", "dtd", flipped("dtd", pred, 90, 3), weights="other")
    newer = dataclasses.replace(other, created="2027-01-01T00:00:00Z")
    found = ssl_bench.compare(base, [*Results(tmp_path / "cand").records(), newer], samples=[tmp_path / "cand"])
    assert found.tasks[0].losses == 9
