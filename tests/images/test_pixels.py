"""The pixels that a network sees equal those of the transforms that the published codes use."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from ssl_bench import images
from ssl_bench.errors import DataError, UsageError
from ssl_bench.images import IMAGENET_MEAN, IMAGENET_STD, InputSpec


def photograph(width: int, height: int) -> Image.Image:
    """Return a real photograph (scikit-learn's flower.jpg), cropped to a size."""
    from sklearn.datasets import load_sample_image

    return Image.fromarray(load_sample_image("flower.jpg")).crop((0, 0, width, height))


@pytest.mark.parametrize("size", [(640, 427), (333, 427), (300, 300), (101, 57)])
@pytest.mark.parametrize(("interpolation", "mode"), [("bicubic", "BICUBIC"), ("bilinear", "BILINEAR")])
def test_short_resize_and_centre_crop_equal_torchvision(size: tuple[int, int], interpolation: str, mode: str) -> None:
    """`short` gives, bit for bit, Resize(256) and CenterCrop(224) of torchvision, normalised as ToTensor does."""
    image = photograph(*size)
    reference = transforms.Compose(
        [
            transforms.Resize(256, interpolation=getattr(InterpolationMode, mode)),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )(image)
    spec = InputSpec((224, 224), resize_to=256, interpolation=interpolation)  # type: ignore[arg-type]
    seen = images.normalise(torch.from_numpy(images.pixels(image, spec))[None], spec)[0]
    assert torch.equal(seen, reference)


def test_squash_equals_torchvision() -> None:
    """`squash` gives, bit for bit, Resize((height, width)) of torchvision."""
    image = photograph(200, 100)
    reference = transforms.Resize((96, 64), interpolation=InterpolationMode.BICUBIC)(image)
    seen = images.pixels(image, InputSpec((96, 64), resize="squash"))
    assert np.array_equal(seen.transpose(1, 2, 0), np.asarray(reference))


def test_bgr_networks_see_blue_first() -> None:
    """`bgr` reverses the channels, and mean and std count in the order that the network sees."""
    spec = InputSpec((2, 2), resize="squash", channels="bgr", mean=(0.0, 0.0, 1.0), std=(1.0, 1.0, 1.0))
    red = np.zeros((2, 2, 3), dtype=np.uint8)
    red[..., 0] = 255
    seen = images.normalise(torch.from_numpy(images.pixels(Image.fromarray(red), spec))[None], spec)
    assert seen[0, :, 0, 0].tolist() == [0.0, 0.0, 0.0]


def test_an_image_that_fits_is_not_resampled() -> None:
    """An image of the network's own size passes unchanged by every resize rule."""
    array = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    for resize in ("short", "squash", "none"):
        spec = InputSpec((28, 28), resize=resize, channels="grey", mean=(0.0,), std=(1.0,))  # type: ignore[arg-type]
        assert np.array_equal(images.pixels(images.decode(array, "x"), spec)[0], array)


def test_a_corrupt_image_is_named(tmp_path: Path) -> None:
    """Bytes that are no whole image raise one line that names the sample."""
    buffer = io.BytesIO()
    photograph(300, 200).save(buffer, "JPEG")
    for raw in (buffer.getvalue()[:500], b"<html>not found</html>", b""):
        with pytest.raises(DataError, match=r"train/cat/1\.jpg"):
            images.decode(raw, "train/cat/1.jpg")


def test_an_input_that_contradicts_itself_is_refused() -> None:
    """Three means for a grey image, or a standard deviation of zero, are refused when the input is made."""
    with pytest.raises(UsageError, match="grey images have 1 channels"):
        InputSpec((8, 8), channels="grey")
    with pytest.raises(UsageError, match="positive"):
        InputSpec((8, 8), std=(0.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.241, 80.092, 67.203)),
        ((0, 255, 0), (87.735, -86.183, 83.179)),
        ((0, 0, 255), (32.297, 79.188, -107.860)),
        ((119, 119, 119), (50.034, 0.0, 0.0)),
    ],
)
def test_lab_is_that_of_the_cie(colour: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    """`lab` is CIE 1976 L*a*b* of sRGB under D65, before mean and std: the known values of the pure colours."""
    spec = InputSpec((2, 2), channels="lab", mean=(50.0, 0.0, 0.0), std=(1.0, 2.0, 1.0))
    batch = torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    seen = images.normalise(batch, spec)[0, :, 0, 0]
    assert seen.tolist() == pytest.approx([lab[0] - 50.0, lab[1] / 2, lab[2]], abs=0.03)
