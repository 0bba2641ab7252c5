"""A run that diverges stops, names the last good checkpoint, and saves nothing after it."""

import dataclasses

import jax
import pytest
from tiny_runs import tiny_config

from hasnn_jax.common.errors import InputError
from hasnn_jax.runs import train
from hasnn_jax.trainer import train_and_evaluate


@pytest.mark.slow
def test_numbers_that_are_not_finite_stop_the_run_with_step_and_advice(tmp_path):
    config = tiny_config(optim__name="sgd", optim__learning_rate=1e30)
    with pytest.raises(InputError, match=r"at step 2: .* not finite \(nothing was saved.*learning_rate"):
        train_and_evaluate(config, tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def multiply_weights(monkeypatch, *, before, by):
    """Multiplies all weights before a step, as an update that goes wrong would."""
    build_program = train.build_program

    def build_and_spoil(*args):
        program = build_program(*args)

        def spoiled(state, batch):
            if int(state.step) + 1 == before:
                state = state.replace(params=jax.tree.map(lambda x: x * by, state.params))
            return program.step(state, batch)

        return dataclasses.replace(program, step=spoiled)

    monkeypatch.setattr(train, "build_program", build_and_spoil)


@pytest.mark.slow
def test_divergence_after_a_checkpoint_names_it_and_leaves_it(tmp_path, monkeypatch):
    multiply_weights(monkeypatch, before=8, by=float("nan"))
    with pytest.raises(
        InputError, match=r"at step 8: .* not finite \(the last good checkpoint is step 5,.*init_from="
    ) as caught:
        train_and_evaluate(tiny_config(log_every_steps=4), tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["5"]


def test_a_loss_that_explodes_stops_the_run_though_it_is_finite(tmp_path, monkeypatch):
    multiply_weights(monkeypatch, before=6, by=1e6)
    with pytest.raises(InputError, match=r"at step 6: the loss is .*, over 100 times that of guessing \(.*step 5"):
        train_and_evaluate(tiny_config(log_every_steps=1), tmp_path)
