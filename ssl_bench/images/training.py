"""timm's augmentations of training images, drawn from generators of their own.

timm draws from the global generators of Python, NumPy and torch, which decoding threads share. Here private copies of
its modules draw from what belongs to the thread and was seeded for the image at hand, so that neither threads nor
batches nor resumption change a pixel. Given the same state, the pixels are those of `timm.data.create_transform`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import random
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ssl_bench.images import Augmentation, InputSpec, Picture, _part_of_resized

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class TrainingAugmentation(Augmentation):
    """What `timm.data.create_transform(is_training=True)` does to an image, in its order."""

    auto: str = ""
    """RandAugment in timm's words, such as "rand-m9-mstd0.5-inc1"; empty: none."""
    jitter: float = 0.0
    """Of brightness, contrast and saturation, up or down; as in timm it is left out beside `auto`."""
    erase: float = 0.0
    """Probability of a rectangle of noise, of a fiftieth to a third of the image, after normalisation."""


class _Draws(threading.local):
    """Stands in timm's modules where Python's `random` does: the generators of the image that this thread works on."""

    def __init__(self) -> None:
        import numpy as np

        self.python, self.numpy = random.Random(), np.random.RandomState()
        self.torch: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.python, name)

    def seed(self, seed: int) -> None:
        """Begin as `random.seed`, `np.random.seed` and `torch.manual_seed` do."""
        import torch

        self.python.seed(seed)
        self.numpy.seed(seed)
        self.torch = (self.torch or torch.Generator()).manual_seed(seed)


DRAWS: Any = _Draws()


def trained(image: Picture, spec: InputSpec, augmentation: TrainingAugmentation, seed: int) -> NDArray[np.uint8]:
    """Return an image cropped, flipped and recoloured, before normalisation: uint8 (channels, height, width).

    `seed`, of 32 bits, stands for the state of all three generators.
    """
    import numpy as np
    import torch
    from PIL import Image

    DRAWS.seed(seed)
    whole = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    whole = whole.convert("L" if spec.channels == "grey" else "RGB")
    cropper = _own("timm.data.transforms").RandomResizedCropAndInterpolation
    top, left, height, width = cropper.get_params(whole, augmentation.scale, augmentation.ratio)
    cut = whole.crop((left, top, left + width, top + height))
    flipped = bool(augmentation.flip) and bool(torch.rand(1, generator=DRAWS.torch) < augmentation.flip)
    if not augmentation.auto and not augmentation.jitter:
        array = _part_of_resized(cut, spec.size, augmentation.interpolation, (0, 0, *spec.size))
        return np.ascontiguousarray(array[..., ::-1]) if flipped else array
    resample = getattr(Image.Resampling, augmentation.interpolation.upper())
    picture = cut.resize(spec.size[::-1], resample)
    if flipped:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if augmentation.auto:
        policy = _policy(augmentation.auto, min(spec.size), _mean(spec), augmentation.interpolation)
        replace = policy.choice_weights is None
        for operation in DRAWS.numpy.choice(policy.ops, policy.num_layers, replace=replace, p=policy.choice_weights):
            picture = operation(picture)
    if augmentation.jitter and ("3a" in augmentation.auto or not augmentation.auto):
        picture = _jittered(picture, augmentation.jitter)
    found = np.asarray(picture, dtype=np.uint8)
    return found[None] if found.ndim == 2 else np.ascontiguousarray(found.transpose(2, 0, 1))


def erase(images: Tensor, augmentation: TrainingAugmentation, seeds: Sequence[int]) -> None:
    """Put noise into rectangles of some normalised images (images, channels, height, width), a seed for each.

    The noise of all reaches a GPU in one copy, which nothing waits for.
    """
    import torch

    eraser = _own("timm.data.random_erasing").RandomErasing(augmentation.erase, mode="pixel", device="cpu")
    erased = [_Erased(image) for image in images]
    for image, seed in zip(erased, seeds, strict=True):
        DRAWS.seed(seed)
        eraser(image)
    put = [(image.image[where], noise) for image in erased for where, noise in image.put]
    if not put:
        return
    flat = torch.cat([noise.reshape(-1) for _, noise in put])
    flat = flat.pin_memory().to(images.device, non_blocking=True) if images.is_cuda else flat
    for (place, noise), part in zip(put, flat.split([noise.numel() for _, noise in put]), strict=True):  # type: ignore[no-untyped-call]
        place.copy_(part.view_as(noise))


class _Erased:
    """Stands for an image (channels, height, width) in timm's eraser, and keeps what was to be put where."""

    def __init__(self, image: Tensor) -> None:
        self.image, self.dtype, self.size = image, image.dtype, image.size
        self.put: list[tuple[Any, Tensor]] = []

    def __setitem__(self, where: Any, noise: Tensor) -> None:
        self.put.append((where, noise))


def seed_of(*numbers: int) -> int:
    """Return 32 bits that stand for all of `numbers`."""
    import numpy as np

    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


@functools.cache
def _own(name: str) -> Any:
    """Return a copy of a module of timm that draws from `DRAWS`; timm's own is left as it is."""
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.loader is not None
    module: Any = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    module.random = DRAWS
    if hasattr(module, "_get_pixels"):
        module._get_pixels = _noise
    if hasattr(module, "NAME_TO_OP"):
        for known in [name for name in module.NAME_TO_OP if name.startswith("Posterize")]:
            module.NAME_TO_OP[known] = _posterised
    return module


def _posterised(picture: Any, bits: int, **_: Any) -> Any:
    """Return an image with so many bits per channel, black for none, which later versions of Pillow refuse."""
    from PIL import Image, ImageOps

    return ImageOps.posterize(picture, bits) if bits > 0 else Image.new(picture.mode, picture.size)


def _noise(per_pixel: bool, rand_color: bool, size: tuple[int, ...], **_: Any) -> Tensor:
    """Return normal noise of this size, timm's mode "pixel"."""
    import torch

    return torch.empty(size).normal_(generator=DRAWS.torch)


@functools.cache
def _policy(words: str, side: int, mean: tuple[int, ...], interpolation: str) -> Any:
    """Return timm's RandAugment with the parameters that `timm.data.create_transform` gives it."""
    from PIL import Image

    resample = getattr(Image.Resampling, interpolation.upper())
    known = {"translate_const": int(side * 0.45), "img_mean": mean, "interpolation": resample}
    return _own("timm.data.auto_augment").rand_augment_transform(words, known)


def _mean(spec: InputSpec) -> tuple[int, ...]:
    """Return the colour, 0 to 255, of what is moved into an image: the mean that the model's input subtracts."""
    if spec.channels == "lab":
        return (128, 128, 128)
    mean = spec.mean[::-1] if spec.channels == "bgr" else spec.mean
    return tuple(max(0, min(255, round(255 * value))) for value in mean)


def _jittered(picture: Any, amount: float) -> Any:
    """Return an image as torchvision's ColorJitter(amount, amount, amount) leaves it."""
    import torch
    from torchvision.transforms import functional

    order = torch.randperm(4, generator=DRAWS.torch).tolist()
    low, high = max(0.0, 1 - amount), 1 + amount
    changes = [functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation]
    factors = [float(torch.empty(1).uniform_(low, high, generator=DRAWS.torch)) for _ in changes]
    for index in order:
        if index < len(changes):  # the fourth is hue, which is left alone
            picture = changes[index](picture, factors[index])
    return picture
