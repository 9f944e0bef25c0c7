"""Compare every family of checkpoints with its authors' own class: random weights, their layout, our loader.

Usage: python benchmarks/family_parity.py FOLDER, where FOLDER holds clones of the authors' repositories by their names
(mae, moco-v3, dino, ibot, msn, ijepa, dinov2, dinov3, VICRegL, vicreg, swav, SimMIM, CLIP, SimCLRv2-Pytorch,
data2vec_vision). Prints the rows of docs/parity.md. Their code is imported, so run it only on clones that you trust.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import LoadContext

Found = dict[str, Tensor]
Case = tuple[nn.Module, dict[str, Any], Callable[[nn.Module, Tensor], Found], int]
"""The authors' network, the file's content, what it says of images, and the size of the images."""


def noise(network: nn.Module) -> nn.Module:
    """Fill everything with noise, so that nothing is zero or one and attention is not flat."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.is_floating_point() and not name.endswith(("bias_mask", "periods", "attn_mask")):
            is_layer = tensor.ndim > 1 and name.endswith("weight")
            tensor.normal_(0.0, 1.5 / tensor[0].numel() ** 0.5 if is_layer else 0.3, generator=generator)
            if tensor.ndim == 1 and name.endswith(("weight", "gamma", "gamma_1", "gamma_2")):
                tensor += 1.0
    return network.eval()


def grid(tokens: Tensor) -> Tensor:
    """Return tokens (images, patches, dim) as a map (images, dim, side, side)."""
    side = int(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)


def cls_and_patches(tokens: Tensor) -> Found:
    return {"cls": tokens[:, 0], "patch_mean": tokens[:, 1:].mean(1), "dense": grid(tokens[:, 1:])}


def mapped(dense: Tensor) -> Found:
    return {"gap": dense.mean((2, 3)), "dense": dense}


def under(prefix: str, state: Found) -> Found:
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


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

    def say(net: Any, images: Tensor) -> Found:
        found = net.forward_features(images)
        patches = found["x_norm_patchtokens"]
        return {"cls": found["x_norm_clstoken"], "patch_mean": patches.mean(1), "dense": grid(patches)}

    return network, network.state_dict(), say, 224


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

    def say(net: Any, images: Tensor) -> Found:
        found = net.forward_features(images)
        patches = found["x_norm_patchtokens"]
        return {"cls": found["x_norm_clstoken"], "patch_mean": patches.mean(1), "dense": grid(patches)}

    return network, network.state_dict(), say, 256


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


def vicregl() -> Case:
    network = noise(importlib.import_module("convnext").ConvNeXt(depths=[3, 3, 27, 3], dims=[96, 192, 384, 768]))
    say = lambda net, x: {"gap": net(x)[1], "dense": grid(net(x)[0])}  # noqa: E731
    return network, network.state_dict(), say, 224


def _vicreg(name: str) -> Case:
    network = noise(getattr(importlib.import_module("resnet"), name)()[0])
    return network, network.state_dict(), lambda net, x: {"gap": net(x)}, 96


def swav() -> Case:
    network = noise(importlib.import_module("src.resnet50").resnet50(output_dim=128, hidden_mlp=2048, nmb_prototypes=9))
    return network, under("module.", network.state_dict()), lambda net, x: {"gap": net.forward_backbone(x)}, 224


def clip() -> Case:
    network = noise(importlib.import_module("clip.model").CLIP(512, 224, 4, 768, 16, 77, 99, 512, 8, 2))
    return network, network.state_dict(), lambda net, x: {"proj": net.encode_image(x)}, 224


def simclrv2() -> Case:
    network = noise(importlib.import_module("resnet").get_resnet(50, 1, 0)[0])
    return network, {"resnet": network.state_dict(), "head": {}}, lambda net, x: mapped(net.net(x)), 224


CASES: list[tuple[str, str, str, Callable[[], Case]]] = [
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
    ("vicreg", "vicreg", "ResNet-50, 96 px", lambda: _vicreg("resnet50")),
    ("vicreg", "vicreg", "ResNet-50 2x, 96 px", lambda: _vicreg("resnet50x2")),
    ("vicregl_convnext", "VICRegL", "ConvNeXt-S, 224 px", vicregl),
    ("swav", "swav", "ResNet-50, 224 px", swav),
    ("clip", "CLIP", "ViT-B/16 of 4 blocks, 224 px", clip),
    ("simclrv2", "SimCLRv2-Pytorch", "ResNet-50 1x without selective kernels, 224 px", simclrv2),
]


@torch.inference_mode()
def compare(family: str, case: Case) -> dict[str, float]:
    """Return the largest absolute difference of every pooling and of the map."""
    network, content, say, size = case
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(content, path)
        backbone = backbones.load(model_zoo.get(f"ckpt:{path},family={family}"), LoadContext(path))
    differences = {}
    for name, expected in say(network, images).items():
        found = backbone.forward(images, backbone.default_pooling if name == "dense" else name)
        found_tensor = found.dense if name == "dense" else found.pooled
        assert found_tensor is not None
        assert found_tensor.shape == expected.shape, (name, found_tensor.shape, expected.shape)
        differences[name] = float((found_tensor - expected).abs().max())
    return differences


def import_from(folder: Path) -> None:
    """Let `folder` be the first place of imports, and forget modules of other clones."""
    others = [
        name for name, module in sys.modules.items() if str(folder.parents[0]) in str(getattr(module, "__file__", ""))
    ]
    for name in [*others, "models", "src", "utils", "resnet", "vision_transformer"]:
        sys.modules.pop(name, None)
    sys.path[0] = str(folder)


def main(root: Path) -> None:
    """Print one row per case."""
    for family, clone, what, make in CASES:
        import_from(root / clone)
        try:
            differences = compare(family, make())
        except Exception as error:
            print(f"{family}: {what}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        commit = root / clone.partition("/")[0] / "COMMIT"  # for an archive instead of a clone
        words = ["git", "-C", str(root / clone), "rev-parse", "--short=10", "HEAD"]
        done = commit.read_text() if commit.is_file() else subprocess.run(words, capture_output=True, text=True).stdout
        pooled = max(value for name, value in differences.items() if name != "dense")
        dense = f"{differences['dense']:.1e}" if "dense" in differences else ""
        names = ", ".join(differences)
        print(f"| {family} | {clone} @ {done.strip()} | {what}: {names} | {pooled:.1e} | {dense} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
