from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np

from ssl_bench.datasets import digits


def test_pixels_and_labels() -> None:
    """The digits are scikit-learn's, scaled from 0 … 16 to 0 … 255 by rounding, halves upward."""
    from sklearn.datasets import load_digits

    theirs = load_digits()
    for split in digits.load({}, Path()).values():
        wanted = np.floor(theirs.images[split.rows] * 255 / 16 + 0.5).astype(np.uint8)
        np.testing.assert_array_equal(np.stack([split.read(i) for i in range(len(split))]), wanted)
        np.testing.assert_array_equal(split.labels, theirs.target[split.rows])


def test_split() -> None:
    """Test has 36 and val 18 of each class, train the rest, and every digit is in exactly one of them."""
    splits = digits.load({}, Path())
    assert {name: len(split) for name, split in splits.items()} == {"train": 1257, "val": 180, "test": 360}
    assert np.bincount(splits["test"].labels).tolist() == [36] * 10
    assert np.bincount(splits["val"].labels).tolist() == [18] * 10
    rows = np.concatenate([split.rows for split in splits.values()])
    assert sorted(rows.tolist()) == list(range(1797))


def test_split_never_moves() -> None:
    """The split is the same on every machine and under every version of NumPy."""
    rows = ",".join(digits.load({}, Path())["test"].ids)
    assert (
        hashlib.sha256(rows.encode()).hexdigest() == "8f58ced2743d0be494d4975caf71401eed2f34174d2125eec31835d60e02ef62"
    )


def test_locate_is_light() -> None:
    """Finding the file imports neither scikit-learn nor torch."""
    code = (
        "import sys; from pathlib import Path; from ssl_bench.datasets import digits; digits.locate({}, Path());"
        "print(sorted({'sklearn', 'torch', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
