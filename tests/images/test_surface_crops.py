"""Crops of images together with the distances and normals of their pixels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ssl_bench.images.surfaces import SurfaceAugmentation, cropped, mirrored, recoloured, turned

PLAIN = SurfaceAugmentation((6, 8), turn=0, flip=0, recolour=0)


def pair(size: tuple[int, int] = (10, 12)) -> tuple[np.ndarray, np.ndarray]:
    """An image whose red tells a pixel's number, and distances that are this number."""
    numbers = np.arange(size[0] * size[1]).reshape(size)
    return np.stack([numbers, numbers * 0, numbers * 0 + 200], axis=2).astype(np.uint8), numbers.astype(np.float32)


@pytest.mark.parametrize("flip", [0, 1])
def test_the_same_part_is_cut(flip: int) -> None:
    """Image and distances show the same pixels, mirrored together, and every place is drawn."""
    seen = set()
    for seed in range(200):
        shown, known = cropped(*pair(), dataclasses.replace(PLAIN, flip=flip), np.random.default_rng(seed))
        assert shown.shape == (3, 6, 8)
        np.testing.assert_array_equal(shown[0], known)
        assert (np.diff(known, axis=1) == (-1 if flip else 1)).all()
        seen.add(float(known.min()))
    assert len(seen) == 25


def test_small_images() -> None:
    """An image that is smaller than the crop is whole; so is a grey one."""
    image, known = pair((4, 20))
    shown, distances = cropped(image, known, PLAIN, np.random.default_rng(0))
    assert shown.shape == (3, 4, 8)
    assert distances.shape == (4, 8)
    assert cropped(image[..., 0], known, PLAIN, np.random.default_rng(0))[0].shape == (1, 4, 8)


def test_mirrored_normals_point_the_other_way() -> None:
    """Across alone: what points to the left points to the right."""
    normals = np.zeros((1, 2, 3), np.float32)
    normals[0, 0] = [0.6, 0.0, 0.8]
    normals[0, 1] = [0.0, -1.0, 0.0]
    _, known = mirrored(np.zeros((1, 2, 3), np.uint8), normals)
    np.testing.assert_allclose(known[0], [[0, -1, 0], [-0.6, 0, 0.8]])


def test_turned() -> None:
    """A quarter turn is NumPy's; what comes in from outside is unknown; distances are never mixed."""
    image, known = pair((9, 9))
    shown, distances = turned(image, known, 90)
    np.testing.assert_array_equal(distances, np.rot90(known))
    np.testing.assert_array_equal(shown, np.rot90(image))
    _, distances = turned(image, known + 1, 20)
    assert distances[0, 0] == 0
    assert set(distances.ravel().tolist()) <= {0.0, *(known + 1).ravel().tolist()}


def test_half_of_the_images_are_turned() -> None:
    """Every second image is turned, by up to 2.5 degrees."""
    image = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    how, known = dataclasses.replace(PLAIN, crop=(60, 80), turn=2.5), np.ones((60, 80), np.float32)
    shown = (cropped(image, known, how, np.random.default_rng(seed))[0][0] for seed in range(200))
    assert 75 < sum((one != image).any() for one in shown) < 125


def test_recoloured() -> None:
    """Without any change pixels stay; brightness is a factor, and pixels end at 255."""
    image = np.array([[[10, 100, 250]]], np.uint8)
    same = SurfaceAugmentation(gamma=0, brightness=0, balance=0)
    np.testing.assert_array_equal(recoloured(image, same, np.random.default_rng(0)), image)
    drawn = np.random.default_rng(0)
    drawn.uniform(1, 1)  # the exponent
    factor = drawn.uniform(0.5, 1.5)
    found = recoloured(image, dataclasses.replace(same, brightness=0.5), np.random.default_rng(0))
    np.testing.assert_array_equal(found, np.clip(np.floor(image * factor + 0.5), 0, 255).astype(np.uint8))
