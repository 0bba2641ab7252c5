"""What the train state keeps between log points, and the averaged weights."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from linear_model import draw, linear, update

from hasnn_jax.training.state import create_state


def test_the_window_sums_what_the_steps_measured():
    variables, batch = draw()
    optimizer = optax.sgd(0.1)
    state = create_state(variables, optimizer)
    measured = []
    for _ in range(3):
        state, metrics = update(state, batch, optimizer)
        measured.append(metrics)
    for name in ("loss", "accuracy", "gradient_norm"):
        np.testing.assert_allclose(state.window[name], sum(m[name] for m in measured), rtol=1e-6)
    assert int(state.window["steps"]) == 3
    assert int(state.window["replaced"]) == 3 * batch["replaced"].sum()
    assert int(state.window["diverged"]) == 0


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_the_window_remembers_the_first_step_that_was_not_finite(bad):
    variables, batch = draw()
    optimizer = optax.sgd(0.1)
    state = create_state(variables, optimizer)
    state, _ = update(state, batch, optimizer)
    state = state.replace(params={**state.params, "bias": state.params["bias"].at[0].set(bad)})
    for _ in range(2):
        state, _ = update(state, batch, optimizer)
    assert int(state.window["diverged"]) == 2


def test_a_gradient_that_is_not_finite_counts_as_divergence_though_the_loss_is():
    variables, batch = draw()

    def steep(variables, images, *, train, mutable=()):
        kernel = variables["params"]["kernel"]
        return linear(variables, images, train=train, mutable=mutable)[0] + jnp.sqrt(kernel[:1] * 0), {}

    state = create_state(variables, optax.sgd(0.1))
    after, measured = update(state, batch, optax.sgd(0.1), apply=steep)
    assert np.isfinite(measured["loss"])
    assert int(after.window["diverged"]) == 1


def test_averaged_weights_follow_the_weights_and_are_what_is_evaluated():
    variables, batch = draw()
    optimizer = optax.sgd(0.5)
    state = create_state(variables, optimizer, averaged=True)
    expected = np.asarray(state.params["kernel"], float)
    for step in range(1, 40):
        state, _ = update(state, batch, optimizer, average_decay=0.7)
        decay = min(0.7, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * np.asarray(state.params["kernel"], float)
    np.testing.assert_allclose(state.average["kernel"], expected, rtol=1e-5)
    assert state.variables["params"] is state.average
    assert not np.allclose(state.average["kernel"], state.params["kernel"], rtol=1e-4)


def test_without_averaging_the_weights_themselves_are_evaluated():
    state = create_state(draw()[0], optax.sgd(0.1))
    assert state.average == {}
    assert state.variables["params"] is state.params
