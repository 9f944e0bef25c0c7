"""Networks for one field each: the quality of pictures, X-rays."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

from torch import Tensor

from benchmarks.family_parity.common import Case, Cases, Found, mapped, noise, under
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


def _bare(*packages: str) -> None:
    """Let packages of the clone be imported without their __init__, which would import trainers and readers."""
    for name in packages:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [f"{sys.path[0]}/{name.replace('.', '/')}"]


CASES: Cases = [
    ("resnet", "ARNIQA", "ResNet-50, numbered, 224 px", arniqa),
    ("biovil", "hi-ml/hi-ml-multimodal/src", "BioViL, ResNet-50, 224 px", lambda: biovil("resnet50")),
    ("biovil", "hi-ml/hi-ml-multimodal/src", "BioViL-T, one image, 224 px", lambda: biovil("resnet50_multi_image")),
    ("gloria", "gloria", "ResNet-50, 224 px", gloria),
]
