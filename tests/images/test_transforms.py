"""Transforms of other libraries, read: our pixels are theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm.data
import torch
import torchvision.models
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms import transforms as v1

from ssl_bench.errors import UsageError
from ssl_bench.images import InputSpec, normalise, pixels, transforms

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SQUASH = [v1.Resize((40, 56), InterpolationMode.BICUBIC), v1.ToTensor()]


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    """Stand in for open_clip's step of this name."""
    return image.convert("RGB")


TIMM = {"input_size": (3, 96, 96), "interpolation": "bicubic", "crop_pct": 0.9}
KNOWN: dict[str, Callable[..., Any]] = {
    "torchvision": v1.Compose([v1.Resize(64), v1.CenterCrop(56), v1.ToTensor(), v1.Normalize(MEAN, STD)]),
    "preset": torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms(),
    "timm": timm.data.create_transform(
        input_size=(3, 96, 96), interpolation="bicubic", crop_pct=0.9, is_training=False
    ),
    "open_clip": v1.Compose(
        [
            v1.Resize(48, InterpolationMode.BICUBIC),
            v1.CenterCrop((48, 48)),
            _convert_to_rgb,
            v1.ToTensor(),
            v1.Normalize((0.48, 0.46, 0.41), (0.27, 0.26, 0.28)),
        ]
    ),
    "squash": v1.Compose(SQUASH),
    "grey": v1.Compose([v1.Grayscale(), v1.Resize((32, 32)), v1.ToTensor(), v1.Normalize((0.5,), (0.5,))]),
    "v2": v2.Compose([v2.Resize((32, 24)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]),
}


def picture(width: int = 130, height: int = 90) -> Image.Image:
    """Return a picture with edges and slopes."""
    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 256, (height // 6, width // 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("size", [(130, 90), (300, 400)])
def test_what_the_network_sees_is_the_same(name: str, size: tuple[int, int]) -> None:
    """A transform and the input that is read from it make the same tensor of an image, to a rounded grey level."""
    transform, image = KNOWN[name], picture(*size)
    spec = transforms.read(transform).applied_to(InputSpec((1, 1)))
    ours = normalise(torch.from_numpy(pixels(image, spec).copy())[None], spec)[0]
    theirs = torch.as_tensor(transform(image))
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= 1.01 / 255 / min(spec.std)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([v1.RandomResizedCrop(32), v1.ToTensor()], "the step RandomResizedCrop cannot be read"),
        ([v1.Resize(32), v1.ToTensor()], "leaves images of many sizes"),
        ([v1.Resize(32, max_size=64), v1.CenterCrop(32)], "max_size"),
        ([v1.Resize((32, 32)), v1.CenterCrop(24), v1.ToTensor()], "the step CenterCrop cannot be read"),
        ([v1.Resize((32, 32)), v1.Resize((16, 16))], "the step Resize cannot be read"),
        ([v1.CenterCrop(24), v1.Resize((32, 32))], "the step Resize cannot be read"),
        ([v1.Resize(32), v1.CenterCrop(48), v1.ToTensor()], "fills up with black"),
        ([v1.Lambda(lambda image: image)], "the step Lambda cannot be read"),
        ([v1.Resize((8, 8), InterpolationMode.NEAREST_EXACT)], "interpolation"),
    ],
)
def test_what_cannot_be_read_is_refused(steps: list[Any], message: str) -> None:
    """A step that is not understood is refused by its name, never left out."""
    with pytest.raises(UsageError, match=message):
        transforms.read(v1.Compose(steps))
