"""Figures and summaries are made from the stored numbers alone."""

import pytest
from PIL import Image
from stored_numbers import comparison, sweep
from train_step_plots import draw
from train_step_text import summary


@pytest.mark.parametrize("numbers", [comparison(), sweep()], ids=["comparison", "sweep"])
def test_a_figure_is_drawn(numbers, tmp_path):
    draw(numbers, tmp_path / "figure.png")

    with Image.open(tmp_path / "figure.png") as image:
        assert min(image.size) > 200


def test_the_summary_has_speeds_ratios_memory_and_what_does_not_run():
    text = summary(comparison())

    assert "the port trains 16 images/s" in text
    assert "a step adds 7 MiB" in text
    assert "40% of the roofline" in text
    assert "The twin trains 8 images/s, taking 2.00 times the port's time (quartiles 1.90 to 2.10)" in text
    assert "The twin with torch.compile does not run here: no compiler." in text


def test_the_summary_of_a_sweep_has_the_lines():
    text = summary(sweep())

    assert "With batch 2, 4, 8 a step takes 10 ms + 2 ms per image, up to 3% off that line" in text
    assert "1 MiB + 0.5 MiB per plane" in text
