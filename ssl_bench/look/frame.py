"""What all pages share: their head and style, and pictures inside them."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.images import InputSpec
from ssl_bench.tasks import TaskCard

SIDE = 112
"""Pixels of a shown image's longer side."""
LARGE = 8_000
"""Bytes of a PNG, such as of a photograph, from which on a JPEG is shown instead."""
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1b1b1f;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}table{border-collapse:collapse}
td,th{padding:.1rem .8rem .1rem 0;text-align:left;font-variant-numeric:tabular-nums}.n{text-align:right}
.sheet{display:flex;flex-wrap:wrap;gap:.6rem}
figure{margin:0;width:112px}
figcaption{font-size:.75rem;overflow-wrap:anywhere}
img{width:112px;height:112px;object-fit:contain;image-rendering:pixelated;background:#8882}
.parts figure{width:15rem;flex:0 1 15rem}.parts img{width:100%;height:auto;image-rendering:auto}
.parts .exact{image-rendering:pixelated}
.colour{display:inline-block;width:.9rem;height:.9rem;border-radius:.2rem;vertical-align:-.1rem}
.bar{display:inline-block;height:.7rem;background:#3867d6;vertical-align:middle}
.row{display:flex;gap:.6rem;margin:.4rem 0;align-items:flex-start}.wrong figcaption{color:#b3261e}
@media(prefers-color-scheme:dark){body{color:#e6e6ea;background:#17181c}.wrong figcaption{color:#ff8a80}}
"""
HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
    "style-src 'unsafe-inline'\">"
)


def framed(card: TaskCard, parts: Sequence[str]) -> str:
    """Return a task's page of these parts."""
    head = f"{HEAD}<title>{html.escape(card.title)}</title><style>{STYLE}</style>"
    title = f"<h1>{html.escape(card.title)}</h1><p>{html.escape(' '.join(card.note.split()))}</p>"
    return "\n".join([head, title, *parts]) + "\n</html>\n"


def said_of(spec: InputSpec) -> str:
    """Return what a model does to images, in words."""
    size = f"{spec.size[0]} x {spec.size[1]} pixels"
    short = f"short side {spec.resize_to or min(spec.size)}, centre cropped"
    how = {"short": short, "squash": "squashed", "none": "unresized"}[spec.resize]
    return f"{size}, {how}, {spec.interpolation}, {spec.channels}"


def data_url(pixels: NDArray[np.uint8], side: int = SIDE, exact: bool = False) -> str:
    """Return pixels (height, width) or (height, width, 3) as a small image in a `data:` address: as PNG, or as JPEG
    where that is a large file. `exact` keeps colours that mean something: a PNG, of which no two pixels are mixed."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.NEAREST if exact else Image.Resampling.BICUBIC)
    kind, content = "png", _saved(image, "png")
    if len(content) > LARGE and not exact:
        kind, content = "jpeg", _saved(image, "jpeg")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _saved(image: Any, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()
