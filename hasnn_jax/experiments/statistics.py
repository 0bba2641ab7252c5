"""Means, spreads and paired differences over seeds."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Literal

CONFIDENCE = 0.95

Verdict = Literal["better", "worse", "cannot tell"]


@dataclasses.dataclass(frozen=True)
class Summary:
    """Values of several seeds.

    Attributes:
      seeds: how many.
      mean: of them.
      deviation: the standard deviation between seeds, with n - 1; None for a single one.
    """

    seeds: int
    mean: float
    deviation: float | None


@dataclasses.dataclass(frozen=True)
class Difference:
    """A variant's values minus the baseline's, seed by seed.

    Attributes:
      seeds: how many seeds both have.
      mean: of the differences.
      low, high: ends of the mean's 95 % interval by Student's t; None for a single seed.
    """

    seeds: int
    mean: float
    low: float | None
    high: float | None


def summarise(values: Iterable[float]) -> Summary | None:
    """Mean and spread; None if there is no value."""
    listed = list(values)
    if not listed:
        return None
    mean = math.fsum(listed) / len(listed)
    return Summary(len(listed), mean, _deviation(listed, mean))


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Difference | None:
    """Compares a variant with the baseline over the seeds that both have.

    Args:
      values: of the variant by seed.
      baseline: of the baseline by seed.

    Returns:
      None if they have no seed in common.
    """
    differences = [values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())]
    if not differences:
        return None
    mean = math.fsum(differences) / len(differences)
    deviation = _deviation(differences, mean)
    if deviation is None:
        return Difference(1, mean, None, None)
    from scipy import stats

    n = len(differences)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / math.sqrt(n)
    return Difference(n, mean, mean - half, mean + half)


def verdict(difference: Difference | None) -> Verdict:
    """What the interval of a difference in accuracy says.

    An interval of no width is not believed: accuracies are counts of images, so that few seeds can differ by the same
    count by chance.
    """
    if difference is None or difference.low is None or difference.high is None:
        return "cannot tell"
    if difference.high - difference.low < 1e-9:
        return "cannot tell"
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "cannot tell"


def _deviation(values: list[float], mean: float) -> float | None:
    if len(values) < 2:
        return None
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
