"""Whole training runs with every augmentation on, through `train_and_evaluate`."""

import pytest
from tiny_runs import records, tiny_config

from hasnn_jax.trainer import train_and_evaluate

pytestmark = pytest.mark.slow

AUGMENTED = {
    "data__randaugment": 1,
    "data__randaugment_magnitude": 3,
    "data__random_erasing": 0.1,
    "optim__mixup": 0.2,
    "optim__cutmix": 0.2,
    "optim__label_smoothing": 0.1,
}


def test_a_run_with_every_augmentation_learns(tmp_path):
    # The ANN path alone: so early, a hybrid's accuracy is anywhere between 10 and 60 %, depending on seed and rounding.
    wider = {"model__name": "has8_vgg_b8_m2_d1", "model__paths": ("ann",), "optim__learning_rate": 3e-3}
    once = {"epochs": 6, "eval_every_epochs": 6, "save_every_epochs": 6}
    outcome = train_and_evaluate(tiny_config(**AUGMENTED, **wider, **once, batch_size=64), tmp_path / "run")
    losses = [r["loss"] for r in records(tmp_path / "run") if r["split"] == "train"]
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])
    assert outcome["test_accuracy"] > 0.5


def test_a_run_with_every_augmentation_resumes_to_the_bit(tmp_path):
    train_and_evaluate(tiny_config(**AUGMENTED, epochs=3), tmp_path / "whole")
    train_and_evaluate(tiny_config(**AUGMENTED, epochs=1), tmp_path / "resumed")
    train_and_evaluate(tiny_config(**AUGMENTED, epochs=3), tmp_path / "resumed")
    whole, resumed = (
        {(r["split"], r["step"]): r["loss"] for r in records(tmp_path / name)} for name in ("whole", "resumed")
    )
    assert resumed.items() >= {key: value for key, value in whole.items() if key[1] > 5}.items()
