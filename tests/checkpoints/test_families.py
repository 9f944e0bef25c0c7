"""Families of checkpoint files: what each takes, drops and shows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ssl_bench.checkpoints import families, keys
from ssl_bench.errors import UsageError

SIZES = {"burgess_vae": 32, "cifar_resnet": 32, "conv4": 84, "simmim_swin": 48, "vissl_alexnet": 128, "capi": 56}

VITS = ("clip", "dino_vit", "dinov2", "dinov3", "ibot", "ijepa", "mae", "mocov3_vit", "msn")
RESNETS = ("barlowtwins", "densecl", "dino_resnet", "moco", "mocov3_resnet", "simclrv2", "simsiam", "swav", "vicreg")
RESNETS += ("vicregl_convnext", "vissl")
RESNETS += ("bit", "byol", "crw", "obow", "resnet", "simclr", "solo_learn", "vissl_colorization")
SMALL: dict[str, dict[str, Any]] = {
    **{name: {"depth": 2} for name in VITS},
    **{name: {"depths": (1, 1, 1, 1)} for name in RESNETS},
    **{name: {"depth": 2, "size": 64} for name in ("beit", "beitv2", "data2vec", "simmim_vit")},
    "simmim_swin": {"depths": (2, 2), "heads": (4, 8), "size": 48},
    **{name: {"depth": 2} for name in ("augreg", "deit", "flair", "meru", "openclip", "siglip", "slip", "tips")},
    "swag": {"depth": 2, "size": 64},
    "clip_resnet": {"depths": (1, 1, 1, 1), "size": 64},
    "virtex": {"depths": (1, 1, 1, 1)},
    **{
        name: {"depth": 2}
        for name in ("croco", "data2vec2", "dino_xcit", "galileo", "latentmim", "localmim_vit", "synclr")
    },
    **{name: {"depth": 2, "size": 64, "width": 128} for name in ("omnimae", "videomae", "vjepa")},
    "cae": {"depth": 2, "size": 64},
    **{
        name: {"depths": (2, 2), "heads": (4, 8), "size": 64, "window": 4}
        for name in ("ibot_swin", "localmim_swin", "solider")
    },
    "capi": {"width": 128, "depth": 2},
    "mmpretrain_vit": {"depth": 2},
    "sam": {"depth": 2, "width": 128, "size": 64, "window": 2, "whole": (1,), "neck": 32},
    "dinov3_convnext": {"depths": (1, 1, 1, 1)},
    "espnet": {"depths": (1, 1)},
    "biovil": {"depths": (1, 1, 1, 1)},
    "gloria": {"depths": (1, 1, 1, 1)},
    "chadavit": {"depth": 2, "size": 64},
    "clippy": {"depth": 2},
    "catlip": {"depth": 2, "width": 128},
    "eva_clip": {"depth": 2, "size": 64, "width": 128, "hidden": 256},
    "vissl_regnet": {"depths": (1, 1, 1, 1), "widths": (16, 32, 48, 64), "group_widths": (8, 8, 8, 8)},
}


def images_for(name: str) -> Tensor:
    size = SIZES.get(name, 64)
    return torch.rand(2, 1 if name == "burgess_vae" else 3, size, size)


@pytest.mark.parametrize("name", families.names())
def test_every_family_has_the_same_shape(name: str) -> None:
    """A family builds a network whose tensors show its own arguments, and whose features bear the promised names."""
    family = families.get(name, "test")
    network = family.build(**SMALL.get(name, {})).eval()
    arch = family.shown_by(network.state_dict())
    keys.load_strict(family.build(**arch), network.state_dict(), name)
    with torch.inference_mode():
        found = family.features(network, images_for(name))
    assert set(found) - {"dense"} == set(family.POOLINGS)
    assert all(found[pooling].shape[0] == 2 and found[pooling].ndim == 2 for pooling in family.POOLINGS)


@pytest.mark.parametrize("name", families.names())
def test_every_family_knows_its_own_files(name: str) -> None:
    """A file is nearest to its own family, or to several that its names and shapes do not tell apart."""
    with torch.device("meta"):
        state = families.get(name, "test").build(**SMALL.get(name, {})).state_dict()
    said = families.nearest(state, besides="")
    assert "best (100%" in said
    assert name in said.partition(" best ")[0].replace(",", "").split()


def test_unknown_family() -> None:
    """A wrong family is answered with the nearest and with all."""
    with pytest.raises(UsageError, match=r"Did you mean cifar_resnet\W.*burgess_vae"):
        families.get("cifar_resnets", "card")


def test_heads_and_decoders_are_dropped() -> None:
    """What is not the backbone is dropped by declared names, not by trying."""
    family = families.get("burgess_vae", "test")
    state = {f"encoder.{key}": value for key, value in family.build().state_dict().items()}
    state["decoder.lin1.weight"] = torch.ones(1)
    assert families.tensors_of(family, state).keys() == family.build().state_dict().keys()


def test_depth_of_a_cifar_resnet_is_read_off() -> None:
    """The depth of a CIFAR ResNet follows from the number of its blocks."""
    family = families.get("cifar_resnet", "test")
    assert family.shown_by(family.build(depth=56).state_dict()) == {"depth": 56}
    with pytest.raises(ValueError, match="6n \\+ 2"):
        family.build(depth=51)
