"""`ssl-bench model`: what is in a file, converting it, and its digests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.checkpoints import families
from tests.cli.conftest import Command
from tests.cli.test_run import lines


def write_mae(path: Path, **arch: Any) -> None:
    """A training checkpoint of a small MAE in half precision: branch, decoder, optimizer."""
    torch.manual_seed(0)
    network = families.get("mae", "test").build(depth=2, width=64, heads=1, size=(32, 32), **arch)
    state = {key: value.half() for key, value in network.state_dict().items()}
    extra = {"decoder_embed.weight": torch.ones(2, 2), "mask_token": torch.ones(1), "head.weight": torch.ones(1)}
    torch.save({"model": state | extra, "optimizer": {"state": {}}}, path)


def loaded(name: str) -> Backbone:
    card = model_zoo.get(name)
    return backbones.load(card, LoadContext(Path(card.weights.file)))


def test_check_tells_what_would_be_loaded(command: Command) -> None:
    """`model check` finds the family by what it drops, and tells branch, what is left, network, input and features."""
    write_mae(Path("w.pth"))
    facts = json.loads(command("model", "check", "w.pth", "--json").out)
    assert (facts["family"], facts["branch"], facts["precision"]) == ("mae", "model", ["float16"])
    assert facts["left in the file"] == {"decoder_embed": 1, "head": 1, "mask_token": 1}
    assert facts["arch"]["depth"] == 2
    assert facts["sha256"] == hashlib.sha256(Path("w.pth").read_bytes()).hexdigest()
    assert facts["parameters"] == sum(
        p.numel() for p in families.get("mae", "").build(depth=2, width=64, heads=1, size=(32, 32)).parameters()
    )
    assert facts["features of two images"]["cls"]["shape"] == [2, 64]
    assert all(norm > 0 for norm in facts["features of two images"]["cls"]["norms"])
    assert "decoder_embed 1; head 1; mask_token 1" in command("model", "check", "w.pth").out


def test_families_that_fit_equally_well_are_listed(command: Command) -> None:
    """Where names do not tell who trained a file, the families are listed with what tells them apart; exit code 2."""
    torch.save(families.get("moco", "test").build(depths=(1, 1, 1, 1)).state_dict(), "w.pth")
    said = command("model", "check", "w.pth")
    rows = {row[0]: row for row in lines(said.out)}
    assert said.code == 2
    assert {"moco", "swav", "simclrv2"} <= rows.keys()
    assert "std 1.0 1.0 1.0" in rows["simclrv2"][2]
    assert "--family " in said.err
    assert "std 1.0 1.0 1.0" not in rows["moco"][2]
    assert command("model", "check", "w.pth", "--family", "moco").code == 0
    assert len(json.loads(command("model", "check", "w.pth", "--json").out)["families"]) == len(rows)


@pytest.mark.parametrize("family", ["mae", "clip", "burgess_vae", "dinov3"])
def test_a_converted_file_gives_the_same_features(command: Command, family: str) -> None:
    """What `convert` writes loads by its own words, to bit-identical features and the same digest."""
    torch.manual_seed(0)
    module = families.get(family, "test")
    arch: dict[str, Any] = {} if family == "burgess_vae" else {"depth": 2}
    prefix = "encoder." if family == "burgess_vae" else ""
    state = {prefix + key: value.half() for key, value in module.build(**arch).state_dict().items()}
    torch.save(state, "w.pth")
    said = command("model", "convert", "w.pth", "w.safetensors", "--family", family)
    assert said.out.strip() == f"ckpt:w.safetensors,family={family}", said.err
    before, after = loaded(f"ckpt:w.pth,family={family}"), loaded(said.out.strip())
    assert before.arch() == after.arch()
    assert before.weights_digest() == after.weights_digest()
    images = torch.rand(2, len(before.input.mean), *before.input.size)
    assert torch.equal(
        before.forward(images, before.default_pooling).pooled, after.forward(images, after.default_pooling).pooled
    )


def test_a_converted_file_keeps_what_no_shape_shows(command: Command) -> None:
    """Arguments that were said when a file was converted are in it, and it says its family and its source itself."""
    write_mae(Path("w.pth"))
    said = command("model", "convert", "w.pth,heads=2", "w.safetensors", "--family", "mae")
    assert said.code == 0, said.err
    assert loaded("ckpt:w.safetensors,family=mae").arch()["heads"] == 2
    facts = json.loads(command("model", "check", "w.safetensors", "--json").out)
    assert (facts["family"], facts["arch"]["heads"], facts["precision"]) == ("mae", 2, ["float16"])
    first = Path("w.safetensors").read_bytes()
    assert hashlib.sha256(Path("w.pth").read_bytes()).hexdigest().encode() in first
    assert command("model", "convert", "w.pth,heads=2", "again.safetensors", "--family", "mae").code == 0
    assert Path("again.safetensors").read_bytes() == first
    assert "was converted as the family mae" in command("model", "check", "w.safetensors", "--family", "msn").err


def test_convert_overwrites_nothing(command: Command) -> None:
    """`convert` refuses a name that is taken, and one that does not say what is written."""
    write_mae(Path("w.pth"))
    Path("w.safetensors").write_text("mine")
    assert command("model", "convert", "w.pth", "w.safetensors").code == 2
    assert Path("w.safetensors").read_text() == "mine"
    assert ".safetensors" in command("model", "convert", "w.pth", "w.bin").err


def test_digest_of_files_and_models(command: Command) -> None:
    """`digest` prints a file's sha256, and one over the tensors used, which no container or precision changes."""
    write_mae(Path("w.pth"))
    command("model", "convert", "w.pth", "w.safetensors")
    first, second = (
        json.loads(command("model", "digest", f"w.{kind}", "--json").out) for kind in ("pth", "safetensors")
    )
    assert first["sha256"] != second["sha256"]
    assert first["weights digest"] == second["weights digest"] == loaded("ckpt:w.pth,family=mae").weights_digest()
    assert "sha256" in command("model", "digest", "digits_vit").out
    assert json.loads(command("model", "digest", "pixels:", "--json").out)["sha256"] is None


def test_what_is_no_checkpoint_is_told(command: Command) -> None:
    """A file that is not there is missing; a model that another library loads is no checkpoint file."""
    said = command("model", "check", "digits_vitt")
    assert said.code == 6
    assert "Did you mean digits_vit" in said.err
    assert "ssl-bench show pixels" in command("model", "check", "pixels").err
    torch.save({"w": torch.ones(3, 3)}, "w.pth")
    said = command("model", "check", "w.pth")
    assert said.code == 2
    assert "No family fits it" in said.err


def test_a_file_whose_name_has_commas(command: Command) -> None:
    """A path is a path, whatever characters are in it."""
    write_mae(Path("a,b=c:d.pth"))
    assert command("model", "check", "a,b=c:d.pth").code == 0
