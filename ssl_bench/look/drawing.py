"""Targets as pictures, and a network's maps as colours. Pictures are uint8 (height, width, 3)."""

from __future__ import annotations

import colorsys
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.targets import VOID, Directions, Distances, Frame, Landmarks, Mask, Objects, Target, outlines

Picture = NDArray[np.uint8]
WRONG, RIGHT, FALSE = (222, 45, 38), (49, 163, 84), (255, 210, 0)
RAMP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""From little to much: five colours of viridis (matplotlib)."""
RELATIVE = 0.5
"""Error of a distance, by the distance, that is drawn as much."""
DEGREES = 60.0
"""Error of a direction that is drawn as much."""


@functools.cache
def colours() -> Picture:
    """Return a colour for every label (256, 3): hues a golden angle apart, so that neighbouring labels differ,
    light and dark in turn; what counts for no class is nearly white."""
    shades = ((0.65, 0.85), (0.9, 0.6), (0.4, 0.95), (0.8, 0.4))
    found = [colorsys.hsv_to_rgb((0.58 + 0.381966 * label) % 1, *shades[label % 4]) for label in range(VOID)]
    return np.array([*(255 * np.array(found)).round(), (236, 236, 228)], dtype=np.uint8)


def drawn(target: Target, image: Picture) -> Picture:
    """Return what is true, or said, of an image's parts as a picture."""
    if isinstance(target, Mask | Frame):
        return colours()[target.labels]
    if isinstance(target, Distances):
        known = target.metres > 0
        far = float(np.quantile(target.metres[known], 0.98)) if known.any() else 1.0
        return _ramp(1 - target.metres / far, known)
    if isinstance(target, Directions):
        known = np.abs(target.normals).sum(axis=2, keepdims=True) > 0
        return np.where(known, np.round((target.normals + 1) * 127.5), 0).astype(np.uint8)
    if isinstance(target, Landmarks):
        return _dots(target, image)
    return _objects(target, image)


def mistaken(true: Target, said: Target, image: Picture) -> Picture | None:
    """Return where what is said of an image differs from the truth, as a picture; None where it cannot be drawn.

    Of objects true ones that were found are green, missed ones red, and found ones that are not there yellow.
    """
    if isinstance(true, Mask) and isinstance(said, Mask):
        grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
        wrong = (true.labels != said.labels) & (true.labels != VOID)
        shown = np.where(wrong[:, :, None], 0.3 * grey + 0.7 * np.array(WRONG), 0.8 * grey)
        return np.where((true.labels == VOID)[:, :, None], 255 - 0.2 * (255 - grey), shown).astype(np.uint8)
    if isinstance(true, Distances) and isinstance(said, Distances):
        known = true.metres > 0
        error = np.abs(said.metres - true.metres) / np.where(known, true.metres, 1)
        return _ramp(error / RELATIVE, known)
    if isinstance(true, Directions) and isinstance(said, Directions):
        known = np.abs(true.normals).sum(axis=2) > 0
        cosine = (true.normals * said.normals).sum(axis=2).clip(-1, 1)
        return _ramp(np.degrees(np.arccos(cosine)) / DEGREES, known)
    if isinstance(true, Objects) and isinstance(said, Objects):
        return _found(true, said, image)
    return None


def _ramp(values: NDArray[Any], known: NDArray[np.bool_]) -> Picture:
    """Return values (height, width) from 0 to 1 in the colours of `RAMP`, and black where nothing is known."""
    places = np.linspace(0, 1, len(RAMP))
    shown = np.stack([np.interp(values, places, channel) for channel in np.transpose(RAMP)], axis=2)
    return np.where(known[:, :, None], np.round(shown), 0).astype(np.uint8)


def _objects(objects: Objects, image: Picture) -> Picture:
    """Return an image with its objects in the colours of their classes: their pixels, where there are outlines, and
    their boxes; those of crowds and difficult ones are thin."""
    shown = image.astype(np.float64)
    shades = colours()[objects.labels % VOID]
    for outline, shade in zip(objects.outlines, shades, strict=False):
        inside = outlines.decode(outline, objects.size)
        shown[inside] = 0.5 * shown[inside] + 0.5 * shade
    return _boxes(shown.astype(np.uint8), objects.boxes, shades.tolist(), thin=objects.crowd | objects.difficult)


def _found(true: Objects, said: Objects, image: Picture) -> Picture:
    """Return an image with true and found boxes; a found one is right where it is of the class of a true one, shares
    half of what both cover with it, and is the first to do so."""
    left: set[int] = set(range(len(true.boxes)))
    false = []
    for number, box in enumerate(said.boxes):
        fits = [
            i for i in sorted(left) if true.labels[i] == said.labels[number] and _overlap(true.boxes[i], box) >= 0.5
        ]
        best = max(fits, key=lambda i: _overlap(true.boxes[i], box), default=None)
        false += [number] if best is None else []
        left -= {best} if best is not None else set()
    shades = [WRONG if number in left else RIGHT for number in range(len(true.boxes))]
    boxes = np.concatenate([true.boxes, said.boxes[false]])
    return _boxes(image, boxes, [*shades, *[FALSE] * len(false)], thin=np.arange(len(boxes)) >= len(true.boxes))


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return what two boxes share by what both cover."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(sides.prod()) if (sides > 0).all() else 0.0
    return shared / (float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod()) - shared)


def _boxes(image: Picture, boxes: NDArray[np.float64], shades: Sequence[Any], thin: NDArray[np.bool_]) -> Picture:
    """Return an image with boxes (boxes, 4) in these colours."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    wide = max(1, round(max(image.shape) / 160))
    for (left, top, right, bottom), shade, narrow in zip(boxes.tolist(), shades, thin.tolist(), strict=True):
        corners = (left, top, max(left, right - 1), max(top, bottom - 1))
        pen.rectangle(corners, outline=tuple(shade), width=1 if narrow else wide)
    return np.asarray(picture)


def _dots(landmarks: Landmarks, image: Picture) -> Picture:
    """Return an image with its landmarks, each name in a colour of its own, and the box of their object."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(_boxes(image, landmarks.box[None], [RIGHT], thin=np.ones(1, dtype=np.bool_)))
    pen, radius = ImageDraw.Draw(picture), max(image.shape) / 80
    for (x, y), name in zip(landmarks.places.tolist(), landmarks.names.tolist(), strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(colours()[name % VOID].tolist()))
    return np.asarray(picture)


def as_colours(maps: Sequence[NDArray[np.floating[Any]]]) -> list[Picture]:
    """Return a network's maps of several images, (dim, rows, columns) each, as pictures of (rows, columns).

    Red, green and blue are the first three principal components of all places of all images together, from their
    first to their 99th percentile: places of one colour are alike to the network, in one image and across images.
    """
    dim = len(maps[0])
    places = np.concatenate([one.reshape(dim, -1).T for one in maps]).astype(np.float64)
    centred = places - places.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :3]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])  # an axis has no direction
    values = np.pad(centred @ axes, ((0, 0), (0, 3 - axes.shape[1])))
    low, high = np.quantile(values, [0.01, 0.99], axis=0)
    shown = np.round(255 * ((values - low) / np.where(high > low, high - low, 1)).clip(0, 1)).astype(np.uint8)
    ends = np.cumsum([one.shape[1] * one.shape[2] for one in maps])[:-1]
    return [part.reshape(*one.shape[1:], 3) for part, one in zip(np.split(shown, ends), maps, strict=True)]
