"""The adapters for open_clip, torchvision and networks given in Python, on untrained networks."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
import torchvision
from torch import nn

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.errors import MissingError, UsageError


def untrained(text: str) -> Backbone:
    return backbones.load(model_zoo.get(text), LoadContext(untrained=True))


def images_for(backbone: Backbone) -> torch.Tensor:
    return torch.randn(2, 3, *backbone.input.size, generator=torch.Generator().manual_seed(0))


def grey_net(width: int = 4) -> nn.Module:
    return nn.Conv2d(1, width, 2, stride=2)


def vector_net() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3))


def no_net() -> str:
    return "nothing"


def scalar_net() -> nn.Module:
    return nn.Flatten(0)


def test_open_clip_is_encode_image() -> None:
    """`proj` is open_clip's image embedding; `pre_proj` times the projection is the same."""
    backbone = untrained("open_clip:ViT-S-32-alt")
    images = images_for(backbone)
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-S-32-alt", pretrained=None).eval()
    with torch.inference_mode():
        expected = model.encode_image(images)
        proj, pre = (backbone.forward(images, pooling).pooled for pooling in ("proj", "pre_proj"))
        torch.testing.assert_close(proj, expected)
        torch.testing.assert_close(pre @ model.visual.proj, expected)
    dense = backbone.forward(images, "proj").dense
    assert dense is not None
    assert dense.shape == (2, pre.shape[1], 7, 7)
    assert backbone.poolings == ("proj", "pre_proj")


def test_open_clip_local_file(tmp_path: Path) -> None:
    """A local file of the whole model, image and text, fills the tower strictly."""
    torch.manual_seed(7)
    model = open_clip.create_model("ViT-S-32-alt", pretrained=None)
    torch.save({"state_dict": {f"module.{key}": value for key, value in model.state_dict().items()}}, tmp_path / "w.pt")
    backbone = backbones.load(model_zoo.get("open_clip:ViT-S-32-alt"), LoadContext(tmp_path / "w.pt"))
    assert backbone.network is not None
    assert torch.equal(backbone.network.state_dict()["proj"], model.visual.proj)


def test_open_clip_residual_network_offers_the_embedding_alone() -> None:
    """CLIP's residual networks project inside their attention pooling, so there is nothing before it."""
    assert untrained("open_clip:RN50").poolings == ("proj",)


def test_quick_gelu_follows_the_weights() -> None:
    """OpenAI's weights bring QuickGELU with them, whatever the architecture's name; LAION's do not accept it."""
    one, other = untrained("open_clip:ViT-B-32/openai"), untrained("open_clip:ViT-B-32/laion2b_s34b_b79k")
    kinds = [
        {type(module).__name__ for module in backbone.network.modules() if "GELU" in type(module).__name__}
        for backbone in (one, other)
        if backbone.network is not None
    ]
    assert kinds == [{"QuickGELU"}, {"GELU"}]
    assert one.arch() != other.arch()
    with pytest.raises(UsageError, match="use ViT-B-32/laion2b_s34b_b79k"):
        untrained("open_clip:ViT-B-32-quickgelu/laion2b_s34b_b79k")


def test_open_clip_offline_and_wrong_names() -> None:
    """Missing weights and wrong names are told with the nearest right answer."""
    with pytest.raises(MissingError, match="ssl-bench fetch --model open_clip:ViT-B-32/openai"):
        backbones.load(model_zoo.get("open_clip:ViT-B-32/openai"), LoadContext(offline=True))
    for text, said in (("ViT-B-33/openai", "Did you mean ViT-B-32"), ("ViT-B-32/opnai", "Did you mean openai")):
        with pytest.raises(UsageError, match=said):
            untrained(f"open_clip:{text}")


@pytest.mark.parametrize(
    ("name", "layer", "pooling"),
    [
        ("resnet18", "fc", "gap"),
        ("mobilenet_v3_small", "classifier", "gap"),
        ("convnext_tiny", "classifier", "gap"),
        ("regnet_y_400mf", "fc", "gap"),
        ("vit_b_32", "heads", "cls"),
        ("swin_t", "head", "gap"),
    ],
)
def test_torchvision_is_the_input_of_the_last_layer(name: str, layer: str, pooling: str) -> None:
    """The feature, put through the removed layer, gives torchvision's own logits; there is a map beside it."""
    backbone = untrained(f"torchvision:{name}")
    torch.manual_seed(0)
    whole = torchvision.models.get_model(name, weights=None).eval()
    last = [module for module in getattr(whole, layer).modules() if isinstance(module, nn.Linear)][-1]
    images = images_for(backbone)
    features = backbone.forward(images, pooling)
    with torch.inference_mode():
        torch.testing.assert_close(last(features.pooled), whole(images))
    assert features.dense is not None
    assert features.dense.shape[2:] == (7, 7)


def test_torchvision_input_and_file(tmp_path: Path) -> None:
    """The input is the preset of the named weights; a local file fills the network strictly."""
    torch.manual_seed(3)
    whole = torchvision.models.resnet18()
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    backbone = backbones.load(model_zoo.get("torchvision:resnet18/IMAGENET1K_V1"), LoadContext(tmp_path / "w.pth"))
    assert (backbone.input.resize_to, backbone.input.size, backbone.input.interpolation) == (
        256,
        (224, 224),
        "bilinear",
    )
    assert backbone.network is not None
    assert torch.equal(backbone.network.state_dict()["conv1.weight"], whole.conv1.weight)


def test_torchvision_needs_named_weights() -> None:
    """Without a tag the weights that there are get listed; offline, the address is told."""
    with pytest.raises(UsageError, match="IMAGENET1K_V1"):
        backbones.load(model_zoo.get("torchvision:resnet18"))
    with pytest.raises(MissingError, match=r"download\.pytorch\.org"):
        backbones.load(model_zoo.get("torchvision:resnet18/IMAGENET1K_V1"), LoadContext(offline=True))


def test_own_module() -> None:
    """A factory's network gives its output; a map is averaged and kept as dense features."""
    backbone = backbones.load(
        model_zoo.get(f"module:{__name__}:grey_net,width=5,size=8,resize=squash,channels=grey,mean=[0.5],std=[0.5]")
    )
    features = backbone.forward(torch.rand(2, 1, 8, 8), "output")
    assert features.dense is not None
    assert features.dense.shape == (2, 5, 4, 4)
    torch.testing.assert_close(features.pooled, features.dense.mean((2, 3)))
    assert backbone.arch() == {"class": "Conv2d", "factory": f"{__name__}:grey_net", "width": 5}
    vectors = backbones.load(model_zoo.get(f"module:{__name__}:vector_net,size=8"))
    assert vectors.forward(torch.rand(2, 3, 8, 8), "output").pooled.shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"{__name__}:gray_net", "Did you mean grey_net"),
        (f"{__name__}:no_net", "returned a str, not a torch module"),
        ("no_such_package.nets:net", "PYTHONPATH"),
        ("just_a_name", "not package.module:factory"),
    ],
)
def test_own_module_that_is_none(name: str, said: str) -> None:
    """What is not there, or is no network, is told for what it is."""
    with pytest.raises(UsageError, match=said):
        backbones.load(model_zoo.get(f"module:{name}"))


def test_own_module_of_wrong_shape() -> None:
    """An output that is neither vectors nor maps is refused when it is seen."""
    backbone = backbones.load(model_zoo.get(f"module:{__name__}:scalar_net"))
    with pytest.raises(UsageError, match="must return"):
        backbone.forward(torch.rand(2, 3, 8, 8), "output")
