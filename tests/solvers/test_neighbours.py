"""The exact search for neighbours: one order, whatever the blocks, the bank and the precision of the scan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ssl_bench.errors import UsageError
from ssl_bench.solvers import neighbours
from ssl_bench.solvers.neighbours import Distance, nearest

DISTANCES: tuple[Distance, ...] = ("cosine", "euclidean")


def similarity(bank: np.ndarray, queries: np.ndarray, distance: Distance) -> np.ndarray:
    bank, queries = bank.astype(np.float64), queries.astype(np.float64)
    if distance == "euclidean":
        return -0.5 * np.square(queries[:, None, :] - bank[None]).sum(axis=2)
    return (queries / np.linalg.norm(queries, axis=1)[:, None]) @ (bank / np.linalg.norm(bank, axis=1)[:, None]).T


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, np.ndarray]:
    x = load_digits().data.astype(np.float32)
    return x[:1500], x[1500:]


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("k", [1, 7, 200, 1500])
def test_the_formula(k: int, distance: Distance, arrays: tuple[np.ndarray, np.ndarray]) -> None:
    """Similarities are those of float64 NumPy, falling, and each is that of its index."""
    bank, queries = arrays
    found = nearest(bank, queries, k, distance=distance)
    exact = similarity(bank, queries, distance)
    np.testing.assert_allclose(found.similarities, -np.sort(-exact, axis=1)[:, :k], rtol=0, atol=1e-7)
    np.testing.assert_allclose(found.similarities, np.take_along_axis(exact, found.indices, 1), rtol=0, atol=1e-7)
    assert (np.diff(found.similarities, axis=1) <= 0).all()


@pytest.mark.parametrize("distance", DISTANCES)
def test_blocks_do_not_matter(distance: Distance, arrays: tuple[np.ndarray, np.ndarray]) -> None:
    """Blocks of any size, and queries one at a time, give the same neighbours in the same order."""
    bank, queries = np.vstack([arrays[0]] * 3), arrays[1]
    whole = nearest(bank, queries, 5, distance=distance)
    cut = nearest(bank, queries, 5, distance=distance, block_bytes=1 << 16)
    single = [nearest(bank, queries[i : i + 1], 5, distance=distance).indices[0] for i in range(20)]
    np.testing.assert_array_equal(whole.indices, cut.indices)
    np.testing.assert_array_equal(whole.similarities, cut.similarities)
    np.testing.assert_array_equal(whole.indices[:20], single)


@pytest.mark.parametrize("distance", DISTANCES)
def test_both_ways_agree(
    distance: Distance, arrays: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scan in few digits with its finish finds what the search in float64 finds."""
    scanned = nearest(*arrays, 5, distance=distance)
    monkeypatch.setattr(neighbours, "GROUPS", 10**6)
    whole = nearest(*arrays, 5, distance=distance)
    np.testing.assert_array_equal(scanned.indices, whole.indices)
    np.testing.assert_array_equal(scanned.similarities, whole.similarities)


@pytest.mark.parametrize("quick", [True, False])
def test_a_scan_in_bfloat16_or_float32(
    quick: bool, arrays: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor that multiplies bfloat16 and one that does not find the same neighbours."""
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: quick, raising=False)
    scanned = nearest(*arrays, 9)
    monkeypatch.setattr(neighbours, "GROUPS", 10**6)
    whole = nearest(*arrays, 9)
    np.testing.assert_array_equal(scanned.indices, whole.indices)
    np.testing.assert_array_equal(scanned.similarities, whole.similarities)


@pytest.mark.parametrize("distance", DISTANCES)
def test_differences_below_float32(distance: Distance) -> None:
    """Where hundreds of vectors differ by less than a float32 product can tell, the nearest is still found."""
    generator = np.random.default_rng(0)
    base = generator.normal(size=64)
    bank = (base + 1e-4 * generator.normal(size=(3000, 64))).astype(np.float32)
    queries = bank[::100] + np.float32(1e-6)
    found = nearest(bank, queries, 10, distance=distance)
    exact = similarity(bank, queries, distance)
    assert np.abs(np.take_along_axis(exact, found.indices, 1) + np.sort(-exact, axis=1)[:, :10]).max() < 1e-10 * 64
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(0, 3000, 100))


def test_copies_by_index(arrays: tuple[np.ndarray, np.ndarray]) -> None:
    """Copies of one vector are neighbours in the order of the bank, however many of them crowd the candidates."""
    bank = np.repeat(arrays[0][:20], 100, axis=0)
    found = nearest(bank, arrays[0][:20], 30)
    expected = np.arange(20)[:, None] * 100 + np.arange(30)
    np.testing.assert_array_equal(found.indices, expected)


def test_parity_with_faiss(arrays: tuple[np.ndarray, np.ndarray]) -> None:
    """Where distances differ, neighbours are those of faiss's exact index."""
    import faiss

    index = faiss.IndexFlatL2(64)
    index.add(arrays[0])
    distances, indices = index.search(arrays[1], 6)
    clear = (np.diff(distances, axis=1) > 0).all(axis=1)
    assert clear.mean() > 0.8
    found = nearest(*arrays, 5, distance="euclidean")
    np.testing.assert_array_equal(found.indices[clear], indices[clear, :5])


@pytest.mark.parametrize("distance", DISTANCES)
def test_any_float_type(distance: Distance, arrays: tuple[np.ndarray, np.ndarray]) -> None:
    """A float16 bank has the neighbours of the same numbers in float32 and float64, wherever its parts are cut."""
    bank, queries = (part.astype(np.float16) for part in arrays)
    found = nearest(bank, queries, 9, distance=distance, block_bytes=1 << 18)
    for kind in (np.float32, np.float64):
        other = nearest(bank.astype(kind), queries.astype(kind), 9, distance=distance)
        np.testing.assert_array_equal(found.indices, other.indices)
        np.testing.assert_array_equal(found.similarities, other.similarities)


def test_far_from_the_origin(arrays: tuple[np.ndarray, np.ndarray]) -> None:
    """Where all cosines are within 1e-4 of each other, so that few digits tell none apart, neighbours are exact."""
    bank, queries = arrays[0] + np.float32(1e4), arrays[1] + np.float32(1e4)
    found = nearest(bank, queries, 5)
    exact = similarity(bank, queries, "cosine")
    kth = -np.sort(-exact, axis=1)[:, :5]
    np.testing.assert_allclose(np.take_along_axis(exact, found.indices, 1), kth, rtol=0, atol=2e-11)


@pytest.mark.skipif(sys.platform != "linux", reason="reads and limits memory as Linux does")
def test_memory_is_bounded(tmp_path: Path) -> None:
    """A memory-mapped float16 bank of 102 MB is searched in the 13 MB that the docstring's formula says, twice over."""
    code = f"""
import re, resource
import numpy as np, torch
from pathlib import Path
from ssl_bench.solvers.neighbours import nearest
torch.set_num_threads(1)
bank = np.memmap({str(tmp_path / "bank")!r}, np.float16, "w+", shape=(400_000, 128))
for start in range(0, len(bank), 10_000):
    bank[start : start + 10_000] = np.random.default_rng(start).normal(size=(10_000, 128))
queries = np.array(bank[::4000])
nearest(bank[:50_000], queries, 20, block_bytes=1 << 23)
held = int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (held + 2 * (3 * (1 << 22) + 32 * 100 * 20), -1))
assert (nearest(bank, queries, 20, block_bytes=1 << 23).indices[:, 0] == np.arange(0, len(bank), 4000)).all()
try:
    np.ones((400_000, 128), np.float32)
except MemoryError:
    print("BOUNDED")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "BOUNDED" in done.stdout, done.stderr[-800:]


def test_zero_vectors() -> None:
    """The zero vector has the cosine 0 with every vector, itself among them."""
    found = nearest(np.array([[1, 0], [0, 0], [-1, 0]], np.float32), np.array([[1, 0], [0, 0]], np.float32), 3)
    assert found.similarities.tolist() == [[1, 0, -1], [0, 0, 0]]
    assert found.indices.tolist() == [[0, 1, 2], [0, 1, 2]]
    found = nearest(np.zeros((2, 2), np.float32), np.zeros((1, 2), np.float32), 2, distance="euclidean")
    assert found.similarities.tolist() == [[0, 0]]


@pytest.mark.parametrize("k", [0, 4])
def test_k_out_of_range(k: int) -> None:
    """k below 1 or above the bank is refused."""
    with pytest.raises(UsageError, match="the bank holds 3"):
        nearest(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), k)
