"""The gradient of each plane equals the gradient of a model in which the rescaling lets only this plane through."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from handmade_model import RUNNING, OneEncoder, small_resnet
from tiny_models import drawn_variables, random_images

import hasnn_jax
from hasnn_jax.analysis.plane_gradients import plane_gradients
from hasnn_jax.common.errors import InputError
from hasnn_jax.models import LayerFactory

LABELS = np.array([0, 2, 1, 1])


def model_with(**coding):
    spec = hasnn_jax.spiking_spec()
    spec = dataclasses.replace(spec, coding=dataclasses.replace(spec.coding, **coding))
    return OneEncoder(LayerFactory(spiking=spec))


def dense_variables(channels=2):
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(channels, 3)), rng.normal(size=3)
    return {
        "params": {"dense": {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.asarray(bias, jnp.float32)}},
        "batch_stats": RUNNING,
    }


def image_gradient(model, variables, images):
    def loss(images):
        logits = jax.nn.log_softmax(model.apply(variables, images))
        return -jnp.sum(logits[jnp.arange(len(LABELS)), LABELS])

    return jax.grad(loss)(images)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(4, 3, 5, 2), (4, 1, 1, 2)], ids=["maps", "vectors"])
@pytest.mark.parametrize(
    "coding",
    [{}, {"plane_order": "lsb_first", "lowest_plane": "fractional", "vector_gradient": "pooled"}, {"planes": 3}],
    ids=["described", "released", "three planes"],
)
def test_each_plane_alone_gives_its_gradient(coding, shape):
    images, variables = jnp.asarray(np.random.default_rng(1).random(shape), jnp.float32), dense_variables()
    model = model_with(**coding)
    (measured,) = plane_gradients(model, variables, [(images, LABELS)])
    rescaling = model.layers.spiking.coding.rescaling

    assert measured.name == "encoder"
    assert measured.planes == tuple(range(7, 7 - coding.get("planes", 8), -1))
    for plane, before, after in zip(measured.planes, measured.before, measured.after, strict=True):
        alone = model_with(**coding, rescaling=lambda k, plane=plane: float(k == plane))
        expected = jnp.linalg.norm(image_gradient(alone, variables, images).ravel()) / 255  # per grey level
        np.testing.assert_allclose(before, expected, rtol=1e-5)
        np.testing.assert_allclose(after, expected * rescaling(plane), rtol=1e-5)


@pytest.mark.slow
def test_the_batch_size_changes_nothing():
    model, images = small_resnet(), random_images(batch=4)
    variables = drawn_variables(model, images)
    at_once = plane_gradients(model, variables, [(images, LABELS)])
    in_parts = plane_gradients(model, variables, [(images[:2], LABELS[:2]), (images[2:], LABELS[2:])])

    assert [each.name for each in at_once] == ["stem/encoder", "stage1_block1/encoder"]
    assert min(at_once[0].before) > 0
    for whole, parts in zip(at_once, in_parts, strict=True):
        np.testing.assert_allclose(parts.before, whole.before, rtol=1e-4)
        np.testing.assert_allclose(parts.after, whole.after, rtol=1e-4)


def test_training_uses_the_value_range_of_the_batch():
    images, variables = 2 * jnp.asarray(np.random.default_rng(1).random((4, 3, 5, 2)), jnp.float32), dense_variables()
    scaled = (images - images.min()) / (images.max() - images.min())
    (trained,) = plane_gradients(model_with(), variables, [(images, LABELS)], train=True)
    (evaluated,) = plane_gradients(model_with(), variables, [(scaled, LABELS)])

    np.testing.assert_allclose(trained.before, evaluated.before, rtol=1e-3)
    assert trained != plane_gradients(model_with(), variables, [(images, LABELS)])[0]  # the running range clips


def test_a_model_without_a_spiking_path_has_none():
    model, images = small_resnet(("ann",)), random_images(batch=2)
    assert plane_gradients(model, drawn_variables(model, images), [(images, LABELS[:2])]) == ()


@pytest.mark.parametrize("labels", [np.array([0, 3, 0, 0]), np.array([0, -1, 0, 0]), np.array([0, 1])])
def test_labels_that_do_not_fit_are_refused(labels):
    images = jnp.zeros((4, 3, 5, 2))
    with pytest.raises(InputError, match="expected 4 whole numbers from 0 to 2"):
        plane_gradients(model_with(), dense_variables(), [(images, labels)])


def test_no_images_are_refused():
    with pytest.raises(InputError, match="no images"):
        plane_gradients(model_with(), dense_variables(), [])
