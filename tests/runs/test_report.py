"""What a run reports of itself."""

import json

import jax
from tiny_runs import tiny_config

from hasnn_jax.assembly.run_setup import RunSetup
from hasnn_jax.data.sources import Source
from hasnn_jax.runs import report
from hasnn_jax.training import sharding
from hasnn_jax.training.state import TrainState


def described(name):
    source = Source(name, ("a", "b"), train=[], test=[])
    setup = RunSetup(sharding.make_mesh(), source, *(None,) * 2, 256, *(None,) * 2)
    state = TrainState(*(None,) * 6).replace(params={"kernel": jax.ShapeDtypeStruct((3, 4), "float32")})
    return report.describe(tiny_config(), setup, state)


def test_a_run_is_titled_by_the_data_that_it_trains_on_not_by_the_configs_default(tmp_path, monkeypatch):
    record = {"step": 1, "epoch": 1.0, "split": "test", "loss": 1.0, "accuracy": 0.5}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    titles = []
    monkeypatch.setattr(report, "plot_curves", lambda records, path, title: (titles.append(title), path.touch()))
    report.plot_run(described("pictures"), tmp_path)
    summary = report.write_summary(described("pictures"), tmp_path)
    assert titles == ["has8_vgg_b1_m1_d1 on pictures"]
    assert summary.startswith("has8_vgg_b1_m1_d1 on pictures: 12 parameters, 2 classes\n")
