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
    tiny_resnet,
    train,
)

import hasnn_jax
from hasnn_jax.models.hybrid import LayerFactory
from hasnn_jax.models.pooling import max_pool
from hasnn_jax.models.resnet import StemBody, block_convs, identity


@pytest.mark.parametrize("spec", SPECS)
def test_evaluation_gives_finite_float32_logits_that_depend_on_the_image(spec):
    model, images = tiny_resnet(spiking=SPECS[spec]), random_images()
    logits = evaluate(model, drawn_variables(model, images), images)

    assert logits.shape == (4, 5)
    assert logits.dtype == jnp.float32
    assert np.isfinite(logits).all()
    assert np.abs(logits[0] - logits[1]).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
def test_every_parameter_gets_a_finite_gradient(spec):
    model, images = tiny_resnet(spiking=SPECS[spec]), random_images()
    gradients = parameter_gradients(model, drawn_variables(model, images), images)

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    dead = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
        if not np.abs(leaf).max() > 1e-9
    ]
    assert dead == []


@pytest.mark.slow
def test_statistics_groups_train_as_if_alone():
    model, images = tiny_resnet(statistics_group=2), random_images()
    alone = tiny_resnet()
    variables = drawn_variables(model, images)

    together, _ = train(model, variables, images)
    parts = [train(alone, variables, images[i : i + 2])[0] for i in (0, 2)]
    np.testing.assert_allclose(together, np.concatenate(parts), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("paths", "absent"), [(("ann",), "snn"), (("snn",), "ann")])
def test_a_single_path_has_no_variables_of_the_other(paths, absent):
    hybrid = leaf_names(abstract_variables(tiny_resnet()))
    single = leaf_names(abstract_variables(tiny_resnet(paths=paths)))

    forbidden = (f"['{absent}']", "['encoder']") if absent == "snn" else (f"['{absent}']",)
    assert single == {name for name in hybrid if not any(part in name for part in forbidden)}
    assert len(single) < len(hybrid)


def test_ann_path_alone_ignores_the_spiking_spec():
    images = random_images()
    described, released = (tiny_resnet(paths=("ann",), spiking=spec) for spec in SPECS.values())
    variables = drawn_variables(described, images)

    np.testing.assert_array_equal(evaluate(described, variables, images), evaluate(released, variables, images))


def test_widths_double_from_stage_to_stage_and_the_stem_has_64_channels():
    params = abstract_variables(hasnn_jax.create_model("has8_resnet_b4_m2_d4", 7))["params"]

    assert params["stem"]["ann"]["conv"]["kernel"].shape == (7, 7, 3, 64)
    for stage, width in enumerate((4, 8, 16, 32), start=1):
        for block in (1, 2):
            assert params[f"stage{stage}_block{block}"]["snn"]["conv2"]["kernel"].shape == (3, 3, width, width)
    assert params["stage1_block1"]["ann"]["shortcut_conv"]["kernel"].shape == (1, 1, 64, 4)
    assert params["stage3_block1"]["snn"]["shortcut_conv"]["kernel"].shape == (1, 1, 8, 16)
    assert "shortcut_conv" not in params["stage3_block2"]["ann"]
    assert params["classifier"]["kernel"].shape == (32, 7)


@pytest.mark.parametrize(("depth", "blocks"), [(34, (3, 4, 6, 3)), (50, (3, 4, 6, 3)), (101, (3, 4, 23, 3))])
def test_deeper_models_have_their_number_of_blocks(depth, blocks):
    params = abstract_variables(hasnn_jax.create_model(f"has8_resnet{depth}_b32", 10, paths=("ann",)))["params"]
    found = tuple(sum(name.startswith(f"stage{stage}_") for name in params) for stage in (1, 2, 3, 4))

    assert found == blocks


def test_bottlenecks_narrow_by_base_width_over_64_and_widen_by_four():
    assert block_convs("bottleneck", 64, 64, 1) == ((64, 1, 1), (64, 3, 1), (256, 1, 1))
    assert block_convs("bottleneck", 128, 32, 2) == ((64, 1, 1), (64, 3, 2), (512, 1, 1))
    assert block_convs("basic", 16, 8, 2) == ((16, 3, 2), (16, 3, 1))


@pytest.mark.parametrize(("kind", "size"), [("imagenet", 8), ("small", 32)])
def test_small_stem_keeps_resolution_and_the_imagenet_stem_quarters_it(kind, size):
    stem = StemBody(LayerFactory(), kind, identity, max_pool)
    y = jax.eval_shape(lambda x: stem.init_with_output(jax.random.key(0), x, False)[0], jnp.zeros((2, 32, 32, 3)))

    assert y.shape == (2, size, size, 64)


def test_small_stem_differs_in_its_first_kernel_alone():
    small = abstract_variables(tiny_resnet(stem="small"))
    large = abstract_variables(tiny_resnet(stem="imagenet"))
    different = jax.tree.map(lambda a, b: a.shape != b.shape, small, large)

    assert small["params"]["stem"]["snn"]["conv"]["kernel"].shape == (3, 3, 3, 64)
    assert leaf_names(jax.tree.map(lambda d: d or None, different)) == {
        "['params']['stem']['ann']['conv']['kernel']",
        "['params']['stem']['snn']['conv']['kernel']",
    }


def test_described_evaluation_does_not_depend_on_batch_mates():
    model, images = tiny_resnet(), random_images()
    variables = drawn_variables(model, images)

    brighter = images.at[1:].multiply(0.3)
    np.testing.assert_allclose(
        evaluate(model, variables, images)[0], evaluate(model, variables, brighter)[0], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("planes", range(1, 9))
def test_any_number_of_planes_gives_a_model_with_the_same_parameters(planes):
    coding = dataclasses.replace(hasnn_jax.AS_DESCRIBED.coding, planes=planes)
    model = tiny_resnet(spiking=hasnn_jax.SpikingSpec(coding=coding))

    assert abstract_variables(model) == abstract_variables(tiny_resnet())
