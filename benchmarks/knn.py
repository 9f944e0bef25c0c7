"""Time our exact neighbour search beside scikit-learn's and faiss's on the same data, and compare what they find.

    python benchmarks/knn.py
    python benchmarks/knn.py --size 60000,10000,784 --k 20

Vectors are drawn and have length 1. Ours orders neighbours by float64 similarity; faiss and scikit-learn (which is
given float32) by float32. Searches take turns, and of each the quickest of `--repeats` counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

import faiss
import numpy as np
import sklearn
import torch
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from ssl_bench.solvers.neighbours import nearest


def draw(samples: int, dim: int, seed: int) -> np.ndarray:
    """Return unit vectors (samples, dim), float32, with a falling spectrum."""
    x = np.random.default_rng(seed).normal(size=(samples, dim)).astype(np.float32) * np.arange(1, dim + 1) ** -0.5
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def ours(bank: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    return nearest(bank, queries, k).indices


def by_faiss(bank: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    index = faiss.IndexFlatIP(bank.shape[1])
    index.add(bank)
    return np.asarray(index.search(queries, k)[1])


def by_scikit_learn(bank: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    return np.asarray(NearestNeighbors(n_neighbors=k, algorithm="brute").fit(bank).kneighbors(queries)[1])


def compare(size: str, k: int, repeats: int) -> str:
    """Return one line of the table."""
    samples, asked, dim = map(int, size.split(","))
    bank, queries = draw(samples, dim, 0), draw(asked, dim, 1)
    seconds, found = [float("inf")] * 3, [np.empty(0)] * 3
    for _ in range(repeats):
        for place, search in enumerate((ours, by_faiss, by_scikit_learn)):
            start = time.perf_counter()
            found[place] = search(bank, queries, k)
            seconds[place] = min(seconds[place], time.perf_counter() - start)
    same = [float((found[0] == other).all(axis=1).mean()) for other in found[1:]]
    return (
        f"{size:>18} {k:4d} {seconds[0]:8.2f} s {seconds[1]:8.2f} s {seconds[1] / seconds[0]:5.2f}x {same[0]:7.2%} "
        f"{seconds[2]:8.2f} s {seconds[2] / seconds[0]:5.2f}x {same[1]:7.2%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", action="append", help="bank,queries,dim; repeatable")
    parser.add_argument("--k", type=int, action="append", help="neighbours; repeatable")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    faiss.omp_set_num_threads(options.threads)
    print(f"# {_processor()}, {options.threads} threads; Python {platform.python_version()}, torch {torch.__version__}")
    print(f"# faiss {faiss.__version__} IndexFlatIP; scikit-learn {sklearn.__version__} brute; x: its time / ours;")
    print(f"# same: share of queries with the same neighbours in the same order; load average {os.getloadavg()[0]:.1f}")
    head = (
        f"{'bank,queries,dim':>18} {'k':>4} {'ours':>10} {'faiss':>10} {'x':>6} {'same':>7} {'sklearn':>10} {'x':>6} "
    )
    print(head + f"{'same':>7}")
    compare("5000,500,64", 20, 1)  # libraries start their threads on first use
    with threadpool_limits(options.threads):
        for size in options.size or ["1000,10000,768", "5000,5000,384", "50000,5000,64", "50000,10000,768"]:
            for k in options.k or [20, 200]:
                print(compare(size, k, options.repeats), flush=True)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii") as lines:  # noqa: PTH123
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
