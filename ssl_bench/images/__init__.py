"""Encoded bytes or raw arrays → the pixels that a network sees, by the rule that belongs to the model.

Pillow's pixels are the rule: `jpeg` and `resampling` give the same ones faster, or leave the work to Pillow.
`transforms` reads the rule off another library's transform.
"""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ssl_bench.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

Raw: TypeAlias = "bytes | NDArray[np.uint8]"
"""An image as its source keeps it: encoded bytes, or pixels (height, width) or (height, width, 3)."""

Picture: TypeAlias = "Image.Image | NDArray[np.uint8]"
"""A decoded image: Pillow's, or an array (height, width) or (height, width, 3) in the colours that are wanted."""
Resize = Literal["short", "squash", "none"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Channels = Literal["rgb", "bgr", "grey", "lab"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """What a backbone is fed. It belongs to the model, is recorded, and is part of the feature cache's key."""

    size: tuple[int, int]
    """Height and width in pixels that the network sees."""
    resize: Resize = "short"
    """`short`: scale the short side to `resize_to`, crop the centre; `squash`: scale to `size`; `none`: must fit."""
    resize_to: int = 0
    """Length of the short side before the centre crop; 0 means the shorter of `size`."""
    interpolation: Interpolation = "bicubic"
    """Filter of the resize, antialiased (Pillow's resize)."""
    channels: Channels = "rgb"
    """Channel order that the network expects; `grey` is one channel, ITU-R 601 luma; `lab` is CIE 1976 L*a*b*."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Per channel, in the order of `channels`, for pixels scaled to 0..1, or for `lab` 0..100 and about -128..127."""
    std: tuple[float, ...] = IMAGENET_STD
    """As `mean`."""

    def __post_init__(self) -> None:
        wanted = 1 if self.channels == "grey" else 3
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != wanted:
                raise UsageError(
                    f"input.{name} has {len(values)} values, but {self.channels} images have {wanted} channels"
                )
        if min(self.size) < 1:
            raise UsageError(f"input.size must be positive, not {self.size}")
        if min(self.std) <= 0:
            raise UsageError(f"input.std must be positive, not {self.std}")


@dataclasses.dataclass(frozen=True)
class InputCard:
    """What a card states of an `InputSpec`: a model's overrides its library's, a suite's overrides every model's."""

    size: int | tuple[int, ...] | None = None
    resize: Resize | None = None
    resize_to: int | None = None
    interpolation: Interpolation | None = None
    channels: Channels | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def stated(self) -> dict[str, Any]:
        """Return what is stated, as plain values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in vars(self).items()
            if value is not None
        }

    def over(self, other: InputCard) -> InputCard:
        """Return what `other` states, with what this card states in its place."""
        return dataclasses.replace(other, **{key: value for key, value in vars(self).items() if value is not None})

    def applied_to(self, spec: InputSpec) -> InputSpec:
        """Return `spec` with this card's values in place of its own."""
        changes = {key: value for key, value in vars(self).items() if value is not None}
        if self.size is not None:
            changes["size"] = (self.size, self.size) if isinstance(self.size, int) else self.size
        return dataclasses.replace(spec, **changes)


def decoder_name() -> str:
    """Return the library and version that decodes and resizes, for the record."""
    import PIL

    return f"pillow {PIL.__version__}"


def decode(raw: Raw, where: str) -> Image.Image:
    """Return the image; raise DataError naming `where` if its bytes are no whole image.

    EXIF orientation is not applied, as in torchvision and the published evaluation codes.
    """
    from PIL import Image

    if not isinstance(raw, bytes):
        return Image.fromarray(raw)
    try:
        image = Image.open(io.BytesIO(raw))
        image.load()
        return image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot decode the image {where}: {error}. Replace or remove the file.") from error


def size(raw: Raw, where: str) -> tuple[int, int]:
    """Return an image's height and width, of encoded bytes without decoding their pixels.

    Raises DataError naming `where` for what is no image.
    """
    from PIL import Image

    if not isinstance(raw, bytes):
        return raw.shape[0], raw.shape[1]
    try:
        with Image.open(io.BytesIO(raw)) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot decode the image {where}: {error}. Replace or remove the file.") from error


def coloured(raw: Raw, where: str, spec: InputSpec) -> Picture:
    """Return an image in the colours that `spec` wants, decoded by the fastest of what gives Pillow's pixels.

    Raises DataError naming `where` if its bytes are no whole image.
    """
    from ssl_bench.images import jpeg

    grey = spec.channels == "grey"
    if not isinstance(raw, bytes) and raw.shape[2:] == (() if grey else (3,)):
        return raw
    array = jpeg.decoded(raw, grey) if isinstance(raw, bytes) else None
    return decode(raw, where).convert("L" if grey else "RGB") if array is None else array


def pixels(image: Picture, spec: InputSpec) -> NDArray[np.uint8]:
    """Return what the network sees before normalisation: uint8 (channels, height, width), RGB or grey."""
    image = _in_colours(image, spec)
    height, width = spec.size
    own = resized = _size(image)
    if spec.resize == "squash":
        resized = spec.size
    elif spec.resize == "short":
        resized = _short_resized(own, spec.resize_to or min(spec.size))
    elif own != spec.size:
        raise DataError(
            f"an image of {own[1]}x{own[0]} pixels came to a model that takes {width}x{height} "
            "unresized; set input.resize to 'squash' or 'short'"
        )
    top, left = round((resized[0] - height) / 2.0), round((resized[1] - width) / 2.0)  # half to even, as torchvision
    return _part_of_resized(image, resized, spec.interpolation, (top, left, height, width))


def _in_colours(image: Picture, spec: InputSpec) -> Picture:
    """Return a Pillow image in the colours that `spec` wants; an array has them."""
    from PIL import Image

    return image.convert("L" if spec.channels == "grey" else "RGB") if isinstance(image, Image.Image) else image


def _size(image: Picture) -> tuple[int, int]:
    """Return height and width."""
    from PIL import Image

    return (image.height, image.width) if isinstance(image, Image.Image) else (image.shape[0], image.shape[1])


def _short_resized(size: tuple[int, int], length: int) -> tuple[int, int]:
    """Return height and width with a short side of `length`; the long is cut to whole pixels, as torchvision does."""
    short, long = sorted(size)
    other = int(length * long / short)
    return (other, length) if size[1] <= size[0] else (length, other)


def _part_of_resized(
    image: Picture, size: tuple[int, int], interpolation: Interpolation, part: tuple[int, int, int, int]
) -> NDArray[np.uint8]:
    """Return a part (top, left, height, width) of an image resized to `size`, black where it reaches beyond:
    uint8 (channels, height, width).
    """
    import numpy as np
    from PIL import Image

    from ssl_bench.images import resampling

    own = _size(image)
    top, left, height, width = part
    within = min(top, left) >= 0 and top + height <= size[0] and left + width <= size[1]
    if own != size and within and resampling.takes(own, size, interpolation):
        return resampling.resize(np.asarray(image), size, interpolation, part)
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    if own != size:
        image = image.resize((size[1], size[0]), getattr(Image.Resampling, interpolation.upper()))
    if part != (0, 0, *size):
        image = image.crop((left, top, left + width, top + height))
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """A random part of the image, resized to what the network sees, and a flip (torchvision's RandomResizedCrop)."""

    scale: tuple[float, float] = (0.08, 1.0)
    """Share of the image's area."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Width over height."""
    tries: int = 10
    """Draws before the centre is taken; 1 draw that is cut to the image is that of MAE's code."""
    interpolation: Interpolation = "bicubic"
    flip: float = 0.5
    """Probability of a horizontal flip."""


def augmented(
    image: Picture, spec: InputSpec, augmentation: Augmentation, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a random part as the network sees it before normalisation: uint8 (channels, height, width)."""
    import numpy as np
    from PIL import Image

    image = _in_colours(image, spec)
    left, top, width, height = _random_part(_size(image)[::-1], augmentation, generator)
    box = (left, top, left + width, top + height)
    cut = image.crop(box) if isinstance(image, Image.Image) else image[top : top + height, left : left + width]
    array = _part_of_resized(cut, spec.size, augmentation.interpolation, (0, 0, *spec.size))
    return np.ascontiguousarray(array[..., ::-1]) if generator.random() < augmentation.flip else array


def _random_part(
    size: tuple[int, int], augmentation: Augmentation, generator: np.random.Generator
) -> tuple[int, int, int, int]:
    """Return left, top, width and height of a part of an image of this width and height."""
    import math

    full_width, full_height = size
    low, high = (math.log(ratio) for ratio in augmentation.ratio)
    for _ in range(augmentation.tries):
        area = full_width * full_height * generator.uniform(*augmentation.scale)
        ratio = math.exp(generator.uniform(low, high))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if augmentation.tries == 1:
            width, height = min(width, full_width), min(height, full_height)
        if 0 < width <= full_width and 0 < height <= full_height:
            left = int(generator.integers(0, full_width - width + 1))
            top = int(generator.integers(0, full_height - height + 1))
            return left, top, width, height
    width = min(full_width, round(full_height * augmentation.ratio[1]))
    height = min(full_height, round(full_width / augmentation.ratio[0]))
    return (full_width - width) // 2, (full_height - height) // 2, width, height


def normalise(batch: Tensor, spec: InputSpec) -> Tensor:
    """Return uint8 (images, channels, height, width) as normalised floats, channels in the order that `spec` names."""
    import torch

    batch = batch.float().div_(255.0)
    if spec.channels == "bgr":
        batch = batch.flip(1)
    if spec.channels == "lab":
        batch = _lab(batch)
    given = torch.tensor((spec.mean, spec.std)).to(batch.device, non_blocking=True)  # waits for no work on a GPU
    mean, std = given.view(2, 1, -1, 1, 1)
    return batch.sub_(mean).div_(std)


def _lab(batch: Tensor) -> Tensor:
    """Return sRGB in 0..1 as CIE 1976 L*a*b* under daylight (D65, 2 degrees): IEC 61966-2-1, then CIE 15.

    For each of X, Y, Z over its white, f(t) = t^(1/3) where t > (6/29)^3 and t / (3 (6/29)^2) + 4/29 elsewhere; then
    L = 116 f(Y) - 16, a = 500 (f(X) - f(Y)), b = 200 (f(Y) - f(Z)).
    """
    import torch

    to_xyz = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
    white = torch.tensor((0.95047, 1.0, 1.08883), device=batch.device).view(1, 3, 1, 1)
    linear = torch.where(batch > 0.04045, ((batch + 0.055) / 1.055) ** 2.4, batch / 12.92)
    t = torch.einsum("xc,nchw->nxhw", torch.tensor(to_xyz, device=batch.device), linear) / white
    x, y, z = torch.where(t > (6 / 29) ** 3, t ** (1 / 3), t / (3 * (6 / 29) ** 2) + 4 / 29).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)
