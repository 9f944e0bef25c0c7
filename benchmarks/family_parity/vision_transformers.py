"""Transformers that were trained on images alone."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.family_parity.common import Case, Cases, Found, cls_and_patches, grid, mapped, noise, normed, under


def mae() -> Case:
    import numpy as np
    import timm.models.vision_transformer as vits

    np.float = float  # type: ignore[attr-defined]  # a name that numpy has dropped
    ours = vits.Block
    vits.Block = lambda *args, qk_scale=None, **given: ours(*args, **given)  # an argument that timm has dropped
    try:
        network = noise(importlib.import_module("models_mae").mae_vit_base_patch16_dec512d8b())
    finally:
        vits.Block = ours
    return network, {"model": network.state_dict()}, _unmasked, 224


def _unmasked(network: Any, images: Tensor) -> Found:
    """Run the encoder without its random masking, which keeps all patches in a random order."""
    tokens = network.patch_embed(images) + network.pos_embed[:, 1:]
    cls = (network.cls_token + network.pos_embed[:, :1]).expand(len(tokens), -1, -1)
    tokens = torch.cat([cls, tokens], dim=1)
    for block in network.blocks:
        tokens = block(tokens)
    return cls_and_patches(network.norm(tokens))


def mocov3() -> Case:
    import timm.layers

    sys.modules["timm.models.layers.helpers"] = timm.layers  # a place that timm has dropped
    module = importlib.import_module("vits")
    module.VisionTransformerMoCo.num_tokens = 1  # an attribute that timm has dropped
    network = noise(module.vit_small())
    state = under("module.base_encoder.", network.state_dict())
    decoy = {key.replace("base_encoder", "momentum_encoder"): tensor + 1 for key, tensor in state.items()}
    return network, {"state_dict": state | decoy}, lambda net, x: cls_and_patches(net.forward_features(x)), 224


def dino() -> Case:
    network = noise(importlib.import_module("vision_transformer").vit_small(patch_size=16))
    say = lambda net, x: cls_and_patches(net.get_intermediate_layers(x, 1)[0])  # noqa: E731
    return network, {"teacher": under("backbone.", network.state_dict())}, say, 96


def ibot() -> Case:
    vits = importlib.import_module("models.vision_transformer")
    network = noise(vits.vit_small(patch_size=16, masked_im_modeling=True, return_all_tokens=True))
    say = lambda net, x: cls_and_patches(net.get_intermediate_layers(x, 1)[0])  # noqa: E731
    return network, {"state_dict": network.state_dict()}, say, 96


def msn() -> Case:
    network = noise(importlib.import_module("src.deit").deit_small())
    network.fc = None
    state = under("module.", network.state_dict())
    return (
        network,
        {"encoder": state, "target_encoder": state},
        lambda net, x: {"cls": net.forward_features(x, 0.0)},
        96,
    )


def ijepa() -> Case:
    network = noise(importlib.import_module("src.models.vision_transformer").vit_small(patch_size=16, img_size=[224]))
    state = under("module.", network.state_dict())
    decoy = {key: tensor + 1 for key, tensor in state.items()}
    say = lambda net, x: {"patch_mean": net(x).mean(1), "dense": grid(net(x))}  # noqa: E731
    return network, {"encoder": decoy, "target_encoder": state}, say, 224


def _dinov2(registers: int) -> Case:
    given = {"interpolate_antialias": True, "interpolate_offset": 0.0} if registers else {}
    make = importlib.import_module("dinov2.models.vision_transformer").vit_small
    network = make(patch_size=14, img_size=518, init_values=1.0, block_chunks=0, num_register_tokens=registers, **given)
    network = noise(network)
    return network, network.state_dict(), normed, 224


def dinov3() -> Case:
    module = importlib.import_module("dinov3.models.vision_transformer")
    network = module.vit_small(
        patch_size=16,
        n_storage_tokens=4,
        layerscale_init=1e-5,
        mask_k_bias=True,
        norm_layer="layernormbf16",
        pos_embed_rope_dtype="fp32",
    )
    network.rope_embed._init_weights()
    network = noise(network)
    for block in network.blocks:
        block.attn.qkv.bias_mask.fill_(1.0)
        width = len(block.attn.qkv.bias_mask) // 3
        block.attn.qkv.bias_mask[width : 2 * width] = 0.0
    return network, network.state_dict(), normed, 256


def _beit() -> Case:
    module = importlib.import_module("modeling_pretrain")
    network = module.VisionTransformerForMaskedImageModeling(
        use_shared_rel_pos_bias=True,
        use_abs_pos_emb=False,
        init_values=0.1,
        qkv_bias=True,
        depth=4,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
    )
    network = noise(network)

    def say(net: Any, images: Tensor) -> Found:
        unmasked = torch.zeros(len(images), net.patch_embed.num_patches, dtype=torch.bool)
        return cls_and_patches(net.forward_features(images, unmasked))

    return network, {"model": network.state_dict()}, say, 224


def _simmim_swin() -> Case:
    module = importlib.import_module("models.simmim")
    network = module.SwinTransformerForSimMIM(
        img_size=192, num_classes=0, window_size=6, embed_dim=128, depths=[2, 2, 2, 2], num_heads=[4, 8, 16, 32]
    )
    network = noise(network)
    say = lambda net, x: mapped(net(x, torch.zeros(len(x), 48, 48)))  # noqa: E731
    return network, {"model": under("encoder.", network.state_dict())}, say, 192


def _simmim_vit() -> Case:
    module = importlib.import_module("models.simmim")
    network = module.VisionTransformerForSimMIM(
        use_mean_pooling=False,
        img_size=224,
        num_classes=0,
        depth=4,
        init_values=0.1,
        qkv_bias=True,
        use_abs_pos_emb=False,
        use_shared_rel_pos_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
    )
    network = noise(network)

    def say(net: Any, images: Tensor) -> Found:
        dense = net(images, torch.zeros(len(images), 14, 14))
        return {"patch_mean": dense.mean((2, 3)), "dense": dense}

    return network, {"model": under("encoder.", network.state_dict())}, say, 224


CASES: Cases = [
    ("mae", "mae", "ViT-B/16 with decoder, 224 px", mae),
    ("mocov3_vit", "moco-v3", "ViT-S/16 base encoder, 224 px", mocov3),
    ("dino_vit", "dino", "ViT-S/16 teacher, 96 px from 224", dino),
    ("ibot", "ibot", "ViT-S/16, 96 px from 224", ibot),
    ("msn", "msn", "ViT-S/16, 96 px from 224", msn),
    ("ijepa", "ijepa", "ViT-S/16 target encoder, 224 px", ijepa),
    ("dinov2", "dinov2", "ViT-S/14, 224 px from 518", lambda: _dinov2(0)),
    ("dinov2", "dinov2", "ViT-S/14, 4 registers, 224 px from 518", lambda: _dinov2(4)),
    ("dinov3", "dinov3", "ViT-S/16, 256 px", dinov3),
    ("beit", "data2vec_vision/beit", "ViT-B/16 of 4 blocks, shared bias, 224 px", _beit),
    ("simmim_swin", "SimMIM", "Swin of 2, 2, 2, 2 blocks, 192 px", _simmim_swin),
    ("simmim_vit", "SimMIM", "ViT-B/16 of 4 blocks, shared bias, 224 px", _simmim_vit),
]
