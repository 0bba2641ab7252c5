import dataclasses
import io
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax import core
from hasnn_jax.analysis import coding_plots
from hasnn_jax.data import open_digits

EVERY_VALUE = np.arange(256, dtype=np.uint8).reshape(16, 16)
DESCRIBED = core.BitPlaneCoding()


def pictures(figure):
    """The images of a figure's axes, from the first axes to the last."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def curves(axes):
    """The labelled curves of `axes`: {label: (x, y)}."""
    return {line.get_label(): line.get_data() for line in axes.get_lines() if not line.get_label().startswith("_")}


def bit(values, plane):
    return (values.astype(int) >> plane) & 1


def test_planes_are_the_bits_of_the_image_most_significant_first():
    image, *planes = pictures(coding_plots.plot_planes(EVERY_VALUE, DESCRIBED))

    np.testing.assert_array_equal(image, (EVERY_VALUE / 255).astype(np.float32))
    np.testing.assert_array_equal(planes, [bit(EVERY_VALUE, k) for k in (7, 6, 5, 4, 3, 2, 1, 0)])


def test_planes_are_titled_with_their_time_and_index():
    figure = coding_plots.plot_planes(EVERY_VALUE, core.BitPlaneCoding(plane_order="lsb_first", planes=3))

    assert [axes.get_title() for axes in figure.axes] == ["image", "t = 0: plane 5", "t = 1: plane 6", "t = 2: plane 7"]
    np.testing.assert_array_equal(pictures(figure)[1:], [bit(EVERY_VALUE, k) for k in (5, 6, 7)])


def test_fractional_lowest_plane_is_drawn_at_half():
    image = np.full((2, 2), 76.5 / 255, np.float32)  # 76.5 mod 2 is 0.5
    coding = core.BitPlaneCoding(plane_order="lsb_first", lowest_plane="fractional")

    lowest = pictures(coding_plots.plot_planes(image, coding))[1]

    np.testing.assert_allclose(lowest, 0.25, atol=1e-5)


def test_colour_planes_are_those_of_each_channel():
    image = np.stack([EVERY_VALUE, EVERY_VALUE.T, 255 - EVERY_VALUE], axis=-1)

    _, *planes = pictures(coding_plots.plot_planes(image, DESCRIBED))

    assert planes[0].shape == (16, 16, 3)
    np.testing.assert_array_equal(planes[2], bit(image, 5))


def test_images_of_a_data_source_can_be_drawn():
    digit = open_digits().test[0]["image"]  # uint8 [8, 8, 1]

    image, *planes = pictures(coding_plots.plot_planes(digit, DESCRIBED))

    assert image.shape == (8, 8)
    np.testing.assert_allclose(core.decode_bit_planes(jnp.asarray(planes)) * 255, digit[..., 0], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, jnp.bfloat16])
def test_floating_images_of_any_width_are_taken(dtype):
    image, first, *_ = pictures(coding_plots.plot_planes(np.array([[0, 0.25, 0.75, 1]]).astype(dtype), DESCRIBED))

    np.testing.assert_array_equal(image, np.float32([[0, 0.25, 0.75, 1]]))
    np.testing.assert_array_equal(first, [[0, 0, 1, 1]])


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((1, 4, 4, 3)), ValueError, r"expected shape \[H, W\].* got \(1, 4, 4, 3\)"),
        (np.zeros((4, 4, 2)), ValueError, "expected shape"),
        (np.zeros((0, 4)), ValueError, "expected shape"),
        (np.array([[0.0, 255.0]]), ValueError, r"values in \[0, 1\], got 0 to 255"),
        (np.array([[np.nan]]), ValueError, r"values in \[0, 1\]"),
        (np.array([[3]]), TypeError, "floating dtype or uint8, got int64"),
    ],
)
@pytest.mark.parametrize("draw", [coding_plots.plot_planes, coding_plots.overview])
def test_images_that_cannot_be_encoded_are_refused(draw, image, error, message):
    second = DESCRIBED if draw is coding_plots.plot_planes else core.SigSine()

    with pytest.raises(error, match=message):
        draw(image, second)


def test_surrogates_have_a_column_a_plane_and_a_row_a_quantity():
    surrogates = [core.SigSine(alpha=-4.0), core.FourierSine(order=2, offset=0.0)]
    planes = (6, 3)

    axes = np.reshape(coding_plots.plot_surrogates(surrogates, planes).axes, (3, 2))

    for column, k in enumerate(planes):
        for surrogate in surrogates:
            (x, wave), (_, raw), (_, rescaled) = (curves(panel)[repr(surrogate)] for panel in axes[:, column])
            np.testing.assert_array_equal(wave, surrogate.wave(jnp.asarray(x))[k])
            np.testing.assert_array_equal(raw, surrogate.derivative(jnp.asarray(x))[k])
            np.testing.assert_allclose(rescaled, raw * k / 2 ** (7 - k), rtol=1e-6)
            assert np.ptp(raw) > 0


@pytest.mark.parametrize(("plane", "last"), [(7, 255), (6, 255), (5, 128), (0, 4)])
def test_exact_plane_is_drawn_over_two_periods_within_the_value_range(plane, last):
    figure = coding_plots.plot_surrogates([core.SigSine()], [plane])

    x, exact = curves(figure.axes[0])["exact plane"]
    assert (x[0], x[-1]) == (0, last)
    np.testing.assert_array_equal(exact, bit(np.floor(x), plane))


def test_own_rescaling_is_the_one_drawn():
    def tenfold(plane):
        return 10.0

    _, raw, rescaled = coding_plots.plot_surrogates([core.TanhSine()], [4], tenfold).axes

    name = repr(core.TanhSine())
    np.testing.assert_allclose(curves(rescaled)[name][1], 10 * curves(raw)[name][1], rtol=1e-6)
    assert rescaled.figure.axes[0].get_title().endswith("= 10")


def test_own_surrogate_is_drawn():
    @dataclasses.dataclass(frozen=True)
    class Sine(core.Surrogate):
        def value(self, sin, cos):
            return (1 - sin) / 2

        def slope(self, sin, cos, half_period):
            return -cos / half_period

    wave, raw, _ = coding_plots.plot_surrogates([Sine()], [5]).axes

    x, y = curves(wave)[repr(Sine())]
    np.testing.assert_allclose(y, (1 - np.sin(np.pi * x / 32)) / 2, atol=1e-5)
    np.testing.assert_allclose(curves(raw)[repr(Sine())][1], -np.cos(np.pi * x / 32) / 32, atol=1e-5)


@pytest.mark.parametrize("plane", [-1, 8, 2.5])
def test_planes_that_do_not_exist_are_refused(plane):
    with pytest.raises(ValueError, match="plane: expected a whole number from 0 to 7"):
        coding_plots.plot_surrogates([core.SigSine()], [plane])
    with pytest.raises(ValueError, match="plane: expected a whole number from 0 to 7"):
        coding_plots.overview(EVERY_VALUE, core.SigSine(), plane)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="at least one surrogate"):
        coding_plots.plot_surrogates([])
    with pytest.raises(ValueError, match="at least one surrogate and one plane"):
        coding_plots.plot_surrogates([core.SigSine()], [])


def test_overview_shows_image_planes_wave_and_both_gradients():
    surrogate = core.FourierSine()

    figure = coding_plots.overview(EVERY_VALUE, surrogate, plane=4)

    assert len(figure.axes) == 11
    image, *planes = pictures(figure)
    np.testing.assert_array_equal(image, (EVERY_VALUE / 255).astype(np.float32))
    np.testing.assert_array_equal(planes, [bit(EVERY_VALUE, k) for k in range(7, -1, -1)])
    wave, gradient = figure.axes[9:]
    (x, exact), (_, smooth) = curves(wave).values()
    (_, raw), (_, rescaled) = curves(gradient).values()
    np.testing.assert_array_equal(exact, bit(np.floor(x), 4))
    np.testing.assert_array_equal(smooth, surrogate.wave(jnp.asarray(x))[4])
    np.testing.assert_array_equal(raw, surrogate.derivative(jnp.asarray(x))[4])
    np.testing.assert_allclose(rescaled, raw / 2, rtol=1e-6)  # F_4 = 4 / 2^3


def test_overview_labels_every_axis_and_names_the_factor():
    *_, wave, gradient = coding_plots.overview(EVERY_VALUE, core.SigSine(), plane=6).axes

    assert all("grey level" in axes.get_xlabel() and axes.get_ylabel() for axes in (wave, gradient))
    legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in (wave, gradient)]
    assert legends[0] == ["forward: exact plane 6", "backward: SigSine"]
    assert legends[1][1] == "rescaled by $F_6$ = 3"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: coding_plots.plot_planes(EVERY_VALUE, DESCRIBED),
        lambda: coding_plots.plot_surrogates([core.SigSine()], [3]),
        lambda: coding_plots.overview(EVERY_VALUE, core.SigSine()),
    ],
    ids=["planes", "surrogates", "overview"],
)
def test_figures_render(draw):
    png = io.BytesIO()

    draw().savefig(png, dpi=40)

    assert png.getvalue().startswith(b"\x89PNG")


def test_matplotlib_is_imported_by_drawing_alone():
    program = "import sys, hasnn_jax, hasnn_jax.analysis.coding_plots; sys.exit('matplotlib' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
