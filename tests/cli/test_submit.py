"""`submit` and `new entry`: from a model to a bundle that the board takes, and what is said on the way."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from ssl_bench import model_zoo
from ssl_bench.checkpoints import families
from ssl_bench.submission import bundle
from tests.cli.conftest import Command
from tests.submission.factory import make_key

CARD = Path("leaderboard/entries/digits_vit.toml")
FILLED = {
    "organisation": '"A Lab"',
    "contact": '"lab@example.org"',
    "licence": '"Apache-2.0"',
    "weights": '"https://example.org/w.safetensors"',
    "data": '["Digits"]',
}


def fill(path: Path = CARD, **values: str) -> Path:
    """Write values into a card as a person does."""
    text = path.read_text()
    for key, value in (FILLED | values).items():
        text = re.sub(rf"^{key}( *)= \S+", rf"{key}\1= {value}", text, flags=re.MULTILINE)
    path.write_text(text)
    return path


@pytest.fixture
def submitted(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line in a release: a checkout that is being worked on is dirty, which is a finding of its own."""
    monkeypatch.setattr("ssl_bench.recording.code_version", lambda: {"version": "0.1.0"})
    return command


def write_vae() -> str:
    """Write a small network as a safetensors file, and return its digest."""
    torch.manual_seed(1)
    torch.save(families.get("burgess_vae", "test").build().state_dict(), "w.pth")
    path = Path("w.safetensors")
    safetensors.torch.save_file(torch.load("w.pth", weights_only=True), path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_from_a_checkpoint_to_a_bundle_that_is_taken(submitted: Command, tmp_path: Path) -> None:
    """A card is written, filled in and mended as the reports say; the bundle that is left is taken, also by whoever
    checks it alone. It names no place of this machine."""
    digest, card = write_vae(), Path("leaderboard/entries/my_vae.toml")
    words = ("submit", "w.safetensors,family=burgess_vae", "--card", card, "-s", "quick")
    assert submitted("new", "entry", "my_vae").out == f"{card}\n"
    said = submitted(*words)
    assert (said.code, said.out) == (2, "")
    assert "organisation is empty; contact is empty" in said.err
    fill(card, sha256=f'"{digest}"')
    said = submitted(*words)
    assert said.code == 1
    assert "E042 contamination-undeclared card.toml: contamination.digits" in said.err
    assert "1 to mend" in Path("report.md").read_text()
    with card.open("a") as file:
        file.write('[contamination]\ndigits = "train images, without labels"\n')
    said = submitted(*words)
    assert (said.code, "can be taken" in said.out) == (0, True), said.err
    assert "2 records present, 0 run" in said.err
    report = json.loads(Path("report.json").read_text())
    assert (report["accepted"], report["records"], report["findings"]) == (True, 2, [])
    assert report["labels"] == {"digits": "held here"}
    found = bundle.read(Path("bundle.tar"))
    assert report["bundle"] == found.digest
    assert {record.model.name for record in found.records} == {"my_vae"}
    assert str(tmp_path) not in Path("bundle.tar").read_bytes().decode("latin1")
    first = found.sketch(found.records[0])
    assert first is not None
    assert len(first) == 360
    assert submitted("submit", "bundle.tar", "-o", tmp_path / "server" / "x.tar").code == 0
    if shutil.which("ssh-keygen"):
        assert submitted(*words, "--sign", make_key(tmp_path / "k"), "-o", "signed.tar").code == 0
        assert bundle.read(Path("signed.tar")).signature is not None


def test_records_that_were_measured_before(submitted: Command) -> None:
    """A folder of records gives the bundle that its model gives."""
    submitted("run", "-m", "digits_vit", "-t", "digits", "-p", "knn", "-p", "logistic_regression")
    submitted("new", "entry", "digits_vit")
    fill()
    with CARD.open("a") as file:
        file.write('[contamination]\ndigits = "train images, without labels"\n')
    Path("digits_vit").mkdir()  # a folder that is called as the model is
    for word in ("results", "digits_vit"):
        said = submitted("submit", word, "--card", CARD, "-s", "quick", "-o", f"{word}.tar")
        assert said.code == 0, said.err
    one, other = (bundle.read(Path(f"{word}.tar")).manifest for word in ("results", "digits_vit"))
    assert one.members == other.members


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name one model"),
        (("-m", "digits_vit"), "--card is missing"),
        (("-m", "digits_vit", "--card", CARD), "--suite is missing"),
        (
            ("-m", "pixels", "--card", CARD, "-s", "quick"),
            "the card is of 'digits_vit', and the model is called 'pixels'",
        ),
        (("w.pth", "--card", CARD, "-s", "quick"), r"no safetensors file.*ssl-bench model convert w.pth w.safetensors"),
        (("other.safetensors", "--card", CARD, "-s", "quick"), "the card's sha256 is of another file"),
        (("results", "--card", CARD, "-s", "quick"), "no record of 'digits_vit'"),
        (("-m", "digits_vit", "--card", CARD, "-s", "quikc"), "Did you mean quick"),
        (("-m", "digits_vit", "--card", CARD, "-s", "quick", "--check-only"), "nothing of digits_vit was measured"),
        (("none.safetensors", "--card", CARD, "-s", "quick"), "no checkpoint is at none.safetensors"),
        (("none.tar",), "cannot read none.tar"),
        (("bad.tar",), "bad.tar: is no bundle"),
    ],
)
def test_wrong_words_are_found_before_anything_is_measured(
    submitted: Command, words: tuple[object, ...], message: str
) -> None:
    """What cannot become a bundle is said in one line, with the mend, before hours of work."""
    submitted("new", "entry", "digits_vit")
    fill()
    for name in ("w.pth", "other.safetensors", "bad.tar"):
        Path(name).write_bytes(b"x" * 600)
    Path("results").mkdir()
    said = submitted("submit", *words)
    assert said.code in (2, 6)
    assert re.search(message, said.err), said.err
    assert not Path("bundle.tar").exists()


def test_an_entry_knows_the_file_that_a_card_pins(command: Command) -> None:
    """A new entry has the digest of the weights that the model's card pins, and an empty one for other names."""
    command("new", "entry", "digits_vit")
    command("new", "entry", "somebody_elses")
    assert f'"{model_zoo.get("digits_vit").weights.sha256}"' in CARD.read_text()
    assert re.search(r'sha256 +=\s""', CARD.with_name("somebody_elses.toml").read_text())
