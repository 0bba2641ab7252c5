"""A program for devices that are not here, and for a batch that is divided among several."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import mesh_of

from hasnn_jax.models.compile_target import batch_is_partitioned, compile_for, on_cpu, on_gpu
from hasnn_jax.models.time_folding import time_folded


def test_the_default_is_this_machine_and_a_whole_batch():
    assert on_cpu() == (jax.default_backend() == "cpu")
    assert on_gpu() == (jax.default_backend() == "gpu")
    assert not batch_is_partitioned()


@pytest.mark.parametrize(
    ("platform", "devices", "expected"),
    [
        ("tpu", 1, (False, False, False)),
        ("cpu", 4, (True, False, True)),
        ("gpu", 1, (False, True, False)),
        ("cuda", 2, (False, True, True)),
    ],
)
def test_a_function_sees_the_mesh_that_it_is_compiled_for_also_when_traced_again(platform, devices, expected):
    seen = []

    @jax.jit
    def model(x):
        seen.append((on_cpu(), on_gpu(), batch_is_partitioned()))
        return x

    model(1.0)
    compile_for(mesh_of(platform, devices), model)(1.0)
    assert seen == [(jax.default_backend() == "cpu", on_gpu(), False), expected]


def test_time_is_folded_outermost_unless_the_batch_is_divided():
    x = jnp.arange(2 * 3).reshape(2, 3, 1, 1, 1)  # T, B
    order = []

    def note(images):
        order.append(images.ravel().tolist())
        return images

    whole = time_folded(note, x)
    divided = compile_for(mesh_of("cpu", 3), lambda: time_folded(note, x))()

    assert order == [[0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5]]
    np.testing.assert_array_equal(whole, x)
    np.testing.assert_array_equal(divided, x)
