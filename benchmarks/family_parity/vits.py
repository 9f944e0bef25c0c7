"""Vision transformers trained on images, and what shares their trainers, beside those of vision_transformers.py."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.family_parity.common import Case, Cases, Found, cls_and_patches, grid, noise, normed, under
from benchmarks.family_parity.old_places import absent, bare_models, dropped_places


def last_four(network: Any, images: Tensor) -> Found:
    """Say what DINO's linear classifier of ViT-S takes."""
    layers = network.get_intermediate_layers(images, 4)
    cls = torch.cat([tokens[:, 0] for tokens in layers], dim=-1)
    return {"cls_last4": cls, "dense": grid(layers[-1][:, 1:])}


def dino() -> Case:
    network = noise(importlib.import_module("vision_transformer").vit_small(patch_size=16))
    return network, network.state_dict(), last_four, 96


def dinov2() -> Case:
    module = importlib.import_module("dinov2.models.vision_transformer")
    network = noise(module.vit_small(patch_size=14, img_size=518, init_values=1.0, block_chunks=0))

    def say(net: Any, images: Tensor) -> Found:
        layers = net.get_intermediate_layers(images, 4, return_class_token=True)
        cls = torch.cat([cls for _, cls in layers], dim=-1)
        return {"cls_last4": cls, "cls_last4+patch_mean": torch.cat([cls, layers[-1][0].mean(1)], dim=-1)}

    return network, network.state_dict(), say, 224


def capi() -> Case:
    module = importlib.import_module("model")
    blocks = {"block_kwargs": {"attn_kwargs": {"num_heads": 4}}, "drop_path_rate": 0.0}
    network = module.EncoderDecoder(
        encoder_kwargs={"embed_dim": 256, "depth": 3},
        decoder_kwargs={"embed_dim": 256, "depth": 2},
        transformers_kwargs=blocks,
    )
    network = noise(network.init_weights())
    for part in (network.encoder, network.decoder):
        for block in part.blocks:
            block.residual1.fn.rope._device_weight_init()

    def say(net: Any, images: Tensor) -> Found:
        predicted, registers, patches = net(images)
        dense = patches.permute(0, 3, 1, 2)
        return {
            "predicted": predicted,
            "registers": registers.mean(1),
            "patch_mean": dense.mean((2, 3)),
            "dense": dense,
        }

    return network, under("backbone.", network.state_dict()), say, 224


def latentmim() -> Case:
    dropped_places()
    module = importlib.import_module("vits")
    patchify, embed = module.Patchify(16, 14), module.PatchEmbed(16, 3, 384)
    norm = partial(nn.LayerNorm, eps=1e-6)
    network = module.VIT(14, 384, 3, 6, embed_layer=embed, patchify=patchify, norm_layer=norm, avg_vis_mask_token=False)
    network = noise(network)
    state = under("encoder.", network.state_dict())
    decoy = {f"target_{key}": tensor + 1 for key, tensor in state.items()}
    return network, {"state_dict": state | decoy}, lambda net, x: cls_and_patches(net(x)), 224


def cae() -> Case:
    dropped_places()
    bare_models()
    module = importlib.import_module("models.modeling_cae_helper")
    norm = partial(nn.LayerNorm, eps=1e-6)
    network = module.VisionTransformerEncoder(
        embed_dim=384, depth=3, num_heads=12, qkv_bias=True, init_values=0.1, norm_layer=norm
    )
    network = noise(network)
    state = network.state_dict()
    content = {"model": under("encoder.", state) | under("alignment_encoder.", {k: t + 1 for k, t in state.items()})}
    say = lambda net, x: cls_and_patches(net(x, torch.zeros(len(x), 196, dtype=torch.bool)))  # noqa: E731
    return network, content, say, 224


def hpm() -> Case:
    dropped_places()
    network = noise(importlib.import_module("models_vit").vit_small_patch16(num_classes=0))
    state = network.state_dict()
    return network, {"model": state | {"vis_mask_token": torch.ones(1)}}, lambda net, x: {"cls": net(x)}, 224


def stop() -> Case:
    module = importlib.import_module("src.deit")
    norm = partial(nn.LayerNorm, eps=1e-6)
    network = module.VisionTransformer([224], embed_dim=384, depth=3, num_heads=6, qkv_bias=True, norm_layer=norm)
    network = noise(network)
    say = lambda net, x: {"patch_mean": net(x).mean(1), "dense": grid(net(x))}  # noqa: E731
    return network, {"target_encoder": under("module.", network.state_dict())}, say, 224


def webssl(registers: int = 0) -> Case:
    module = importlib.import_module("dinov2.vision_transformer")
    network = module.DinoVisionTransformer(
        img_size=224,
        patch_size=14,
        embed_dim=256,
        depth=4,
        num_heads=4,
        ffn_layer="swiglu",
        init_values=1e-5,
        block_chunks=2,
        num_register_tokens=registers,
    )
    network = noise(network)
    return network, network.state_dict(), normed, 224


def semaim() -> Case:
    dropped_places()
    bare_models()
    module = importlib.import_module("models.models_vit")
    network = noise(module.vit_base_patch16(num_classes=0, global_pool=False))
    return (
        network,
        {"state_dict": under("module.", network.state_dict())},
        lambda net, x: {"cls": net.forward_features(x)},
        224,
    )


def of_dino_kin(place: str, prefix: str) -> Case:
    network = noise(importlib.import_module(place).vit_small(patch_size=16))
    content = {"teacher": under(prefix, network.state_dict())}
    return network, content, lambda net, x: cls_and_patches(net.get_intermediate_layers(x, 1)[0]), 96


def sit() -> Case:
    network = noise(importlib.import_module("vision_transformer").vit_small(patch_size=16))
    content = {"teacher": under("module.backbone.", network.state_dict())}
    return network, content, lambda net, x: cls_and_patches(net(x)), 96


def ibot_swin() -> Case:
    dropped_places()
    module = importlib.import_module("models.swin_transformer")
    network = noise(module.swin_tiny(window_size=7, img_size=224, return_all_tokens=True))

    def say(net: Any, images: Tensor) -> Found:
        tokens = net(images)
        return {"gap": tokens[:, 0], "dense": grid(tokens[:, 1:])}

    return network, {"state_dict": network.state_dict()}, say, 224


def solider() -> Case:
    dropped_places()
    absent("cv2", "mmcv", "mmcv.runner")
    sys.modules["mmcv.runner"].load_checkpoint = None  # type: ignore[attr-defined]
    network = importlib.import_module("swin_transformer").swin_tiny_patch4_window7_224(semantic_weight=1.0)
    noise(network)  # its own `eval` returns nothing

    def say(net: Any, images: Tensor) -> Found:
        pooled, maps = net(images, torch.tensor([[1.0, 0.0]]).expand(len(images), -1))
        return {"gap": pooled, "dense": maps[-1]}

    return network, {"teacher": under("backbone.", network.state_dict())}, say, 224


def dino_xcit() -> Case:
    dropped_places()
    module = importlib.import_module("xcit")
    network = noise(
        module.XCiT(patch_size=16, embed_dim=128, depth=3, num_heads=4, tokens_norm=True, eta=1.0, num_classes=0)
    )
    return network, network.state_dict(), lambda net, x: {"cls": net.forward_features(x)}, 224


def dinov3_convnext() -> Case:
    module = importlib.import_module("dinov3.models.convnext")
    network = noise(module.ConvNeXt(depths=[2, 2, 2, 2], dims=[32, 64, 128, 256]))

    def say(net: Any, images: Tensor) -> Found:
        found = net.forward_features(images)
        patches = found["x_norm_patchtokens"]
        return {"gap": found["x_norm_clstoken"], "patch_mean": patches.mean(1), "dense": grid(patches)}

    return network, network.state_dict(), say, 256


CASES: Cases = [
    ("dino_vit", "dino", "ViT-S/16, four blocks, 96 px from 224", dino),
    ("dinov2", "dinov2", "ViT-S/14, four blocks, 224 px from 518", dinov2),
    ("capi", "capi", "3 blocks of 256, predictor of 2, 224 px", capi),
    ("latentmim", "LatentMIM", "3 blocks of 384, 224 px", latentmim),
    ("cae", "CAE", "3 blocks of 384, 12 heads, 224 px", cae),
    ("mae", "HPM", "ViT-S/16, 224 px", hpm),
    ("mae", "DropPos", "ViT-S/16, 224 px", hpm),
    ("mae", "SemAIM", "ViT-B/16, 224 px", semaim),
    ("dinov2", "webssl", "4 blocks of 256 in 2 chunks, gated, 224 px", webssl),
    ("ijepa", "StoP", "3 blocks of 384, 224 px", stop),
    ("dino_vit", "udi", "ViT-S/16, 96 px from 224", lambda: of_dino_kin("vision_transformer", "backbone.backbone.")),
    (
        "dino_vit",
        "CrIBo",
        "ViT-S/16, 96 px from 224",
        lambda: of_dino_kin("source.models.vision_transformer", "backbone."),
    ),
    ("dino_vit", "mokd", "ViT-S/16, 96 px from 224", lambda: of_dino_kin("backbones.vision_transformer", "backbone.")),
    ("dino_vit", "SiT", "ViT-S/16, 96 px from 224", sit),
    ("ibot_swin", "ibot", "Swin-T, windows of 7, 224 px", ibot_swin),
    ("solider", "SOLIDER", "Swin-T, semantics alone, 224 px", solider),
    ("dino_xcit", "xcit", "3 blocks of 128, 224 px", dino_xcit),
    ("dinov3_convnext", "dinov3", "2, 2, 2, 2 blocks, 256 px", dinov3_convnext),
]
