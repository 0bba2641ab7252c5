"""Which runs an experiment has, in which order, and which of them this process does."""

import dataclasses
import math
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ml_collections import ConfigDict

from hasnn_jax.assembly.model import build_model
from hasnn_jax.assembly.program import build_optimizer, build_schedule
from hasnn_jax.assembly.run_setup import set_up
from hasnn_jax.common.errors import InputError
from hasnn_jax.config import flatten, validate
from hasnn_jax.experiments.experiment import Variant, configured
from hasnn_jax.experiments.folder import run_folder

_SHAPING = ("model.name", "model.stem", "model.paths", "data.image_size")  # decide whether a model fits the images


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One variant trained with one seed.

    Attributes:
      variant: of the experiment.
      seed: of the run.
      config: the variant's, with that seed.
      folder: of the run.
    """

    variant: Variant
    seed: int
    config: ConfigDict
    folder: pathlib.Path

    @property
    def name(self) -> str:
        """For messages: variant and seed."""
        return f"{self.variant.name}, seed {self.seed}"


def plan_runs(
    base: ConfigDict, variants: Iterable[Variant], seeds: Sequence[int], root: pathlib.Path
) -> tuple[PlannedRun, ...]:
    """All runs: every variant with the first seed, then with the second, so that an early report has all variants.

    Raises:
      InputError: a variant's overrides do not fit the config; see `configured`.
    """
    listed = tuple(variants)
    return tuple(
        PlannedRun(
            variant,
            seed,
            configured(base, {**variant.overrides, "seed": seed}, f"variant {variant.name}"),
            run_folder(root, variant.name, seed),
        )
        for seed in seeds
        for variant in listed
    )


def require_valid(runs: Sequence[PlannedRun]) -> None:
    """Checks the variants' configs before any of them is trained.

    Raises:
      InputError: the config of a variant is not valid, or two variants have the same settings.
    """
    owners: dict[str, str] = {}
    fitting: set[Any] = set()
    for run in [run for run in runs if run.seed == runs[0].seed]:  # one of each variant
        flat = flatten(run.config)
        owner = owners.setdefault(repr({**flat, "seed": None}), run.variant.name)
        if owner != run.variant.name:
            raise InputError(
                f"variants {run.variant.name} and {owner} have the same settings with this base config; leave out the "
                "override that makes them so, or choose other variants by --variants"
            )
        shape = tuple(map(flat.get, _SHAPING))
        try:
            if shape not in fitting:
                set_up(run.config)  # takes a second, which the names alone do not
                fitting.add(shape)
            _require_names(run.config)
        except InputError as error:
            raise InputError(f"variant {run.variant.name}: {error}") from None


def _require_names(config: ConfigDict) -> None:
    """Raises InputError unless every name in a config becomes an object."""
    validate(config)
    build_model(config.model, config.data.num_classes)
    build_optimizer(config.optim, build_schedule(config, 1))


def parse_part(text: str | None) -> tuple[int, int]:
    """The part and the number of parts: (2, 8) of the text 2/8, the second of eight; (1, 1) of None.

    Raises:
      InputError: it is not of this form, or out of range.
    """
    if text is None:
        return 1, 1
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None:
        raise InputError(f"--part: expected I/N such as 2/8, the second of eight parts; got {text!r}")
    part, parts = map(int, match.groups())
    if not 1 <= part <= parts:
        raise InputError(f"--part: expected a part from 1/{parts or 1} to {parts or 1}/{parts or 1}; got {text}")
    return part, parts


def part_of(runs: Sequence[PlannedRun], part: int, parts: int, variants: int) -> tuple[PlannedRun, ...]:
    """The runs of one part: every `parts`-th one, moved on by a place where a part would get the same variants again.

    So no part has the costly variants of every seed.

    Args:
      runs: all, seed by seed.
      part: which, from 1.
      parts: how many.
      variants: how many runs a seed has.
    """
    round_length = math.lcm(variants, parts)
    return tuple(run for i, run in enumerate(runs) if (i + i // round_length) % parts == part - 1)
