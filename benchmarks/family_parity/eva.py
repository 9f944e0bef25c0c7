"""EVA's image towers that were trained with text."""

from __future__ import annotations

import importlib
import sys
import types
from functools import partial
from typing import Any

from torch import Tensor, nn

from benchmarks.family_parity.common import Case, Cases, Found, grid, noise, under
from benchmarks.family_parity.old_places import dropped_places


def _case(tower: Any, size: int) -> Case:
    rotations = {name: table.clone() for name, table in tower.state_dict().items() if "freqs_" in name}
    noise(tower).load_state_dict(rotations, strict=False)
    for block in tower.blocks:
        block.attn.xattn = False  # xformers' attention is the same sum, not at hand here
    file = {**under("visual.", tower.state_dict()), "logit_scale": tower.cls_token[0, 0, 0]}

    def say(net: Any, images: Tensor) -> Found:
        tokens = net.norm(net.forward_features(images, return_all_features=True))
        return {"proj": net(images), "pre_proj": tokens[:, 0], "dense": grid(tokens[:, 1:])}

    return tower, file, say, size


def eva_clip(**kind: Any) -> Case:
    dropped_places()
    package = types.ModuleType("eva_clip")
    package.__path__ = [f"{sys.path[0]}/eva_clip"]
    sys.modules["eva_clip"] = package
    tower = importlib.import_module("eva_clip.eva_vit_model").EVAVisionTransformer
    norm = partial(nn.LayerNorm, eps=1e-6)
    return _case(tower(depth=2, num_classes=512, use_mean_pooling=False, qkv_bias=True, norm_layer=norm, **kind), 224)


def uta() -> Case:
    dropped_places()
    return _case(importlib.import_module("eva_vit_model.eva_vit").eva_base_p16(), 224)


SECOND = {"rope": True, "intp_freq": True, "naiveswiglu": True, "subln": True, "mlp_ratio": 2.6667}
FOLDER = "EVA/EVA-CLIP/rei"
CASES: Cases = [
    ("eva_clip", FOLDER, "EVA-02 B/16 of 2 blocks, 224 px", lambda: eva_clip(**SECOND)),
    (
        "eva_clip",
        FOLDER,
        "EVA-02 L/14 of 2 blocks, 224 px",
        lambda: eva_clip(embed_dim=1024, num_heads=16, patch_size=14, **SECOND),
    ),
    (
        "eva_clip",
        FOLDER,
        "EVA-01 g/14 of 2 blocks, 224 px",
        lambda: eva_clip(embed_dim=1408, num_heads=16, patch_size=14, mlp_ratio=4.3637),
    ),
    (
        "eva_clip",
        FOLDER,
        "EVA-02 E/14 of 2 blocks, 224 px",
        lambda: eva_clip(embed_dim=1792, num_heads=16, patch_size=14, mlp_ratio=8.571428571428571, postnorm=True),
    ),
    ("eva_clip", "UTA", "B/16, 224 px", uta),
]
