"""timm's augmentations with draws of their own: the pixels are timm's, and threads change none of them."""

from __future__ import annotations

import concurrent.futures
import random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform

from ssl_bench.images import IMAGENET_MEAN, IMAGENET_STD, InputSpec, normalise, training
from ssl_bench.images.training import TrainingAugmentation, erase, trained

SPEC = InputSpec(size=(64, 64))
MAE = TrainingAugmentation(auto="rand-m9-mstd0.5-inc1", erase=0.25)


def photo(seed: int, height: int = 90, width: int = 120) -> Image.Image:
    """Return an image with edges, gradients and noise."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    planes = [rows * 255 // height, columns * 255 // width, 255 * ((rows // 9 + columns // 7) % 2)]
    noisy = np.stack(planes, axis=2) + generator.normal(0, 20, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def of_timm(separate: bool = True, **given: Any) -> Any:
    return create_transform(
        (64, 64),
        is_training=True,
        interpolation="bicubic",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        separate=separate,
        **given,
    )


def seeded(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (MAE, {"auto_augment": "rand-m9-mstd0.5-inc1", "color_jitter": 0.4}),
        (TrainingAugmentation(jitter=0.4), {"color_jitter": 0.4}),
        (TrainingAugmentation(auto="rand-m5-n3", flip=0.0), {"auto_augment": "rand-m5-n3", "hflip": 0.0}),
        (TrainingAugmentation(scale=(0.3, 1.0)), {"color_jitter": None, "scale": (0.3, 1.0)}),
    ],
    ids=["mae", "jitter", "three operations", "crop and flip"],
)
def test_pixels_are_timms(ours: TrainingAugmentation, theirs: dict[str, Any]) -> None:
    """Given the same random state, crop, flip, RandAugment and jitter give the pixels of timm.data.create_transform."""
    first, second, _ = of_timm(**theirs)
    changed = 0
    for seed in range(60):
        image = photo(seed)
        seeded(seed)
        try:
            expected = np.asarray(second(first(image))).transpose(2, 0, 1)
        except ValueError:  # timm asks later versions of Pillow for an image of 0 bits, which they refuse
            continue
        np.testing.assert_array_equal(trained(image, SPEC, ours, seed), expected)
        changed += not np.array_equal(expected, np.asarray(image.resize((64, 64))).transpose(2, 0, 1))
    assert changed >= 50


def test_erasing_is_timms() -> None:
    """Given the same random state, erased images are those of timm's last stage, noise and all."""
    final = of_timm(re_prob=0.25, re_mode="pixel", re_count=1)[2]
    arrays = [np.asarray(photo(seed, 64, 64)) for seed in range(40)]
    expected = []
    for seed, array in enumerate(arrays):
        seeded(seed)
        expected.append(final(Image.fromarray(array)))
    ours = normalise(torch.tensor(np.stack(arrays)).permute(0, 3, 1, 2), SPEC)
    plain = ours.clone()
    erase(ours, MAE, range(40))
    torch.testing.assert_close(ours, torch.stack(expected))
    assert 4 <= sum(bool((one != other).any()) for one, other in zip(ours, plain, strict=True)) <= 16


def test_threads_change_no_pixel() -> None:
    """An image augmented beside seven others is the one augmented alone; the global generators are left alone."""
    images = [photo(seed) for seed in range(24)]
    random.seed(5)
    before = random.getstate()
    alone = [trained(image, SPEC, MAE, seed) for seed, image in enumerate(images)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        beside = list(pool.map(lambda seed: trained(images[seed], SPEC, MAE, seed), range(24)))
    for one, other in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(one, other)
    assert random.getstate() == before


@pytest.mark.parametrize("channels", ["rgb", "bgr", "grey", "lab"])
def test_any_colours(channels: Any) -> None:
    """Every kind of input can be augmented: grey ones with one channel, where timm itself takes colours alone."""
    grey = channels == "grey"
    mean, std = (
        ((50.0, 0.0, 0.0), (1.0,) * 3) if channels == "lab" else (((0.5,), (0.5,)) if grey else ((0.4,) * 3,) * 2)
    )
    spec = InputSpec(size=(32, 32), channels=channels, mean=mean, std=std)
    for seed in range(30):
        found = trained(np.asarray(photo(seed).convert("L" if grey else "RGB")), spec, MAE, seed)
        assert found.shape == (1 if grey else 3, 32, 32)
        assert found.dtype == np.uint8


def test_an_image_of_no_bits_is_black() -> None:
    """At its strongest RandAugment leaves no bit of an image, as with the versions of Pillow that it was made for."""
    posterise = training._own("timm.data.auto_augment").NAME_TO_OP["PosterizeIncreasing"]
    assert np.asarray(posterise(photo(0), 0)).max() == 0
    assert set(np.unique(np.asarray(posterise(photo(0), 1)))) == {0, 128}
