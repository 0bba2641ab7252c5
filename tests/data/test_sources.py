"""The table of data sources: a new one needs no other change than its entry there."""

import inspect

import pytest

from hasnn_jax.common.lookup import call_with
from hasnn_jax.config import default_config
from hasnn_jax.data import SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_can_be_opened_with_the_settings_of_a_config_alone(name):
    parameters = inspect.signature(SOURCES[name]).parameters.values()

    assert {p.name for p in parameters if p.default is p.empty} <= set(default_config().data)


def test_settings_reach_the_parameters_of_their_name(tmp_path):
    for path in ("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    settings = default_config().data
    settings.update({"data_dir": str(tmp_path), "exclude": ("dog",)})

    assert call_with(SOURCES["folder"], settings).classes == ("cat",)
    assert call_with(SOURCES["digits"], settings).name == "digits"
