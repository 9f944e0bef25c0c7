"""Image towers that were trained with text or hashtags, beside those of `language_image.py`."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from torch import Tensor, nn

from benchmarks.family_parity.common import Case, Cases, Found, grid, noise, under


def clip_resnet(depths: tuple[int, ...], width: int, size: int) -> Case:
    network: Any = noise(importlib.import_module("clip.model").CLIP(512, size, depths, width, None, 77, 99, 512, 8, 2))
    for name, tensor in network.visual.state_dict().items():
        if name.endswith("bn3.weight"):
            tensor *= 0.1  # else noise grows from block to block, and rounding with it
    return network, network.state_dict(), lambda net, x: {"proj": net.encode_image(x)}, size


def slip() -> Case:
    timm = importlib.import_module("timm")
    timm.models.registry = sys.modules["timm.models"]  # where timm keeps `register_model` today
    models = importlib.import_module("models")
    network = noise(models.SLIP_VITS16(ssl_mlp_dim=64, ssl_emb_dim=32))
    file = {"state_dict": under("module.", network.state_dict()), "epoch": 100}
    return network, file, lambda net, x: {"cls": net.visual(x)}, 224


def meru() -> Case:
    build = importlib.import_module("meru.encoders.image_encoders").build_timm_vit
    network = noise(build("vit_small_mocov3_patch16_224"))
    return network, {"model": under("visual.", network.state_dict())}, lambda net, x: {"cls": net(x)}, 224


def swag() -> Case:
    network: Any = noise(importlib.import_module("models.vision_transformer").ViTB16(image_size=96))
    return network, network.state_dict(), lambda net, x: {"cls": net(x)}, 96


def tips(gated: bool, size: int) -> Case:
    code = importlib.import_module("image_encoder")
    network = noise(
        code.VisionTransformer(
            img_size=224,
            patch_size=14,
            embed_dim=384,
            depth=4,
            num_heads=6,
            ffn_layer="swiglu" if gated else "mlp",
            block_chunks=0,
            init_values=1.0,
            num_register_tokens=1,
            interpolate_antialias=True,
            interpolate_offset=0.0,
        )
    )

    def say(net: Any, images: Tensor) -> Found:
        found = net.forward_features(images)
        patches = found["x_norm_patchtokens"]
        both = {"cls": found["x_norm_1st_clstoken"][:, 0], "cls2": found["x_norm_2nd_clstoken"][:, 0]}
        return {**both, "patch_mean": patches.mean(1), "dense": grid(patches)}

    return network, network.state_dict(), say, size


def virtex() -> Case:
    network: Any = importlib.import_module("virtex.modules.visual_backbones").TorchvisionVisualBackbone("resnet50")

    def say(net: nn.Module, images: Tensor) -> Found:
        dense = net(images)
        return {"gap": dense.mean((2, 3)), "dense": dense}

    noise(network)
    return network, {"model": under("visual.", network.state_dict()), "iteration": 5}, say, 224


def dreamlip() -> Case:
    code = importlib.import_module("open_clip.model")
    vision, text = code.CLIPVisionCfg(layers=4, width=768), code.CLIPTextCfg(vocab_size=99, layers=2)
    network: Any = noise(code.CLIP(512, vision, text))
    network.visual.state_dict()["proj"] *= 0.1  # noise of the size of a layer's

    def say(net: Any, images: Tensor) -> Found:
        found = net.visual(images)
        return {"proj": found[0] if isinstance(found, tuple) else found}

    return network, {"state_dict": under("module.", network.state_dict())}, say, 224


CASES: Cases = [
    ("clip_resnet", "CLIP", "RN50, 224 px", lambda: clip_resnet((3, 4, 6, 3), 64, 224)),
    (
        "clip_resnet",
        "CLIP",
        "RN50x4's width and size, 1, 1, 1, 1 blocks, 288 px",
        lambda: clip_resnet((1,) * 4, 80, 288),
    ),
    ("slip", "SLIP", "ViT-S/16, 224 px", slip),
    ("meru", "meru", "ViT-S/16, 224 px", meru),
    ("swag", "SWAG", "ViT-B/16, 96 px", swag),
    ("tips", "tips/pytorch", "ViT-S/14 of 4 blocks, 224 px", lambda: tips(False, 224)),
    ("tips", "tips/pytorch", "ViT-S/14 of 4 blocks, gated, 448 px from 224", lambda: tips(True, 448)),
    ("virtex", "virtex", "ResNet-50, 224 px", virtex),
    ("openclip", "DreamLIP", "ViT-B/16 of 4 blocks, 224 px", dreamlip),
]
