"""Image towers that were trained with text."""

from __future__ import annotations

import importlib

from benchmarks.family_parity.common import Case, Cases, noise


def clip() -> Case:
    network = noise(importlib.import_module("clip.model").CLIP(512, 224, 4, 768, 16, 77, 99, 512, 8, 2))
    return network, network.state_dict(), lambda net, x: {"proj": net.encode_image(x)}, 224


CASES: Cases = [
    ("clip", "CLIP", "ViT-B/16 of 4 blocks, 224 px", clip),
]
