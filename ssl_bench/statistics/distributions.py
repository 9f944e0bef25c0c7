"""Distribution functions, so that a comparison loads no SciPy, which takes longer to import than 19 tasks to compare.

    Student's t      P(|T| ≥ t) = I_x(ν/2, ½), x = ν / (ν + t²), with I the regularised incomplete beta function
    χ²               P(X ≥ x) = Q(ν/2, x/2), the regularised upper incomplete gamma function
    studentized      P(Q ≥ q) = 1 − k ∫ φ(z) [Φ(z) − Φ(z − q)]^(k−1) dz, for k means of known variance
    range

I and Q are summed as in Abramowitz and Stegun 26.5.8 and 6.5.29 to 6.5.31, continued fractions by Lentz's method.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from statistics import NormalDist

NORMAL = NormalDist()
_TINY = 1e-300
_STEPS = 10_000
_STEP = 0.05
"""Between the points of a numerical integral over a standard normal variable."""


def normal_two_sided(z: float) -> float:
    """Return P(|Z| ≥ |z|) of the standard normal distribution."""
    return math.erfc(abs(z) / math.sqrt(2))


@functools.lru_cache(maxsize=64)
def normal_quantile(level: float) -> float:
    """Return the z that a two-sided interval of this level reaches to: 1.96 for 0.95."""
    return NORMAL.inv_cdf((1 + level) / 2)


def t_two_sided(t: float, df: float) -> float:
    """Return P(|T| ≥ |t|) of Student's t with `df` degrees of freedom; an infinite t has probability 0."""
    if math.isinf(t):
        return 0.0
    if df > 1e7:
        return normal_two_sided(t)
    if df == 2:  # three seeds: 1 − t / √(t² + 2), without its cancellation
        root = math.sqrt(t * t + 2)
        return 2 / (root * (root + abs(t)))
    return _incomplete_beta(df / 2, 0.5, df / (df + t * t))


@functools.lru_cache(maxsize=1024)
def t_quantile(level: float, df: float) -> float:
    """Return the t that a two-sided interval of this level reaches to, by bisection."""
    if df > 1e7:
        return normal_quantile(level)
    high = 2.0
    while t_two_sided(high, df) > 1 - level:
        high *= 2
    return _bisect(lambda t: t_two_sided(t, df) - (1 - level), 0.0, high)


def chi2_above(x: float, df: float) -> float:
    """Return P(X ≥ x) of the χ² distribution."""
    a, half = df / 2, x / 2
    if half <= 0:
        return 1.0
    scale = math.exp(a * math.log(half) - half - math.lgamma(a))
    if half < a + 1:
        term = total = 1 / a
        for step in range(1, _STEPS):
            term *= half / (a + step)
            total += term
            if term < total * 1e-16:
                break
        return max(0.0, 1 - scale * total)
    return scale * _lentz(half + 1 - a, lambda i: (i * (a - i), half + 2 * i + 1 - a))


def studentized_range_above(q: float, k: int) -> float:
    """Return P(Q ≥ q) for the range of `k` standard normal variables.

    The trapezoidal rule is as exact as floats for a function that is smooth and vanishes at both ends.
    """
    points = (_STEP * i for i in range(round(-9 / _STEP), round(9 / _STEP) + 1))
    below = math.fsum(NORMAL.pdf(z) * (NORMAL.cdf(z) - NORMAL.cdf(z - q)) ** (k - 1) for z in points)
    return max(0.0, 1 - k * _STEP * below)


@functools.lru_cache(maxsize=64)
def studentized_range_quantile(level: float, k: int) -> float:
    """Return the q that the range of `k` standard normal variables stays below with probability `level`."""
    return _bisect(lambda q: studentized_range_above(q, k) - (1 - level), 0.0, 20.0)


def _bisect(falling: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function crosses 0."""
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    log_scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)

    def term(i: int) -> tuple[float, float]:
        m = i // 2
        if i % 2 == 0:
            return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1.0
        return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1.0

    return math.exp(log_scale) / a * _lentz(1.0, term)


def _lentz(first: float, term: Callable[[int], tuple[float, float]]) -> float:
    """Return 1 / (first + a₁ / (b₁ + a₂ / (b₂ + …))), where `term(i)` gives (aᵢ, bᵢ)."""
    d = 1 / (first or _TINY)
    c, value = 1 / _TINY, d
    for i in range(1, _STEPS):
        a, b = term(i)
        d = 1 / (b + a * d or _TINY)
        c = b + a / c or _TINY
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value
