"""What a run reports of itself."""

import dataclasses
import json
import types

import jax
from tiny_runs import tiny_config

from hasnn_jax.assembly.run_setup import set_up
from hasnn_jax.runs import report
from hasnn_jax.runs.measured import cost_of_image
from hasnn_jax.training.state import TrainState


def described(name):
    setup = set_up(tiny_config())
    setup = dataclasses.replace(setup, source=dataclasses.replace(setup.source, name=name, classes=("a", "b")))
    state = TrainState(*(None,) * 6).replace(params={"kernel": jax.ShapeDtypeStruct((3, 4), "float32")})
    return report.describe(tiny_config(), setup, state)


def test_a_run_says_at_its_start_what_an_image_costs(tmp_path):
    said = []
    log = types.SimpleNamespace(say=said.append, workdir=tmp_path)
    report.announce(log, described("pictures"), cost_of_image(set_up(tiny_config())), start=0, total=10)
    (line,) = [line for line in said if "multiply-accumulates" in line]
    # Both paths have two convolutions (1 channel of 8 x 8, then of 4 x 4, 3 x 3 kernels) and the head's three layers.
    ann = 9 * 64 + 9 * 16 + 1 * 1024 + 1024 * 512 + 512 * 10
    assert line.endswith(f": {ann / 1e6:.4g} M (ann), {8 * ann / 1e6:.4g} M (snn)")


def test_a_run_is_titled_by_the_data_that_it_trains_on_not_by_the_configs_default(tmp_path, monkeypatch):
    record = {"step": 1, "epoch": 1.0, "split": "test", "loss": 1.0, "accuracy": 0.5}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    titles = []
    monkeypatch.setattr(report, "plot_curves", lambda records, path, title: (titles.append(title), path.touch()))
    report.plot_run(described("pictures"), tmp_path)
    summary = report.write_summary(described("pictures"), tmp_path)
    assert titles == ["has8_vgg_b1_m1_d1 on pictures"]
    assert summary.startswith("has8_vgg_b1_m1_d1 on pictures: 12 parameters, 2 classes\n")
