"""A config that is not valid is refused before anything is written."""

import pytest
from tiny_runs import tiny_config

from hasnn_jax.common.errors import InputError
from hasnn_jax.trainer import train_and_evaluate


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__name": "has8_vgg_b1_m1"}, "unknown model 'has8_vgg_b1_m1'.*did you mean"),
        ({"model__spiking__surrogate": "sigsin"}, "did you mean 'sigsine'"),
        ({"model__spiking__neuron": "lfi"}, "did you mean 'lif'"),
        ({"model__spiking__planes": 9}, "planes: expected a whole number from 1 to 8, got 9"),
        ({"model__paths": ("ann", "snm")}, "unknown path 'snm'.*did you mean 'snn'"),
        ({"model__statistics_group": 7}, "divisor of the batch size of 256.*got 7"),
        ({"model__name": "has8_vgg_b1_m1_d4"}, "halves its input 5 times and needs at least 32x32 pixels, got 8x8"),
        ({"data__num_classes": 9}, "digits has 10 classes, got 9"),
        ({"data__source": "digit"}, "did you mean 'digits'"),
        ({"optim__name": "adamq"}, "unknown optimizer 'adamq'"),
        ({"schedule__name": "cosine"}, "unknown schedule 'cosine'"),
        ({"optim__learning_rate": 0.0}, "optim.learning_rate: expected a number above 0; got 0.0"),
        ({"epochs": 0}, "epochs: expected a whole number, 1 or more; got 0"),
        ({"batch_size": -4}, "batch_size: expected a whole number, 1 or more; got -4"),
        ({"batch_size": 4096}, "batch_size: 4096 images are more than the 1,438"),
        ({"optim__rate": 1.0}, "unknown config key 'optim.rate'"),
        ({"accumulate": 3}, r"accumulate: expected a divisor of the \d+ images .* of a batch of 256; got 3"),
        ({"accumulate": 2}, r"do not hold whole statistics groups of 256; set config.model.statistics_group to \d+ or"),
    ],
)
def test_bad_config_is_refused_in_one_line_before_anything_is_written(changes, message, tmp_path):
    workdir = tmp_path / "run"
    with pytest.raises(InputError, match=message) as caught:
        train_and_evaluate(tiny_config(**changes), workdir)
    assert "\n" not in str(caught.value)
    assert not workdir.exists()
