"""Vision transformers trained on images and video, beside those of vision_transformers.py."""

from __future__ import annotations

import importlib
import sys
import types
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.family_parity.common import Case, Cases, Found, cls_and_patches, grid, noise, under


def dropped_places() -> None:
    """Put back places of timm and torch that authors' code names."""
    import numpy as np
    import timm.layers
    import timm.models.vision_transformer as vits

    np.float = float  # type: ignore[attr-defined]
    vits._cfg = lambda **given: given
    sys.modules["timm.models.layers"] = timm.layers
    sys.modules["timm.models.registry"] = sys.modules["timm.models._registry"]
    sys.modules["torch._six"] = types.ModuleType("torch._six")
    sys.modules["torch._six"].inf = float("inf")  # type: ignore[attr-defined]


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
    package = types.ModuleType("models")  # whose own __init__ needs much that the encoder does not
    package.__path__ = [f"{sys.path[0]}/models"]
    sys.modules["models"] = package
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

    def say(net: Any, images: Tensor) -> Found:
        found = net.forward_features(images)
        patches = found["x_norm_patchtokens"]
        return {"cls": found["x_norm_clstoken"], "patch_mean": patches.mean(1), "dense": grid(patches)}

    return network, network.state_dict(), say, 224


def semaim() -> Case:
    dropped_places()
    package = types.ModuleType("models")  # whose own __init__ may need more
    package.__path__ = [f"{sys.path[0]}/models"]
    sys.modules["models"] = package
    module = importlib.import_module("models.models_vit")
    network = noise(module.vit_base_patch16(num_classes=0, global_pool=False))
    return network, {"state_dict": under("module.", network.state_dict())}, lambda net, x: {"cls": net(x)}, 224


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
    ("dino_xcit", "xcit", "3 blocks of 128, 224 px", dino_xcit),
    ("dinov3_convnext", "dinov3", "2, 2, 2, 2 blocks, 256 px", dinov3_convnext),
    ("videomae", "VideoMAE", "2 blocks of 384, still clip of 224 px", videomae),
    ("vjepa", "jepa", "ViT-S/16, still clip of 224 px", vjepa),
    ("omnimae", "omnivore", "3 blocks of 384, 224 px", omnimae),
    ("galileo", "galileo", "nano of visible bands, 64 px", galileo),
    ("croco", "croco", "3 blocks of 384, sines, 224 px", lambda: croco("cosine")),
    ("croco", "croco", "3 blocks of 384, rotations, 224 px", lambda: croco("RoPE100")),
]
