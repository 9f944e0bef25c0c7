"""Pillow's resize to the last bit, several times as fast: the same sums, compiled by numba, of the wanted part alone.

Pillow weighs pixels in whole numbers (src/libImaging/Resample.c). Output pixel i of n, from m, lies at the centre
(i + 1/2) m / n; with the scale s = max(m / n, 1), a filter f of reach r weighs input pixel j by

    w_j = f((j + 1/2 - centre) / s) / sum of f        for |j + 1/2 - centre| up to r s, as round(2^22 w_j),

and the pixel is (2^21 + sum of w_j p_j) >> 22, cut to 0..255: first across, then down, with bytes between. Whole
numbers have one sum in any order, so a compiler may take many pixels at once.

Here a block of rows is turned first, so that what shares a weight lies side by side. numba is optional (the extra
`fast`) and takes a second or two to load: until `prepare` has loaded it, and wherever it gave other pixels than the
installed Pillow on a few odd sizes, Pillow itself does the work. The pixels are the same either way.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Size = tuple[int, int]
"""Height and width."""
FILTERS = {"box": (0, 0.5), "bilinear": (1, 1.0), "hamming": (2, 1.0), "bicubic": (3, 2.0), "lanczos": (4, 3.0)}
"""Number and reach of each filter; Pillow's `nearest` weighs nothing and is left to it."""
BITS = 22
"""Of a weight behind the point."""
ROWS = 32
"""That are turned at once; 16 and 64 were slower."""
PROBES = ((50, 70, 24, 33), (70, 50, 47, 31), (40, 40, 52, 21), (31, 64, 48, 48), (64, 31, 70, 60), (90, 45, 45, 20))
"""Heights and widths before and after, on which the compiled code must agree with the installed Pillow."""

_ready = threading.Event()
_once = threading.Lock()


def takes(size: Size, resized: Size, interpolation: str) -> bool:
    """True where `resize` is loaded and gives what Pillow gives.

    Since 13.0, Pillow goes down first where the height shrinks by more than twice what the width does, and in 11 and
    12 where it is above 100 widths: such an image is left to it.
    """
    lower, narrower = size[0] - resized[0], size[1] - resized[1]
    down_first = lower > 0 and (lower > 2 * narrower or size[0] > 100 * size[1])
    return _ready.is_set() and interpolation in FILTERS and not down_first


def prepare() -> bool:
    """Load the compiled code, which takes a second or two, once per process; False where Pillow must do."""
    with _once:
        if not _ready.is_set() and importlib.util.find_spec("numba") is not None and _agrees():
            _ready.set()
    return _ready.is_set()


@functools.cache
def _agrees() -> bool:
    """True where every filter gives Pillow's pixels for `PROBES`: not with Pillow-SIMD, nor should Pillow change."""
    from PIL import Image

    for index, (height, width, *size) in enumerate(PROBES):
        image = np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)
        for name in FILTERS:
            whole = Image.fromarray(image).resize((size[1], size[0]), getattr(Image.Resampling, name.upper()))
            found = resize(image, (size[0], size[1]), name, (0, 0, size[0], size[1]))
            if not np.array_equal(found, np.asarray(whole).transpose(2, 0, 1)):
                return False
    return True


def resize(
    image: NDArray[np.uint8], size: Size, interpolation: str, part: tuple[int, int, int, int]
) -> NDArray[np.uint8]:
    """Return a part (top, left, height, width) of an image resized to `size`; the part lies within it.

    `image` is (height, width) or (height, width, 3), the result (1 or 3, height, width). Lets other threads run.
    """
    number, reach = FILTERS[interpolation]
    top, left, height, width = part
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = _compiled()
    columns, across = code.weigh(image.shape[1], size[1], left, width, number, reach)
    rows, down = code.weigh(image.shape[0], size[0], top, height, number, reach)
    source = np.ascontiguousarray(image).reshape(len(image), -1)
    middle = code.across(source, channels, columns, across, rows[0], min(rows[-1] + down.shape[1], len(image)))
    result: NDArray[np.uint8] = code.down(middle, channels, rows, down, rows[0])
    return result


@dataclasses.dataclass(frozen=True)
class _Code:
    """The functions below, compiled."""

    weigh: Any
    across: Any
    down: Any


@functools.cache
def _compiled() -> _Code:
    """Compile, once per machine where numba finds a folder to keep the result in."""
    import numba

    def compiled(function: Any) -> Any:
        try:
            return numba.njit(nogil=True, error_model="numpy", cache=True)(function)
        except RuntimeError:  # no folder can be written
            return numba.njit(nogil=True, error_model="numpy")(function)

    return _Code(compiled(_weigh), compiled(_across), compiled(_down))


def _weigh(length: int, resized: int, start: int, count: int, number: int, reach: float) -> Any:
    """Return, of output pixels `start` and `count` - 1 more, the first input pixel and the weights (count, taps)."""
    scale = length / resized
    spread = max(scale, 1.0)
    support = reach * spread
    first = np.empty(count, np.int64)
    weights = np.zeros((count, math.ceil(support) * 2 + 1), np.int32)
    exact = np.empty(weights.shape[1], np.float64)
    for i in range(count):
        centre = (start + i + 0.5) * scale
        low = max(int(centre - support + 0.5), 0)
        high = min(int(centre + support + 0.5), length)
        total = 0.0
        for j in range(low, high):
            x = abs((j - centre + 0.5) * (1.0 / spread))
            value = 0.0
            if number == 0:
                value = 1.0 if (j - centre + 0.5) * (1.0 / spread) > -0.5 and x <= 0.5 else 0.0
            elif number == 1:
                value = max(1.0 - x, 0.0)
            elif x == 0.0:
                value = 1.0
            elif number == 2 and x < 1.0:
                value = math.sin(x * math.pi) / (x * math.pi) * (0.54 + 0.46 * math.cos(x * math.pi))
            elif number == 3 and x < 1.0:
                value = (1.5 * x - 2.5) * x * x + 1.0
            elif number == 3 and x < 2.0:
                value = (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
            elif number == 4 and x < 3.0:
                value = math.sin(x * math.pi) / (x * math.pi) * (math.sin(x / 3.0 * math.pi) / (x / 3.0 * math.pi))
            exact[j - low] = value
            total += value
        first[i] = low
        for j in range(high - low):
            weight = exact[j] / total * (1 << BITS)
            weights[i, j] = int(weight + 0.5) if weight >= 0 else int(weight - 0.5)
    return first, weights


def _across(source: Any, channels: int, first: Any, weights: Any, top: int, bottom: int) -> Any:
    """Return rows `top` to `bottom` of `source` (height, width x channels) resized: (rows, columns x channels)."""
    columns, taps = weights.shape
    begin, end = first[0], min(first[-1] + taps, source.shape[1] // channels)
    result = np.empty((bottom - top, columns * channels), np.uint8)
    turned = np.empty((end - begin, ROWS * channels), np.uint8)
    sums = np.empty(ROWS * channels, np.int32)
    for row in range(0, bottom - top, ROWS):
        count = min(ROWS, bottom - top - row)
        for r in range(count):
            line = source[top + row + r]
            if channels == 3:
                for x in range(end - begin):
                    turned[x, r * 3] = line[(begin + x) * 3]
                    turned[x, r * 3 + 1] = line[(begin + x) * 3 + 1]
                    turned[x, r * 3 + 2] = line[(begin + x) * 3 + 2]
            else:
                for x in range(end - begin):
                    turned[x, r] = line[begin + x]
        for i in range(columns):
            sums[:] = 1 << (BITS - 1)
            for t in range(taps):
                weight = weights[i, t]
                if weight != 0:
                    pixels = turned[first[i] - begin + t]
                    for k in range(len(sums)):
                        sums[k] += weight * np.int32(pixels[k])
            for r in range(count):
                for c in range(channels):
                    value = sums[r * channels + c] >> BITS
                    result[row + r, i * channels + c] = min(max(value, 0), 255)
    return result


def _down(source: Any, channels: int, first: Any, weights: Any, top: int) -> Any:
    """Return `source` (rows from `top` on, columns x channels) resized down: (channels, height, columns)."""
    height, taps = weights.shape
    columns = source.shape[1] // channels
    result = np.empty((channels, height, columns), np.uint8)
    sums = np.empty(source.shape[1], np.int32)
    for i in range(height):
        sums[:] = 1 << (BITS - 1)
        for t in range(taps):
            weight = weights[i, t]
            if weight != 0:
                line = source[first[i] - top + t]
                for k in range(len(sums)):
                    sums[k] += weight * np.int32(line[k])
        for c in range(channels):
            for x in range(columns):
                result[c, i, x] = min(max(sums[x * channels + c] >> BITS, 0), 255)
    return result
