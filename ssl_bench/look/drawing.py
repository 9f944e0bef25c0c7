"""Targets as pictures, and a network's maps as colours. Pictures are uint8 (height, width, 3)."""

from __future__ import annotations

import colorsys
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.targets import VOID, Directions, Distances, Mask, Objects, Target

Picture = NDArray[np.uint8]
WRONG, RIGHT = (222, 45, 38), (49, 163, 84)
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
    if isinstance(target, Mask):
        return colours()[target.labels]
    if isinstance(target, Distances):
        known = target.metres > 0
        far = float(np.quantile(target.metres[known], 0.98)) if known.any() else 1.0
        return _ramp(1 - target.metres / far, known)
    if isinstance(target, Directions):
        known = np.abs(target.normals).sum(axis=2, keepdims=True) > 0
        return np.where(known, np.round((target.normals + 1) * 127.5), 0).astype(np.uint8)
    return _boxes(target, image)


def mistaken(true: Target, said: Target, image: Picture) -> Picture | None:
    """Return where two things that are said of one image differ, as a picture; None for objects, which show it."""
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
    return None


def _ramp(values: NDArray[Any], known: NDArray[np.bool_]) -> Picture:
    """Return values (height, width) from 0 to 1 in the colours of `RAMP`, and black where nothing is known."""
    places = np.linspace(0, 1, len(RAMP))
    shown = np.stack([np.interp(values, places, channel) for channel in np.transpose(RAMP)], axis=2)
    return np.where(known[:, :, None], np.round(shown), 0).astype(np.uint8)


def _boxes(objects: Objects, image: Picture) -> Picture:
    """Return an image with the boxes of its objects in the colours of their classes; crowds and difficult ones thin."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    width = max(1, round(max(image.shape) / 160))
    for number, (left, top, right, bottom) in enumerate(objects.boxes.tolist()):
        thin = bool(objects.crowd[number] or objects.difficult[number])
        colour = tuple(colours()[int(objects.labels[number])].tolist())
        pen.rectangle(
            (left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=1 if thin else width
        )
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
