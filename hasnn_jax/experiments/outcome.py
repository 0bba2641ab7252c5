"""The outcome of an experiment in one paragraph, from the numbers alone."""

from collections.abc import Sequence

from hasnn_jax.experiments.results import Results, VariantResult
from hasnn_jax.experiments.statistics import Difference


def outcome(results: Results) -> str:
    """The paragraph. Where the numbers decide nothing, it says so."""
    parts = [_compared(results), _diverged(results.variants), _missing(results)]
    if claim := results.about["paper"]:
        parts.append(f"The paper says: {claim}")
    return " ".join(filter(None, parts))


def _compared(results: Results) -> str:
    baseline = results.baseline
    if baseline is None or not baseline.runs:
        return f"Nothing is compared: the baseline, {results.about['baseline']}, has no complete run."
    accuracy = baseline.summaries["accuracy"]
    spread = "" if accuracy.deviation is None else f" (standard deviation {100 * accuracy.deviation:.2f} points)"
    subject = (
        f"The baseline, {baseline.name}, reached a test accuracy of {100 * accuracy.mean:.2f} %"
        f" with {_seeds(accuracy.seeds)}{spread}."
    )
    others = [each for each in results.variants if each is not baseline and each.difference is not None]
    if not others:
        return f"{subject} No other variant has a complete run with one of its seeds."
    judged = [each for each in others if each.difference is not None and each.difference.low is not None]
    single = [each for each in others if each not in judged]
    lines = [subject]
    for word in ("better", "worse"):
        if found := [each for each in judged if each.verdict == word]:
            lines.append(f"{word.capitalize()} than it by the 95 % interval: {_listed(found)}.")
    if found := [each for each in judged if each.verdict == "cannot tell"]:
        lines.append(f"Cannot tell, because the interval includes no difference or has no width: {_listed(found)}.")
    if single:
        lines.append(
            f"Cannot tell, because one seed shows no spread and nothing is claimed from it: {_listed(single)}."
        )
    if len(judged) > 1:
        lines.append(
            f"Each of the {len(judged)} intervals stands for itself: of 20 variants that change nothing, one is "
            "expected to lie outside."
        )
    return " ".join(lines)


def difference_text(difference: Difference) -> str:
    """Such as "+1.20 points, 0.40 to 2.00"; without an interval for a single seed."""
    mean = f"{100 * difference.mean:+.2f} points"
    if difference.low is None or difference.high is None:
        return mean
    return f"{mean}, {100 * difference.low:+.2f} to {100 * difference.high:+.2f}"


def _listed(variants: Sequence[VariantResult]) -> str:
    return "; ".join(f"{each.name} ({_detail(each)})" for each in variants)


def _detail(variant: VariantResult) -> str:
    assert variant.difference is not None  # only compared variants are listed
    return f"{difference_text(variant.difference)}, {_seeds(variant.difference.seeds)}"


def _diverged(variants: Sequence[VariantResult]) -> str:
    found = [
        f"{each.name} in {len(each.diverged)} of {_seeds(len(each.diverged) + len(each.runs))}"
        for each in variants
        if each.diverged
    ]
    return f"Diverged, and left out of the means: {'; '.join(found)}." if found else ""


def _missing(results: Results) -> str:
    count = len(results.missing)
    if not count:
        return ""
    return f"{count} of {results.planned} runs {'is' if count == 1 else 'are'} missing."


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"
