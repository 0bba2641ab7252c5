import re

import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax import core


@pytest.mark.parametrize(
    ("field", "choices"),
    [
        ("plane_order", "msb_first, lsb_first"),
        ("lowest_plane", "binary, fractional"),
        ("value_range", "running, example, batch"),
        ("vector_gradient", "per_plane, pooled"),
    ],
)
def test_an_unknown_choice_is_refused_with_the_valid_ones(field, choices):
    with pytest.raises(ValueError, match=f"{field}: expected one of {choices}; got 'msb'"):
        core.BitPlaneCoding(**{field: "msb"})


@pytest.mark.parametrize("planes", [0, 9, -1, 4.0, "8", None])
def test_an_impossible_number_of_planes_is_refused(planes):
    with pytest.raises(ValueError, match=re.escape(f"planes: expected a whole number from 1 to 8, got {planes!r}")):
        core.BitPlaneCoding(planes=planes)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.bool_])
def test_images_that_are_not_floating_are_refused_with_the_fix(dtype):
    message = rf"x: expected a floating dtype, got {np.dtype(dtype)}; for 8-bit images pass x.astype\('float32'\) / 255"
    with pytest.raises(TypeError, match=message):
        core.encode(jnp.zeros((1, 2), dtype), core.BitPlaneCoding())


def test_codings_are_hashable_values():
    assert len({core.BitPlaneCoding(), core.BitPlaneCoding(planes=8), core.BitPlaneCoding(planes=7)}) == 2
