import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_models import (
    SPECS,
    abstract_variables,
    drawn_variables,
    evaluate,
    leaf_names,
    parameter_gradients,
    random_images,
    tiny_vgg,
    train,
)

import hasnn_jax
from hasnn_jax.models.vgg import leaky_relu


@pytest.mark.parametrize("channels", [1, 3])
def test_widths_grow_by_the_multiplier_from_the_images_channels(channels):
    model = hasnn_jax.create_model("has8_vgg_b5_m3_d2", num_classes=7)
    params = abstract_variables(model, jnp.zeros((1, 8, 8, channels)))["params"]

    shapes = [params[f"block{i}"]["snn"]["conv"]["kernel"].shape for i in (1, 2, 3)]
    assert [shape[2] for shape in shapes] == [channels, 5 * channels, 15 * channels]
    assert [shape[3] for shape in shapes] == [5 * channels, 15 * channels, 45 * channels]
    assert "block4" not in params
    heads = [params["head"]["ann"][f"dense{i}"]["kernel"].shape for i in (1, 2, 3)]
    assert heads == [(45 * channels, 1024), (1024, 512), (512, 7)]


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
def test_every_parameter_gets_a_finite_gradient(spec):
    model, images = tiny_vgg(spiking=SPECS[spec]), random_images()
    variables = drawn_variables(model, images)
    gradients = parameter_gradients(model, variables, images)

    assert np.isfinite(evaluate(model, variables, images)).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    dead = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
        if not np.abs(leaf).max() > 1e-9
    ]
    assert dead == []


def first_logits_with_and_without_batch_mates(value_range):
    spec = SPECS["released"]
    spec = dataclasses.replace(spec, coding=dataclasses.replace(spec.coding, value_range=value_range))
    model, images = tiny_vgg(spiking=spec), random_images()
    variables = drawn_variables(model, images)
    return evaluate(model, variables, images)[0], evaluate(model, variables, images[:1])[0]


@pytest.mark.parametrize("value_range", ["running", "example"])
def test_evaluation_with_a_running_or_own_range_does_not_depend_on_batch_mates(value_range):
    together, alone = first_logits_with_and_without_batch_mates(value_range)

    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)


def test_evaluation_with_the_releases_range_depends_on_batch_mates():
    together, alone = first_logits_with_and_without_batch_mates("batch")

    assert np.abs(together - alone).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
def test_statistics_groups_train_as_if_alone(spec):
    model, images = tiny_vgg(spiking=SPECS[spec], statistics_group=2), random_images()
    alone = tiny_vgg(spiking=SPECS[spec])
    variables = drawn_variables(model, images)

    together, statistics = train(model, variables, images)
    parts = [train(alone, variables, images[i : i + 2]) for i in (0, 2)]
    np.testing.assert_allclose(together, np.concatenate([logits for logits, _ in parts]), rtol=1e-4, atol=1e-4)
    means = jax.tree.map(lambda a, b: (a + b) / 2, parts[0][1], parts[1][1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), statistics, means)
    mixed, _ = train(alone, variables, images)
    assert np.abs(mixed - together).max() > 1e-2


def test_a_group_that_does_not_divide_the_batch_is_refused_with_the_fix():
    model, images = tiny_vgg(statistics_group=3), random_images(batch=4)
    variables = drawn_variables(model, images)

    with pytest.raises(ValueError, match=r"divisor of the batch of 4 examples, got 3; choose a batch size"):
        model.apply(variables, images, train=True, mutable=["batch_stats"])
    assert evaluate(model, variables, images).shape == (4, 5)


def test_spiking_norms_move_by_the_root_of_a_tenth_and_ann_norms_by_a_tenth():
    model, images = tiny_vgg(), random_images()
    variables = drawn_variables(model, images)
    shifted = jax.tree.map(lambda leaf: leaf, variables)
    for path in ("ann", "snn"):
        norm = shifted["batch_stats"]["block1"][path]["norm"]
        norm["mean"] = norm["mean"] + 1

    _, before = train(model, variables, images)
    _, after = train(model, shifted, images)
    for path, kept in (("ann", 0.9), ("snn", 1 - 0.1**0.5)):
        moved = after["block1"][path]["norm"]["mean"] - before["block1"][path]["norm"]["mean"]
        np.testing.assert_allclose(moved, np.full(3, kept), rtol=1e-4)


def test_training_tracks_the_range_of_activations_and_leaves_images_at_the_unit_interval():
    model, images = tiny_vgg(), random_images()
    variables = drawn_variables(model, images)
    for block in variables["batch_stats"].values():
        block["encoder"] = {"low": jnp.zeros(()), "high": jnp.ones(())}
    _, statistics = train(model, variables, images)

    assert statistics["block1"]["encoder"] == {"low": 0, "high": 1}
    assert statistics["block2"]["encoder"] != {"low": 0, "high": 1}


def test_training_without_mutable_statistics_gives_the_same_logits():
    model, images = tiny_vgg(paths=("ann",)), random_images()
    variables = drawn_variables(model, images)

    logits = jax.jit(lambda v, x: model.apply(v, x, train=True))(variables, images)
    np.testing.assert_allclose(logits, train(model, variables, images)[0], rtol=1e-4, atol=1e-4)


def test_bfloat16_synapses_give_float32_logits_near_the_float32_models():
    images = random_images()
    half = tiny_vgg(dtype=jnp.bfloat16, paths=("ann",))
    full = tiny_vgg(paths=("ann",))
    both = tiny_vgg(dtype=jnp.bfloat16)
    variables = drawn_variables(full, images)
    logits, exact = evaluate(half, variables, images), evaluate(full, variables, images)

    assert logits.dtype == jnp.float32
    assert 0 < np.abs(logits - exact).max() < 0.05 * np.abs(exact).max()
    hybrid = evaluate(both, drawn_variables(both, images), images)
    assert hybrid.dtype == jnp.float32
    assert np.isfinite(hybrid).all()


@pytest.mark.parametrize(("paths", "absent"), [(("ann",), "snn"), (("snn",), "ann")])
def test_a_single_path_has_no_variables_of_the_other(paths, absent):
    names = leaf_names(abstract_variables(tiny_vgg(paths=paths)))

    assert names
    assert not [name for name in names if f"['{absent}']" in name]
    assert any("encoder" in name for name in names) == ("snn" in paths)


def test_model_initialises_with_unit_norms_and_bounded_kernels():
    model = tiny_vgg(paths=("ann",))
    variables = model.init(jax.random.key(0), random_images())
    other = model.init(jax.random.key(1), random_images())

    block = variables["params"]["block2"]["ann"]
    np.testing.assert_array_equal(block["norm"]["scale"], np.ones(3))
    assert 0.18 < np.abs(block["conv"]["kernel"]).max() <= 1 / np.sqrt(27)
    assert (block["conv"]["kernel"] != other["params"]["block2"]["ann"]["conv"]["kernel"]).all()
    np.testing.assert_array_equal(variables["batch_stats"]["block1"]["ann"]["norm"]["var"], np.ones(3))


def test_leak_is_a_hundredth():
    np.testing.assert_allclose(leaky_relu(jnp.asarray([-2.0, 3.0])), [-0.02, 3.0], rtol=1e-6)
