"""Time our path of 45 optima beside scikit-learn's on the same data, and compare the objectives reached.

    python benchmarks/logistic_regression.py
    python benchmarks/logistic_regression.py --size 1000,768,10 --size 1000,768,400 --tol 1e-6

The data are drawn: class means plus noise under a falling spectrum, turned at random and standardised, which has the
ill condition of a backbone's features. scikit-learn runs lbfgs from each optimum to the next (warm_start) on every
`--every`-th C, and its time is scaled up to the 45; ours is the whole path, set-up included.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings

import numpy as np
import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

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
    """Return scikit-learn's seconds, scaled to the whole grid, and the objectives that it reaches."""
    model = LogisticRegression(tol=tol, max_iter=1000, warm_start=True)
    wide, objectives = x.astype(np.float64), []
    start, spent = time.perf_counter(), 0.0
    for c in GRID[::every]:
        model.set_params(C=c)
        start = time.perf_counter()
        model.fit(wide, y)
        spent += time.perf_counter() - start
        objectives.append(_objective(model, wide, y, c))
    return spent * len(GRID) / len(objectives), objectives


def _objective(model: LogisticRegression, x: np.ndarray, y: np.ndarray, c: float) -> float:
    logits = x @ model.coef_.T + model.intercept_
    top = logits.max(axis=1)
    losses = top + np.log(np.exp(logits - top[:, None]).sum(axis=1)) - logits[np.arange(len(y)), y]
    return float(0.5 * np.square(model.coef_).sum() + c * losses.sum())


def compare(size: str, spread: float, tol: float, every: int) -> str:
    """Return one line of the table."""
    x, y = draw(*map(int, size.split(",")), spread)
    start = time.perf_counter()
    fits = list(logistic.path(x, y, GRID))
    ours = time.perf_counter() - start
    peer, objectives = theirs(x, y, tol, every)
    excess = [theirs / fit.objective - 1 for theirs, fit in zip(objectives, fits[::every], strict=True)]
    converged = sum(fit.converged for fit in fits)
    return (
        f"{size:>14} {spread:7.2f} {ours:8.2f} s {peer:9.2f} s {peer / ours:7.1f}x {converged:6d}/45 "
        f"{min(excess):+12.1e} {max(excess):+10.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", action="append", help="samples,dim,classes (classes: 3 or more); repeatable")
    parser.add_argument("--spread", type=float, default=0.5, help="size of the class means relative to the noise")
    parser.add_argument("--tol", type=float, default=1e-6, help="scikit-learn's tol")
    parser.add_argument("--every", type=int, default=4, help="scikit-learn runs every n-th C of the 45")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"# {_processor()}, {options.threads} threads; Python {platform.python_version()}, torch {torch.__version__}")
    print(f"# load average {os.getloadavg()[0]:.1f}; scikit-learn {sklearn.__version__} lbfgs, tol {options.tol:g},")
    print(f"# max_iter 1000, warm start, every {options.every}th of 45 C, its time scaled to 45")
    print("# excess: its objective / ours − 1, the least and the most over those C")
    print(
        f"{'n,dim,classes':>14} {'spread':>7} {'ours':>10} {'sklearn':>11} {'ratio':>8} {'converged':>9} {'excess':>16}"
    )
    with warnings.catch_warnings(), threadpool_limits(options.threads):
        warnings.simplefilter("ignore")  # that lbfgs stops early is in the excess
        compare("200,16,3", options.spread, options.tol, 45)  # libraries start their threads on first use
        for size in options.size or ["1000,768,10", "1000,768,100", "50000,64,10"]:
            print(compare(size, options.spread, options.tol, options.every), flush=True)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii") as lines:  # noqa: PTH123
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
