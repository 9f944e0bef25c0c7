"""Intervals, tests, corrections and power, without SciPy; the tests compare with SciPy and statsmodels."""

from ssl_bench.statistics.bradley_terry import bradley_terry
from ssl_bench.statistics.corrections import holm
from ssl_bench.statistics.differences import (
    Difference,
    bootstrapped,
    of_correctness,
    of_means,
    of_seeds,
    of_seeds_and_items,
    p_of_errors,
    suite_mean,
    unpaired,
)
from ssl_bench.statistics.intervals import bootstrap_interval, mean_interval, seeds_interval, wilson
from ssl_bench.statistics.mcnemar import mcnemar, tango_interval
from ssl_bench.statistics.power import detectable, detectable_mean, needed, power
from ssl_bench.statistics.ranks import (
    CriticalDifference,
    RankInterval,
    alike_with_best,
    friedman,
    nemenyi,
    rank_intervals,
    rank_intervals_of_means,
    signed_rank,
    wilcoxon_holm,
)
from ssl_bench.statistics.resampling import poisson_counts, resampled_cells, resampled_means

__all__ = [
    "CriticalDifference",
    "Difference",
    "RankInterval",
    "alike_with_best",
    "bootstrap_interval",
    "bootstrapped",
    "bradley_terry",
    "detectable",
    "detectable_mean",
    "friedman",
    "holm",
    "mcnemar",
    "mean_interval",
    "needed",
    "nemenyi",
    "of_correctness",
    "of_means",
    "of_seeds",
    "of_seeds_and_items",
    "p_of_errors",
    "poisson_counts",
    "power",
    "rank_intervals",
    "rank_intervals_of_means",
    "resampled_cells",
    "resampled_means",
    "seeds_interval",
    "signed_rank",
    "suite_mean",
    "tango_interval",
    "unpaired",
    "wilcoxon_holm",
    "wilson",
]
