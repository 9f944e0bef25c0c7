"""Networks for one field each: the quality of pictures, X-rays."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

from torch import Tensor, nn

from benchmarks.family_parity.common import Case, Cases, Found, grid, mapped, noise, under
from benchmarks.family_parity.old_places import dropped_places


def arniqa() -> Case:
    network = noise(importlib.import_module("models.resnet").ResNet(128, pretrained=False, use_norm=False))
    return network, network.state_dict(), lambda net, x: {**mapped(net.model[:-1](x)), "gap": net(x)[0]}, 224


def biovil(kind: str) -> Case:
    dropped_places()
    _bare("health_multimodal", "health_multimodal.image", "health_multimodal.image.model")
    network = noise(importlib.import_module("health_multimodal.image.model.model").ImageModel(kind, 128))

    def say(net: Any, images: Tensor) -> Found:
        found = net(images)
        return {
            "gap": found.img_embedding, "proj": found.projected_global_embedding, "dense": found.patch_embeddings
        }  # fmt: skip

    return network, network.state_dict(), say, 224


def gloria() -> Case:
    for name, part in (("omegaconf", "OmegaConf"), ("numpy.lib.function_base", "extract")):
        sys.modules[name] = types.ModuleType(name)
        setattr(sys.modules[name], part, None)
    _bare("gloria", "gloria.models")
    vision = types.SimpleNamespace(model_name="resnet_50", pretrained=False, freeze_cnn=False)
    model = types.SimpleNamespace(text=types.SimpleNamespace(embedding_dim=768), vision=vision)
    encoder = importlib.import_module("gloria.models.vision_model").ImageEncoder(types.SimpleNamespace(model=model))

    def say(net: Any, images: Tensor) -> Found:
        mean, local = net(images, get_local=True)
        return {"gap": mean, "proj": net.generate_embeddings(mean, local)[0]}

    noise(encoder)
    return encoder, {"state_dict": under("gloria.img_encoder.", encoder.state_dict()), "epoch": 1}, say, 224


def chadavit(size: int) -> Case:
    _bare("src", "src.utils", "src.backbones", "src.backbones.vit")
    sys.modules["src.utils.misc"] = types.ModuleType("src.utils.misc")  # of which a way to begin is used, no more
    sys.modules["src.utils.misc"].trunc_normal_ = nn.init.trunc_normal_
    network = noise(
        importlib.import_module("src.backbones.vit.chada_vit").chada_vit(
            patch_size=16, embed_dim=192, return_all_tokens=False, max_number_channels=10
        )
    )

    def say(net: Any, images: Tensor) -> Found:
        channels = images.reshape(-1, 1, *images.shape[2:])
        net.return_all_tokens = False
        cls = net(channels, 0, [[3] * len(images)])
        net.return_all_tokens = True
        tokens = net(channels, 0, [[3] * len(images)]).reshape(len(images), 3, -1, cls.shape[1])
        return {"cls": cls, "patch_mean": tokens.mean((1, 2)), "dense": grid(tokens.mean(1))}

    return network, {"state_dict": under("backbone.", network.state_dict())}, say, size


def clippy() -> Case:
    dropped_places()
    _bare("open_clip")
    for name in ("attention_pool2d", "adaptive_avgmax_pool"):
        sys.modules[f"timm.models.layers.{name}"] = importlib.import_module(f"timm.layers.{name}")
    tower = importlib.import_module("open_clip.timm_model").TimmModel("vit_base_patch16_224", 768, pool="global_max")
    sys.modules.pop("open_clip")
    noise(tower)
    return tower, {"state_dict": under("module.visual.", tower.state_dict())}, lambda net, x: {"token_max": net(x)}, 224


def _bare(*packages: str) -> None:
    """Let packages of the clone be imported without their __init__, which would import trainers and readers."""
    for name in packages:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [f"{sys.path[0]}/{name.replace('.', '/')}"]


CASES: Cases = [
    ("resnet", "ARNIQA", "ResNet-50, numbered, 224 px", arniqa),
    ("biovil", "hi-ml/hi-ml-multimodal/src", "BioViL, ResNet-50, 224 px", lambda: biovil("resnet50")),
    ("biovil", "hi-ml/hi-ml-multimodal/src", "BioViL-T, one image, 224 px", lambda: biovil("resnet50_multi_image")),
    ("chadavit", "chadavit", "ViT-T/16 of 2 heads, 224 px", lambda: chadavit(224)),
    ("chadavit", "chadavit", "ViT-T/16 of 2 heads, 96 px from 224", lambda: chadavit(96)),
    ("clippy", "clippy/src", "ViT-B/16, 224 px", clippy),
    ("gloria", "gloria", "ResNet-50, 224 px", gloria),
]
