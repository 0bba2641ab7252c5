import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_models import drawn_variables, random_images, tiny_resnet, tiny_vgg

import hasnn_jax

MODEL = tiny_vgg(paths=("ann",))
IMAGES = random_images()


@pytest.fixture(scope="module")
def variables():
    return drawn_variables(MODEL, IMAGES)


def test_a_single_image_without_a_batch_axis_is_refused_with_the_fix(variables):
    message = r"images: expected \[batch, height, width, channels\], got shape \(8, 8, 3\); .* pass images\[None\]"
    with pytest.raises(ValueError, match=message):
        MODEL.apply(variables, IMAGES[0])


def test_flat_images_are_refused(variables):
    with pytest.raises(ValueError, match=r"expected \[batch, height, width, channels\], got shape \(4, 192\)(?!;)"):
        MODEL.apply(variables, IMAGES.reshape(4, -1))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_integer_images_are_refused_with_the_fix(variables, dtype):
    message = rf"floating dtype with values in \[0, 1\], got {np.dtype(dtype)}; .*images.astype\('float32'\) / 255"
    with pytest.raises(TypeError, match=message):
        MODEL.apply(variables, jnp.zeros((1, 8, 8, 3), dtype))


@pytest.mark.parametrize("model", [MODEL, tiny_resnet(paths=("snn",)), tiny_vgg()], ids=["ann", "resnet", "hybrid"])
def test_channels_first_images_are_refused_with_a_guess(model):
    variables = drawn_variables(model, IMAGES)
    message = r"initialised for 3 channels \(last axis\), got 8 in shape \(4, 3, 8, 8\); is the array \[batch, channels"
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda x: tiny_without_depth(model).apply(variables, x), IMAGES.transpose(0, 3, 1, 2))


def tiny_without_depth(model):
    """Without depth, the size check of the VGG does not raise before the check of the channels."""
    return model.clone(depth=0) if hasattr(model, "depth") else model


@pytest.mark.parametrize(("depth", "size"), [(1, 3), (2, 7), (4, 31)])
def test_images_too_small_for_a_vggs_depth_are_refused_with_the_size_it_needs(depth, size):
    model = hasnn_jax.create_model(f"has8_vgg_b1_m1_d{depth}", num_classes=2)
    message = (
        rf"HybridVGG halves its input {depth + 1} times and needs at least {size + 1}x{size + 1} pixels, "
        rf"got {size}x{size + 1}; resize them or lower the depth"
    )

    with pytest.raises(ValueError, match=message):
        model.init(jax.random.key(0), jnp.zeros((1, size, size + 1, 3)))
    smallest = jnp.zeros((1, size + 1, size + 1, 3))
    assert jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), smallest)[0]).shape == (1, 2)


def test_an_empty_batch_is_refused_by_name(variables):
    with pytest.raises(ValueError, match=r"images: .*at least one image"):
        MODEL.apply(variables, jnp.zeros((0, 8, 8, 3)))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    ("value", "got"), [(float("nan"), "nan to nan"), (2.0, r"0\.\d+ to 2(\.0)?"), (-1.0, r"-1\.?0* to 0\.\d+")]
)
def test_checked_calls_refuse_values_outside_the_unit_interval(variables, value, got, jit):
    apply = jax.jit(MODEL.apply) if jit else MODEL.apply
    bad = IMAGES.at[2, 3, 4, 1].set(value)

    with pytest.raises(ValueError, match=rf"images: expected values in \[0, 1\], got a range of {got}; divide 8-bit"):
        hasnn_jax.checked(apply)(variables, bad)


def test_checked_calls_give_the_same_logits_for_good_images(variables):
    logits = hasnn_jax.checked(MODEL.apply)(variables, IMAGES, train=False)

    np.testing.assert_allclose(logits, MODEL.apply(variables, IMAGES, train=False), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_checked_covers_a_gradient_through_the_spiking_path():
    model = tiny_vgg(paths=("snn",))
    variables = drawn_variables(model, IMAGES)

    def loss(images):
        return model.apply(variables, images).sum()

    with pytest.raises(ValueError, match=r"expected values in \[0, 1\]"):
        hasnn_jax.checked(jax.jit(jax.grad(loss)))(2 * IMAGES)


def test_unchecked_calls_take_any_value(variables):
    assert np.isfinite(jax.jit(MODEL.apply)(variables, 3 * IMAGES)).all()


def test_a_compiled_function_that_ran_unchecked_is_checked_where_that_is_asked_for(variables):
    apply = jax.jit(MODEL.apply)
    apply(variables, 3 * IMAGES)

    with pytest.raises(ValueError, match=r"expected values in \[0, 1\]"):
        hasnn_jax.checked(apply)(variables, 3 * IMAGES)

    apply(variables, 3 * IMAGES)


def test_the_same_model_is_the_same_program_however_often_it_is_traced(variables):
    def program():
        return jax.jit(lambda images: MODEL.apply(variables, images)).lower(IMAGES).as_text()

    before = program()
    hasnn_jax.checked(MODEL.apply)(variables, IMAGES)

    assert program() == before  # otherwise it would miss the compilation cache
