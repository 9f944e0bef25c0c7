"""Time the choice of C and the last fit beside scikit-learn's on the same data, and compare the objectives reached.

    python benchmarks/logistic_regression.py
    python benchmarks/logistic_regression.py --size 50000,768,100 --tol 1e-4 --every 15

The data are drawn: class means plus noise under a falling spectrum, turned at random and standardised, which has the
ill condition of a backbone's features. Ours is what the protocol does: the path of 45 optima, and one C fitted again.
scikit-learn runs lbfgs on every `--every`-th C, from nothing at its default tol of 1e-4, and from each optimum to the
next (warm_start) at any other; its time is scaled up to the 45 and one.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Iterator

import numpy as np
import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from ssl_bench.machine import keep_freed_memory
from ssl_bench.solvers import logistic

GRID = 10 ** np.linspace(-6, 5, 45)


def draw(samples: int, dim: int, classes: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features (samples, dim), float32, and labels; `spread` is the size of the class means to the noise."""
    generator = np.random.default_rng(seed)
    spectrum = np.arange(1, dim + 1) ** -0.7
    labels = np.concatenate([np.arange(classes), generator.integers(0, classes, samples - classes)])
    features = spread * generator.normal(size=(classes, dim))[labels] + generator.normal(size=(samples, dim))
    features = features * spectrum @ np.linalg.qr(generator.normal(size=(dim, dim)))[0]
    return ((features - features.mean(0)) / features.std(0)).astype(np.float32), labels


def theirs(x: np.ndarray, y: np.ndarray, tol: float, every: int) -> tuple[float, list[float]]:
    """Return scikit-learn's seconds, scaled to the whole grid and one more, and the objectives that it reaches."""
    model = LogisticRegression(tol=tol, max_iter=1000, warm_start=tol != 1e-4)
    wide, objectives = x.astype(np.float64), []
    start, spent = time.perf_counter(), 0.0
    for c in GRID[::every]:
        model.set_params(C=c)
        start = time.perf_counter()
        model.fit(x if tol == 1e-4 else wide, y)
        spent += time.perf_counter() - start
        objectives.append(_objective(model.coef_.T, model.intercept_, wide, y, c))
    return spent * (len(GRID) + 1) / len(objectives), objectives


def _objective(weights: np.ndarray, intercepts: np.ndarray, x: np.ndarray, y: np.ndarray, c: float) -> float:
    logits = x @ weights + intercepts
    top = logits.max(axis=1)
    losses = top + np.log(np.exp(logits - top[:, None]).sum(axis=1)) - logits[np.arange(len(y)), y]
    return float(0.5 * np.square(weights).sum() + c * losses.sum())


def compare(size: str, spread: float, tols: list[float], every: int) -> Iterator[str]:
    """Yield one line of the table for each of scikit-learn's `tols`."""
    x, y = draw(*map(int, size.split(",")), spread)
    start = time.perf_counter()
    fits = list(logistic.path(x, y, GRID, tolerance=logistic.CHOOSING))
    last = next(logistic.path(x, y, GRID[22:23], near=fits[22]))
    ours = time.perf_counter() - start
    converged = sum(fit.converged for fit in [*fits, last])
    reached = [_objective(fit.weights, fit.intercepts, x.astype(np.float64), y, fit.c) for fit in fits[::every]]
    for tol in tols:
        peer, objectives = theirs(x, y, tol, every)
        excess = [peers / own - 1 for peers, own in zip(objectives, reached, strict=True)]
        yield (
            f"{size:>14} {spread:7.2f} {ours:8.2f} s {tol:6.0e} {peer:9.2f} s {peer / ours:7.1f}x {converged:6d}/46 "
            f"{min(excess):+12.1e} {max(excess):+10.1e}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", action="append", help="samples,dim,classes (classes: 3 or more); repeatable")
    parser.add_argument("--spread", type=float, default=0.5, help="size of the class means relative to the noise")
    parser.add_argument("--tol", type=float, action="append", help="scikit-learn's tol; repeatable")
    parser.add_argument("--every", type=int, default=4, help="scikit-learn runs every n-th C of the 45")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    print(f"# {_processor()}, {options.threads} threads; Python {platform.python_version()}, torch {torch.__version__}")
    print(f"# load average {os.getloadavg()[0]:.1f}; scikit-learn {sklearn.__version__} lbfgs, max_iter 1000,")
    print(f"# every {options.every}th of 45 C, its time scaled to 46 fits")
    print("# excess: its objective / ours − 1, the least and the most over those C")
    print(
        f"{'n,dim,classes':>14} {'spread':>7} {'ours':>10} {'tol':>6} {'sklearn':>11} {'ratio':>8} {'converged':>9} "
        f"{'excess':>16}"
    )
    with warnings.catch_warnings(), threadpool_limits(options.threads):
        warnings.simplefilter("ignore")  # that lbfgs stops early is in the excess
        list(compare("200,16,3", options.spread, [1e-4], 45))  # libraries start their threads on first use
        for size in options.size or ["1000,768,10", "1000,768,100", "1000,768,400", "50000,64,10"]:
            for line in compare(size, options.spread, options.tol or [1e-4, 1e-6], options.every):
                print(line, flush=True)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii") as lines:  # noqa: PTH123
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
