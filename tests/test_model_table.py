"""Every number of the README's table of models, computed anew."""

import pathlib
import re

import pytest

import hasnn_jax
from hasnn_jax.analysis.layer_costs import model_cost

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(has8_\w+)` \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) M \| ([\d,]+) M \|$", README, re.MULTILINE)


def test_the_table_lists_every_family():
    names = {name for name, *_ in ROWS}

    assert {"has8_resnet_b32_m2_d4", "has8_resnet_b64_m2_d4", "has8_mobilenetv2", "has8_efficientnet_b0"} < names
    assert any("vgg" in name for name in names)
    assert names <= set(hasnn_jax.list_models())


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_number_of_the_table_is_the_packages_own_count(row):
    name, *listed = row
    hybrid, twin = (
        model_cost(hasnn_jax.create_model(name, 1000, paths=paths), (224, 224, 3))
        for paths in (("ann", "snn"), ("ann",))
    )
    millions = (round(cost.macs() / 1e6) for cost in (hybrid, twin))

    assert listed == [f"{number:,}" for number in (hybrid.parameters, twin.parameters, *millions)]
