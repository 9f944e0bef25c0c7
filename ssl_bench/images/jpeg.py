"""JPEG files by simplejpeg, which lets other threads run while it decodes, wherever it gives what Pillow gives.

Both call libjpeg-turbo. simplejpeg is optional (the extra `fast`), and what it would only warn of is left to Pillow.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 2**26
"""Pixels; above about this many Pillow warns of a bomb, and refuses from twice as many."""
SAMPLINGS = ("444", "422", "420", "440", "Gray")


def decoded(raw: bytes, grey: bool) -> NDArray[np.uint8] | None:
    """Return uint8 (height, width) if `grey`, else (height, width, 3), as Pillow's convert to "L" or "RGB" gives it.

    None: leave it to Pillow, since it is no JPEG file of the common kind, or not a whole one.
    """
    if raw[:3] != b"\xff\xd8\xff" or not agrees():
        return None
    import simplejpeg

    try:
        height, width, colours, sampling = simplejpeg.decode_jpeg_header(raw)
        if height * width > LARGEST or sampling not in SAMPLINGS or colours != ("Gray" if grey else "YCbCr"):
            return None
        array: NDArray[np.uint8] = simplejpeg.decode_jpeg(raw, "GRAY" if grey else "RGB", strict=True)
    except ValueError:
        return None
    return array[:, :, 0] if grey else array


@functools.cache
def agrees() -> bool:
    """True where simplejpeg is installed and gives the installed Pillow's pixels, which may rest on another library."""
    try:
        import simplejpeg
    except ImportError:
        return False
    from PIL import Image

    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (47, 61, 3), dtype=np.uint8))
    for sampling in (0, 1, 2):
        file = io.BytesIO()
        noise.save(file, "jpeg", subsampling=sampling, progressive=sampling == 1)
        if not np.array_equal(simplejpeg.decode_jpeg(file.getvalue()), np.asarray(Image.open(file))):
            return False
    return True
