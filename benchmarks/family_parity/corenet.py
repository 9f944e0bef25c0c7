"""The vision transformers of Apple's corenet."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

from torch import Tensor

from benchmarks.family_parity.common import Case, Cases, Found, noise

SAID = {"mode": "small", "norm_layer": "layer_norm_fp32", "stochastic_dropout": 0.0, "dropout": 0.0}


def catlip(size: int, flash: bool) -> Case:
    said = {f"model.classification.vit.{name}": value for name, value in SAID.items()}
    said |= {"model.classification.vit.use_flash_attention": flash, "model.activation.name": "gelu"}
    opts = _Options(**said, **{"model.classification.n_classes": 10})
    network = importlib.import_module("corenet.modeling.models.classification.vit").VisionTransformer(opts)

    def say(net: Any, images: Tensor) -> Found:
        cls, dense = net.extract_features(images, return_image_embeddings=True)
        return {"cls": cls, "patch_mean": dense.mean((2, 3)), "dense": dense}

    noise(network)
    return network, network.state_dict(), say, size


class _Options(argparse.Namespace):
    """Options of corenet, of which those that nobody set are off."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return {"model.layer.conv_init": "kaiming_normal", "model.layer.linear_init": "trunc_normal"}.get(name)


CASES: Cases = [
    ("catlip", "corenet", "ViT-S/16, 224 px", lambda: catlip(224, True)),
    ("catlip", "corenet", "ViT-S/16, 160 px from 224, without flash attention", lambda: catlip(160, False)),
]
