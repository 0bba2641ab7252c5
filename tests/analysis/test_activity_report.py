"""The report holds what was measured, as JSON, as text and as a picture."""

import json

import numpy as np
import pytest
from handmade_model import small_resnet
from PIL import Image
from tiny_models import drawn_variables, random_images, tiny_vgg

from hasnn_jax.analysis.activity import measure_activity
from hasnn_jax.analysis.layer_costs import model_cost
from hasnn_jax.analysis.plane_gradients import plane_gradients
from hasnn_jax.analysis.report import analyse
from hasnn_jax.analysis.report_plot import plot_report
from hasnn_jax.analysis.report_text import describe
from hasnn_jax.common.errors import InputError

pytestmark = pytest.mark.slow
LABELS = np.array([0, 1, 2, 3])


@pytest.fixture(scope="module")
def measured():
    """A model, its variables, images, and the report of two batches, of which the first is used for gradients."""
    model, images = tiny_vgg(), random_images(batch=4)
    variables = drawn_variables(model, images)
    batches = ((images[i : i + 2], LABELS[i : i + 2]) for i in (0, 2))
    return model, variables, images, analyse(model, variables, batches)


def test_the_report_is_what_its_parts_measure(measured):
    model, variables, images, report = measured

    assert report.cost == model_cost(model, (8, 8, 3))
    assert report.activity == measure_activity(model, variables, [images])
    assert report.gradients == plane_gradients(model, variables, [(images[:2], LABELS[:2])])
    assert report.gradient_images == 2


def test_totals_add_up(measured):
    report = measured[-1]
    whole, parts = report.totals(), [report.totals(path) for path in report.paths()]

    assert report.paths() == ("ann", "snn")
    for field in ("parameters", "macs", "effective_macs", "effective_acs"):
        assert getattr(whole, field) == pytest.approx(sum(getattr(part, field) for part in parts))
    assert whole.energy.arithmetic == pytest.approx(4.6 * whole.effective_macs + 0.9 * whole.effective_acs)
    assert whole.energy.quantised == pytest.approx(0.3 * (parts[0].macs + parts[1].macs / 8))
    assert 0 < whole.effective_macs < parts[0].macs
    assert 0 < whole.effective_acs < parts[1].macs


def test_the_dict_survives_json(measured):
    report = measured[-1]
    as_dict = report.as_dict()

    assert json.loads(json.dumps(as_dict)) == as_dict
    assert as_dict["totals"]["all"]["macs"] == report.cost.macs()
    assert as_dict["layers"]["head/snn/dense2"]["effective_acs"] == [
        count / 4 for count in report.activity.layers["head/snn/dense2"].acs
    ]
    assert as_dict["blocks"]["block1"]["share"] == report.activity.blocks["block1"].share
    assert as_dict["neurons"]["block1/snn/conv"]["rates"] == list(report.activity.neurons["block1/snn/conv"].rates)
    assert as_dict["gradients"]["head/encoder"]["planes"] == [7, 6, 5, 4, 3, 2, 1, 0]


def test_the_text_has_every_layer_activation_and_encoder(measured):
    report = measured[-1]
    text = describe(report)

    for name in (*report.activity.layers, *report.activity.encoders, *report.activity.blocks):
        assert f"\n{name} " in text
    assert f"{report.cost.parameters:,} parameters" in text
    assert f"{report.cost.macs():,}" in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("paths", [("ann", "snn"), ("ann",), ("snn",)])
def test_the_picture_is_drawn_for_every_choice_of_paths(paths, tmp_path):
    model, images = small_resnet(paths), random_images(batch=2)
    report = analyse(model, drawn_variables(model, images), [(images, LABELS[:2])])
    figure = plot_report(report, "a model")
    figure.savefig(tmp_path / "report.png", dpi=80, format="png")

    with Image.open(tmp_path / "report.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    assert 0.005 < np.mean(pixels < 200) < 0.5  # neither empty nor black
    assert figure.get_suptitle() == "a model"
    assert describe(report)


def test_without_labels_there_are_no_gradients(measured):
    model, variables, images, report = measured
    unlabelled = analyse(model, variables, [(images, None)])

    assert unlabelled.gradients == ()
    assert unlabelled.activity == report.activity
    assert plot_report(unlabelled)
    assert "gradient" not in describe(unlabelled)


def test_no_images_are_refused(measured):
    with pytest.raises(InputError, match="no images"):
        analyse(*measured[:2], [])
