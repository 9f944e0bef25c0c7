"""A transform of torchvision, timm or open_clip, read as what our own pixels are made by; nothing of it is executed.

What cannot be read is refused: a transform that is not understood would be measured as another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ssl_bench import cards
from ssl_bench.errors import UsageError
from ssl_bench.images import InputCard

SILENT = ("ToTensor", "MaybeToTensor", "PILToTensor", "ToImage", "ConvertImageDtype", "ToDtype", "_convert_to_rgb")
"""Steps that change no value: pixels are RGB, scaled to 0..1, in any case."""


def read(transform: Any) -> InputCard:
    """Return what a transform does with an image; raise UsageError naming the step that cannot be told."""
    said: dict[str, Any] = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
    for step in _steps(transform):
        name = getattr(step, "__name__", type(step).__name__)
        if name == "ImageClassification":
            said |= _resized(step.resize_size, step.interpolation, step) | _cropped(step.crop_size)
            said |= {"mean": step.mean, "std": step.std}
        elif name == "Resize" and "size" not in said and "resize_to" not in said:
            said |= _resized(step.size, step.interpolation, step)
        elif name == "CenterCrop" and (said.get("resize") != "squash" or said["size"] == _pair(step.size)):
            said |= _cropped(step.size)
        elif name == "Normalize":
            said |= {"mean": step.mean, "std": step.std}
        elif name == "Grayscale" and step.num_output_channels == 1 and "resize" not in said:
            said |= {"channels": "grey", "mean": [0.0], "std": [1.0]}
        elif name not in SILENT:
            raise UsageError(
                f"preprocess: the step {name} cannot be read here; state the input instead: size=…,resize=…"
            )
    if "size" not in said:
        raise UsageError("preprocess: the transform leaves images of many sizes; add a CenterCrop, or resize to (h, w)")
    if said.get("resize") == "short" and max(said["size"]) > said["resize_to"]:
        raise UsageError(
            f"preprocess: a crop to {said['size']} after a resize to {said['resize_to']} fills up with black"
        )
    said |= {"resize": said.get("resize", "none"), "resize_to": said.get("resize_to", 0)}
    said |= {key: [float(value) for value in said[key]] for key in ("mean", "std")}
    return cards.from_table(InputCard, said, "preprocess")


def _steps(transform: Any) -> Iterator[Any]:
    """Give the steps of a composition, and of those inside it."""
    for step in getattr(transform, "transforms", [transform]):
        yield from _steps(step) if hasattr(step, "transforms") else [step]


def _resized(size: Any, interpolation: Any, step: Any) -> dict[str, Any]:
    """Return a resize: of the short side for one number, to a size for two."""
    if getattr(step, "max_size", None) is not None:
        raise UsageError("preprocess: a Resize with max_size cannot be read here")
    how = {"interpolation": getattr(interpolation, "value", interpolation)}
    lengths = [size] if isinstance(size, int) else list(size)
    if len(lengths) == 1:
        return how | {"resize": "short", "resize_to": lengths[0]}
    return how | {"resize": "squash", "size": lengths}


def _cropped(size: Any) -> dict[str, Any]:
    return {"size": _pair(size)}


def _pair(size: Any) -> list[int]:
    """Return height and width of a size that may be one number, or one number in a list."""
    lengths = [size] if isinstance(size, int) else list(size)
    return lengths * 2 if len(lengths) == 1 else lengths
