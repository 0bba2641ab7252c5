"""Time is folded into the batch in the order of memory, of which every device folds its own share."""

import jax.numpy as jnp
import numpy as np
import several_processes

from hasnn_jax.models.time_folding import time_folded

ON_THREE_DEVICES = """
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.time_folding import time_folded
from hasnn_jax.training.sharding import make_mesh

mesh = make_mesh()
assert mesh.size == 3
x = np.arange(2.0 * 6).reshape(2, 6, 1, 1, 1)  # T, B: two images on each device
x = jax.device_put(x, NamedSharding(mesh, PartitionSpec(None, "data")))


def times_place(images, factor):
    return factor * jnp.arange(float(len(images))).reshape(-1, 1, 1, 1) * images


@jax.jit
@jax.value_and_grad
def total(factor, x):
    return jnp.sum(jnp.sin(compile_for(mesh, lambda x: time_folded(times_place, x, factor))(x)))


@jax.jit
def divided(x):
    return compile_for(mesh, lambda x: time_folded(times_place, x, 1.0))(x)


places = np.array([[0, 1, 0, 1, 0, 1], [2, 3, 2, 3, 2, 3]]).reshape(x.shape)
np.testing.assert_array_equal(divided(x), places * x)
text = divided.lower(x).compile().as_text()
assert not any(moved in text for moved in ("all-to-all", "all-gather", "collective-permute", "transpose("))

value, gradient = total(3.0, x)
np.testing.assert_allclose(value, np.sum(np.sin(3.0 * places * x)), rtol=1e-5)
np.testing.assert_allclose(gradient, np.sum(np.cos(3.0 * places * x) * places * x), rtol=1e-5)
"""


def test_time_is_the_outer_part_of_the_batch():
    x = jnp.arange(2 * 3).reshape(2, 3, 1, 1, 1)  # T, B
    order = []

    def note(images):
        order.extend(images.ravel().tolist())
        return images

    np.testing.assert_array_equal(time_folded(note, x), x)
    assert order == [0, 1, 2, 3, 4, 5]


def test_images_are_not_folded():
    images = jnp.arange(6.0).reshape(3, 1, 2, 1)
    np.testing.assert_array_equal(time_folded(lambda images, factor: factor * images, images, 2), 2 * images)


def test_each_device_folds_its_share_of_a_divided_batch_where_it_is():
    several_processes.run(["-c", ON_THREE_DEVICES], devices=3, count=1)
