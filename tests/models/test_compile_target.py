"""A program for devices that are not here, and for a batch that is divided among several."""

import jax
import pytest
from meshes import mesh_of

from hasnn_jax.models.compile_target import batch_is_partitioned, compile_for, on_cpu, on_gpu, on_tpu


def test_the_default_is_this_machine_and_a_whole_batch():
    assert on_cpu() == (jax.default_backend() == "cpu")
    assert on_gpu() == (jax.default_backend() == "gpu")
    assert on_tpu() == (jax.default_backend() == "tpu")
    assert not batch_is_partitioned()


@pytest.mark.parametrize(
    ("platform", "devices", "expected"),
    [
        ("tpu", 1, (False, False, True, False)),
        ("cpu", 4, (True, False, False, True)),
        ("gpu", 1, (False, True, False, False)),
        ("cuda", 2, (False, True, False, True)),
    ],
)
def test_a_function_sees_the_mesh_that_it_is_compiled_for_also_when_traced_again(platform, devices, expected):
    seen = []

    @jax.jit
    def model(x):
        seen.append((on_cpu(), on_gpu(), on_tpu(), batch_is_partitioned()))
        return x

    model(1.0)
    compile_for(mesh_of(platform, devices), model)(1.0)
    assert seen == [(jax.default_backend() == "cpu", on_gpu(), on_tpu(), False), expected]
