"""Networks for one field each: the quality of pictures, X-rays, microscopes."""

from __future__ import annotations

import importlib

from benchmarks.family_parity.common import Case, Cases, mapped, noise


def arniqa() -> Case:
    network = noise(importlib.import_module("models.resnet").ResNet(128, pretrained=False, use_norm=False))
    return network, network.state_dict(), lambda net, x: {**mapped(net.model[:-1](x)), "gap": net(x)[0]}, 224


CASES: Cases = [
    ("resnet", "ARNIQA", "ResNet-50, numbered, 224 px", arniqa),
]
