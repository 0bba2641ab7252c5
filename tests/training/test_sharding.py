"""Batches divided among devices: one device here, eight virtual ones in a process of its own."""

import types

import jax
import numpy as np
import pytest
import several_processes

from hasnn_jax.common.errors import InputError
from hasnn_jax.training import sharding


def mesh_of(devices):
    return types.SimpleNamespace(shape={"data": devices, "model": 1})


@pytest.mark.parametrize(
    ("batch_size", "devices", "fits"), [(20, 8, "16 or 24"), (3, 8, "8"), (9, 2, "8 or 10"), (7, 4, "4 or 8")]
)
def test_a_batch_that_does_not_divide_is_refused_with_sizes_that_do(batch_size, devices, fits):
    message = f"^batch_size {batch_size}: expected a multiple of the {devices} devices, such as {fits}$"
    with pytest.raises(InputError, match=message):
        sharding.require_divisible(batch_size, mesh_of(devices))


@pytest.mark.parametrize(("batch_size", "devices"), [(16, 8), (8, 8), (3, 1)])
def test_a_batch_that_divides_is_accepted(batch_size, devices):
    sharding.require_divisible(batch_size, mesh_of(devices))


def test_the_mesh_holds_every_device_along_its_data_axis():
    mesh = sharding.make_mesh()
    assert dict(mesh.shape) == {"data": jax.device_count(), "model": 1}
    assert set(mesh.devices.flat) == set(jax.devices())


def test_a_batch_arrives_unchanged():
    mesh = sharding.make_mesh()
    rows = 2 * jax.device_count()
    batch = {
        "image": np.random.default_rng(0).integers(0, 256, (rows, 4, 4, 3), dtype=np.uint8),
        "label": np.arange(rows, dtype=np.int32),
        "mask": np.arange(rows) < rows - 1,
    }
    placed = sharding.put_batch(batch, mesh)
    assert placed.keys() == batch.keys()
    for key, value in batch.items():
        assert isinstance(placed[key], jax.Array)
        assert placed[key].dtype == value.dtype
        assert placed[key].sharding.is_equivalent_to(sharding.over_batch(mesh), value.ndim)
        np.testing.assert_array_equal(placed[key], value)


ON_EIGHT_DEVICES = """
import functools
import jax, jax.numpy as jnp, numpy as np, optax
from hasnn_jax.training import sharding
from hasnn_jax.training.state import create_state
from hasnn_jax.training.steps import gradients, train_step

assert jax.device_count() == 8
mesh = sharding.make_mesh()
rng = np.random.default_rng(0)
batch = {"image": rng.integers(0, 256, (16, 2, 2, 1), dtype=np.uint8), "label": np.arange(16, dtype=np.int32) % 3,
         "replaced": np.zeros(16, bool)}

placed = sharding.put_batch(batch, mesh)
for key, value in batch.items():
    shards = placed[key].addressable_shards
    assert len({shard.device for shard in shards}) == 8
    for shard in shards:
        row = 2 * list(mesh.devices.flat).index(shard.device)
        np.testing.assert_array_equal(shard.data, value[row : row + 2])

whole = jax.device_put(np.arange(5.0), sharding.replicated(mesh))
assert [shard.data.shape for shard in whole.addressable_shards] == [(5,)] * 8

def apply(variables, images, *, train, mutable):
    return images.reshape(len(images), -1) @ variables["params"], {}

optimizer = optax.sgd(1.0, 0.9)
of_model = functools.partial(gradients, apply=apply)
start = create_state({"params": jnp.asarray(rng.normal(size=(4, 3)), jnp.float32)}, optimizer)
one, _ = jax.jit(functools.partial(train_step, gradients=of_model, optimizer=optimizer))(start, batch)
everywhere, divided = sharding.replicated(mesh), sharding.over_batch(mesh)
for way in (of_model, sharding.on_each_device(of_model, mesh, everywhere)):
    step = functools.partial(train_step, gradients=way, optimizer=optimizer)
    on_eight = jax.jit(step, in_shardings=(everywhere, divided), out_shardings=everywhere)
    many, metrics = on_eight(jax.device_put(start, everywhere), placed)
    assert metrics["loss"].sharding.is_fully_replicated
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, many)

shapes = {(): (), (5000,): (625,), (4096,): (512,), (4095,): (4095,), (64, 8): (64, 8), (7, 1001): (7, 1001),
          (3, 3, 64, 64): (3, 3, 64, 8), (1024, 512): (128, 512), (8192, 1): (1024, 1)}
for shape, share in shapes.items():
    assert sharding.by_shape(shape, mesh).shard_shape(shape) == share, shape
print("done")
"""


@pytest.mark.parametrize(
    ("group", "batch_size", "devices", "steps", "stay"),
    [
        (None, 16, 1, 1, True),
        (None, 16, 8, 1, False),
        (2, 16, 8, 1, True),
        (1, 16, 8, 2, True),
        (2, 16, 8, 2, False),
        (4, 16, 8, 1, False),
        (3, 24, 4, 1, True),
        (3, 24, 4, 4, False),
    ],
)
def test_statistics_groups_stay_on_devices_that_hold_whole_ones(group, batch_size, devices, steps, stay):
    assert sharding.groups_stay_on_devices(group, batch_size, mesh_of(devices), steps) is stay


def test_eight_devices_share_a_batch_and_make_the_update_of_one():
    assert several_processes.run(["-c", ON_EIGHT_DEVICES], devices=8, count=1) == "done\n"
