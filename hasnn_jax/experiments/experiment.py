"""What an experiment is: a question, and variants of one config that answer it."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.lookup import unknown_name
from hasnn_jax.config import default_config, flatten, from_flat, validate


@dataclasses.dataclass(frozen=True)
class Variant:
    """One variant of a base config.

    Attributes:
      name: of its folder and in the report.
      overrides: dotted keys to values, as by `--config.KEY=VALUE`; what is not named stays as in the base config.
      about: what it is, for the report; less than a line.
    """

    name: str
    overrides: Mapping[str, Any]
    about: str


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A question and the variants that answer it.

    Attributes:
      name: by which it is called.
      question: that the report answers.
      paper: what the paper claims of it, in a sentence; "" if nothing.
      baseline: name of the variant that the others are compared with.
      variants: of a base config; the baseline is among them.
      context: what the report says beside its own numbers without ranking it; "" if nothing.
      tradeoff: whether accuracy is drawn against operations, energy and parameters.
    """

    name: str
    question: str
    paper: str
    baseline: str
    variants: Callable[[ConfigDict], tuple[Variant, ...]]
    context: str = ""
    tradeoff: bool = False


def of_the_paper(variants: Iterable[Variant]) -> tuple[Variant, ...]:
    """These variants of the paper's system, whatever spec the base config has, for what they are named after."""
    described = {"model.spiking.spec": "as_described"}
    return tuple(dataclasses.replace(each, overrides={**described, **each.overrides}) for each in variants)


def configured(base: ConfigDict, overrides: Mapping[str, Any], owner: str) -> ConfigDict:
    """A copy of a config with some settings replaced.

    Args:
      base: is not changed.
      overrides: dotted keys to values.
      owner: whose overrides they are, for messages: "variant lif".

    Raises:
      InputError: an unknown key, or a value of the wrong type.
    """
    settings = flatten(base)
    if unknown := [key for key in overrides if key not in settings]:
        raise InputError(f"{owner}: {unknown_name('config key', unknown[0], settings)}")
    try:
        return from_flat({**settings, **overrides})
    except (TypeError, ValueError) as error:
        raise InputError(f"{owner}: {error}") from None


def base_config(config: ConfigDict, *, short: bool) -> ConfigDict:
    """The config that all variants start from.

    A run of an experiment logs to its own files only and keeps one checkpoint, unless the config asks for something
    other than the defaults.

    Args:
      config: as given.
      short: whether to replace model and length by those of `short_overrides`.

    Raises:
      InputError: the config is not valid.
    """
    validate(config)
    lean = {"loggers": (), "keep_checkpoints": 1, "keep_best": 0}
    given, defaults = flatten(config), flatten(default_config())
    base = configured(config, {k: v for k, v in lean.items() if given[k] == defaults[k]}, "experiment")
    return configured(base, short_overrides(base), "--short") if short else base


def short_overrides(config: ConfigDict) -> dict[str, Any]:
    """What makes a variant a matter of seconds on the digits: a narrow model and few epochs.

    The answers of such runs are those of a model that has hardly learnt; they show that an experiment works.
    """
    epochs = min(config.epochs, 2)
    return {
        "model.name": "has8_vgg_b8_m2_d2",
        "model.stem": "imagenet",  # which a VGG does not have
        "epochs": epochs,
        "eval_every_epochs": 1,
        "save_every_epochs": epochs,
    }


def chosen(experiment: str, variants: Iterable[Variant], names: Iterable[str]) -> tuple[Variant, ...]:
    """The variants of these names, in the experiment's order.

    Raises:
      InputError: a name is none of them; the message suggests the nearest.
    """
    known, wanted = {variant.name: variant for variant in variants}, list(names)
    for name in wanted:
        if name not in known:
            raise unknown_name(f"variant of {experiment}", name, known)
    return tuple(variant for name, variant in known.items() if name in wanted)
