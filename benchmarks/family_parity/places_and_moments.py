"""Transformers trained on video, on pairs of views and on satellite images."""

from __future__ import annotations

import importlib
import sys
import types
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.family_parity.common import Case, Cases, Found, grid, noise, under
from benchmarks.family_parity.old_places import dropped_places


def videomae() -> Case:
    dropped_places()
    module = importlib.import_module("modeling_pretrain")
    network = module.PretrainVisionTransformerEncoder(
        embed_dim=384, depth=2, num_heads=6, qkv_bias=True, init_values=0.0, norm_layer=partial(nn.LayerNorm, eps=1e-6)
    )
    network = noise(network)

    def say(net: Any, images: Tensor) -> Found:
        clip = images[:, :, None].expand(-1, -1, 16, -1, -1)
        tokens = net(clip, torch.zeros(len(images), 1568, dtype=torch.bool))
        return {"patch_mean": tokens.mean(1), "dense": grid(tokens.unflatten(1, (8, 196)).mean(1))}

    return network, {"model": under("encoder.", network.state_dict())}, say, 224


def vjepa() -> Case:
    module = importlib.import_module("src.models.vision_transformer")
    network = noise(module.vit_small(img_size=224, num_frames=16, tubelet_size=2, uniform_power=True))

    def say(net: Any, images: Tensor) -> Found:
        tokens = net(images[:, :, None].repeat(1, 1, 16, 1, 1))
        return {"patch_mean": tokens.mean(1), "dense": grid(tokens.unflatten(1, (8, 196)).mean(1))}

    state = under("module.backbone.", network.state_dict())
    return network, {"target_encoder": state, "encoder": {k: t + 1 for k, t in state.items()}}, say, 224


def omnimae() -> Case:
    dropped_places()
    sys.modules.setdefault("hydra", types.ModuleType("hydra"))
    module = importlib.import_module("omnivision.models.vision_transformer")
    embed = [
        module.PadIm2Video(ntimes=2, pad_type="repeat"),
        nn.Conv3d(3, 384, kernel_size=(2, 16, 16), stride=(2, 16, 16)),
    ]
    network = module.VisionTransformer(
        img_size=[3, 16, 224, 224],
        patch_size=[2, 16, 16],
        embed_dim=384,
        depth=3,
        attn_target=partial(module.Attention, num_heads=6, qkv_bias=True),
        drop_path_rate=0.0,
        classifier_feature="global_pool",
        use_cls_token=False,
        learnable_pos_embed=False,
        patch_embed_type="generic",
        patch_embed_params_list=embed,
        patch_dropping=True,
    )
    network = noise(network)

    def say(net: Any, images: Tensor) -> Found:
        tokens = net.prepare_tokens(images, None, None)
        for block in net.blocks:
            tokens = block(tokens)
        tokens = net.norm(tokens)
        return {"patch_mean": tokens.mean(1), "dense": grid(tokens)}

    return network, under("trunk.", network.state_dict()), say, 224


def croco(positions: str) -> Case:
    module = importlib.import_module("models.croco")
    network = noise(module.CroCoNet(enc_embed_dim=384, enc_depth=3, enc_num_heads=6, dec_depth=1, pos_embed=positions))

    def say(net: Any, images: Tensor) -> Found:
        tokens = net._encode_image(images)[0]
        return {"patch_mean": tokens.mean(1), "dense": grid(tokens)}

    return network, {"model": network.state_dict(), "croco_kwargs": {"pos_embed": positions}}, say, 224


def galileo() -> Case:
    module = importlib.import_module("single_file_galileo")
    network = noise(module.Encoder(max_patch_size=8, embedding_size=128, depth=4, mlp_ratio=4, num_heads=8))

    def say(net: Any, images: Tensor) -> Found:
        height, width, visible = *images.shape[2:], 1
        bands = torch.zeros(len(images), height, width, 1, len(module.SPACE_TIME_BANDS))
        bands[..., net.space_time_groups["S2_RGB"]] = images.permute(0, 2, 3, 1)[:, :, :, None]
        masks = torch.ones(*bands.shape[:4], len(net.space_time_groups))
        masks[..., visible] = 0
        others = (
            (net.space_groups, module.SPACE_BANDS, (height, width)),
            (net.time_groups, module.TIME_BANDS, (1,)),
            (net.static_groups, module.STATIC_BANDS, ()),
        )
        given = [torch.zeros(len(images), *shape, len(names)) for _, names, shape in others]
        hidden = [torch.ones(len(images), *shape, len(groups)) for groups, _, shape in others]
        months = torch.full((len(images), 1), 6)
        found = net(bands, *given, masks, *hidden, months, patch_size=8)
        tokens = found[0][:, :, :, 0, visible]
        return {"patch_mean": net.average_tokens(*found[:8]), "dense": tokens.permute(0, 3, 1, 2)}

    return network, network.state_dict(), say, 64


CASES: Cases = [
    ("videomae", "VideoMAE", "2 blocks of 384, still clip of 224 px", videomae),
    ("vjepa", "jepa", "ViT-S/16, still clip of 224 px", vjepa),
    ("omnimae", "omnivore", "3 blocks of 384, 224 px", omnimae),
    ("galileo", "galileo", "nano of visible bands, 64 px", galileo),
    ("croco", "croco", "3 blocks of 384, sines, 224 px", lambda: croco("cosine")),
    ("croco", "croco", "3 blocks of 384, rotations, 224 px", lambda: croco("RoPE100")),
]
