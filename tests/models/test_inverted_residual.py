"""HAS-8 on MobileNetV2 and EfficientNet-B0: their published sizes, their blocks, and how they run."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from tiny_models import (
    SPECS,
    abstract_variables,
    drawn_variables,
    evaluate,
    leaf_names,
    parameter_gradients,
    random_images,
    tiny_efficientnet,
    tiny_mobilenet,
    train,
)

import hasnn_jax
from hasnn_jax.inference.block_outputs import block_outputs
from hasnn_jax.models import Hybrid
from hasnn_jax.models.inverted_residual import rounded_width, veto

PUBLISHED = {"has8_mobilenetv2": 2_223_872, "has8_efficientnet_b0": 4_007_548}  # without the classifier
TINY = [pytest.param(tiny_mobilenet, id="mobilenet"), pytest.param(tiny_efficientnet, id="efficientnet")]
NAMES = list(PUBLISHED)


def parameters(name, num_classes, **kwargs):
    variables = abstract_variables(hasnn_jax.create_model(name, num_classes, **kwargs))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def with_driven_squeeze(variables):
    """Kernels so large that means of sparse spikes drive the neurons behind them; silent ones pass on no gradient."""

    def larger(path, leaf):
        return 10 * leaf if [key.key for key in path[-2:]] == ["squeeze", "kernel"] else leaf

    return jax.tree_util.tree_map_with_path(larger, variables)


def block_sizes(model, size):
    """(height, channels) of every block's output, in order."""
    found = []

    def record(call, arguments, keywords, context):
        y = call(*arguments, **keywords)
        if isinstance(context.module, Hybrid):
            found.append((context.module.name, y.shape[1], y.shape[3]))
        return y

    with nn.intercept_methods(record):
        abstract_variables(model, jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32))
    return found


@pytest.mark.parametrize("num_classes", [10, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_the_ann_twin_has_the_published_number_of_parameters(name, num_classes):
    assert parameters(name, num_classes, paths=("ann",)) == PUBLISHED[name] + 1281 * num_classes


@pytest.mark.parametrize("stem", ["imagenet", "small"])
@pytest.mark.parametrize("name", NAMES)
def test_each_path_holds_its_half_and_the_classifier_is_shared(name, stem):
    hybrid, ann, snn = (parameters(name, 10, paths=p, stem=stem) for p in (("ann", "snn"), ("ann",), ("snn",)))

    assert ann == snn == PUBLISHED[name] + 12_810
    assert hybrid == 2 * ann - 12_810


@pytest.mark.parametrize(
    ("name", "millions"),  # as timm lists them
    [("has8_mobilenetv2_035", 1.68), ("has8_mobilenetv2_050", 1.97), ("has8_mobilenetv2_140", 6.11)],
)
def test_other_widths_have_their_published_sizes(name, millions):
    assert parameters(name, 1000, paths=("ann",)) / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize(
    ("features", "width", "rounded"), [(32, 1, 32), (24, 0.35, 8), (32, 0.35, 16), (96, 1.4, 136), (16, 0.1, 8)]
)
def test_widths_are_rounded_to_multiples_of_8_that_lose_at_most_a_tenth(features, width, rounded):
    assert rounded_width(features, width) == rounded


@pytest.mark.parametrize(
    ("stem", "size", "heights"),
    [
        ("imagenet", 224, (112, 112, 56, 28, 14, 14, 7, 7, 7)),
        ("small", 32, (32, 32, 32, 16, 8, 8, 4, 4, 4)),
        ("small", 8, (8, 8, 8, 4, 2, 2, 1, 1, 1)),
    ],
)
@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("has8_mobilenetv2", (32, 16, 24, 32, 64, 96, 160, 320, 1280)),
        ("has8_efficientnet_b0", (32, 16, 24, 40, 80, 112, 192, 320, 1280)),
    ],
)
def test_stages_have_the_papers_widths_and_sizes(name, channels, stem, size, heights):
    sizes = block_sizes(hasnn_jax.create_model(name, 10, paths=("ann",), stem=stem), size)
    of_stages = [(height, width) for block, height, width in sizes if block.endswith(("stem", "block1", "last"))]

    assert of_stages == list(zip(heights, channels, strict=True))
    assert len(sizes) == {"has8_mobilenetv2": 19, "has8_efficientnet_b0": 18}[name]


@pytest.mark.parametrize("make", TINY)
@pytest.mark.parametrize("spec", SPECS)
def test_evaluation_gives_finite_float32_logits_that_depend_on_the_image(make, spec):
    model, images = make(spiking=SPECS[spec]), random_images()
    logits = evaluate(model, drawn_variables(model, images), images)

    assert logits.shape == (4, 5)
    assert logits.dtype == jnp.float32
    assert np.isfinite(logits).all()
    assert np.abs(logits[0] - logits[1]).max() > 1e-4


@pytest.mark.parametrize("make", TINY)
def test_logits_of_bfloat16_layers_are_float32(make):
    images = random_images()
    model = make(dtype=jnp.bfloat16)
    logits = jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x, train=True)[0], images)

    assert logits.dtype == jnp.float32


@pytest.mark.parametrize("make", TINY)
def test_evaluation_does_not_depend_on_batch_mates(make):
    model, images = make(), random_images()
    variables = drawn_variables(model, images)

    brighter = images.at[1:].multiply(0.3)
    alone, together = (evaluate(model, variables, batch)[0] for batch in (images, brighter))
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", TINY)
def test_blocks_add_spikes_to_spikes_and_their_narrow_ends_fire(make):
    model, images = make(), random_images()
    outputs = block_outputs(model, drawn_variables(model, images), images, layers=True)

    for name, values in outputs.items():
        if name.endswith("/spikes"):
            assert set(np.unique(values)) <= ({0, 1, 2} if name == "stage2_block2/spikes" else {0, 1}), name
    np.testing.assert_array_equal(
        outputs["stage2_block2/spikes"],
        outputs["stage2_block2/planes"] + outputs["stage2_block2/snn/narrow_norm/spikes"],
    )


@pytest.mark.parametrize("make", TINY)
def test_a_single_path_has_no_variables_of_the_other(make):
    hybrid = leaf_names(abstract_variables(make()))
    assert leaf_names(abstract_variables(make(paths=("snn",)))) == {n for n in hybrid if "['ann']" not in n}
    assert leaf_names(abstract_variables(make(paths=("ann",)))) == {
        n for n in hybrid if "['snn']" not in n and "encoder" not in n
    }


def test_a_veto_is_the_opposite_of_a_spike():
    currents = jnp.asarray([[0.2, 1.5], [0.9, -1.0]])  # [T, C]

    np.testing.assert_array_equal(veto(hasnn_jax.core.IF())(currents), [[1, 0], [0, 1]])


def test_images_of_another_number_of_channels_are_refused():
    model, images = tiny_mobilenet(), random_images()
    variables = abstract_variables(model, images)

    with pytest.raises(ValueError, match=r"initialised for 3 channels \(last axis\), got 1 in shape \(4, 8, 8, 1\)"):
        jax.eval_shape(model.apply, variables, images[..., :1])


@pytest.mark.slow
@pytest.mark.parametrize("make", TINY)
@pytest.mark.parametrize("spec", SPECS)
def test_every_parameter_gets_a_finite_gradient(make, spec):
    model, images = make(spiking=SPECS[spec]), random_images()
    gradients = parameter_gradients(model, with_driven_squeeze(drawn_variables(model, images)), images)

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    found = jax.tree_util.tree_leaves_with_path(gradients)
    assert [jax.tree_util.keystr(path) for path, leaf in found if not np.abs(leaf).max() > 1e-9] == []


@pytest.mark.slow
@pytest.mark.parametrize("make", TINY)
def test_statistics_groups_train_as_if_alone(x64, make):
    grouped, alone = (make(statistics_group=group, dtype=jnp.float64, stem="imagenet") for group in (2, None))
    images = random_images().astype(jnp.float64)
    variables = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), drawn_variables(grouped, images))

    together, _ = train(grouped, variables, images)
    parts = [train(alone, variables, images[i : i + 2])[0] for i in (0, 2)]
    np.testing.assert_allclose(together, np.concatenate(parts), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("make", TINY)
def test_a_narrow_network_learns_a_few_digits(make):
    digits = np.load(pathlib.Path(hasnn_jax.__file__).parent / "data" / "digits.npz")
    chosen = np.flatnonzero(digits["labels"] < 5)[:32]
    images, labels = digits["images"][chosen, ..., None] / np.float32(16), digits["labels"][chosen].astype(int)
    model, optimizer = make(stem="imagenet"), optax.adam(3e-3)
    variables = jax.jit(model.init)(jax.random.key(0), images)

    def loss_of(params, stats):
        logits, updates = model.apply({"params": params, "batch_stats": stats}, images, True, mutable=["batch_stats"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), updates["batch_stats"]

    @jax.jit
    def step(params, stats, state):
        (loss, stats), gradients = jax.value_and_grad(loss_of, has_aux=True)(params, stats)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), stats, state, loss

    params, stats = variables["params"], variables["batch_stats"]
    state, losses = optimizer.init(params), []
    for _ in range(20):
        params, stats, state, loss = step(params, stats, state)
        losses.append(float(loss))

    assert losses[0] > 1.3  # log 5 is 1.6
    assert np.mean(losses[-3:]) < losses[0] / 2
