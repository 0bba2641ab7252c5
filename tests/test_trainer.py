import json
import os
import signal

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp
from tiny_runs import assert_trees_equal, tiny_config

from hasnn_jax import trainer
from hasnn_jax.errors import InputError
from hasnn_jax.trainer import train_and_evaluate


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The workdir and the outcome of a finished tiny run; tests must not change it."""
    workdir = tmp_path_factory.mktemp("finished")
    return workdir, train_and_evaluate(tiny_config(), workdir)


def saved_state(workdir, step):
    path = workdir / "checkpoints" / str(step)
    shapes = ocp.metadata(path).metadata
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), shapes)
    return ocp.load(path, abstract, checkpointable_name="state")


def records(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def listing(workdir):
    return {str(p.relative_to(workdir)): p.read_bytes() for p in workdir.rglob("*") if p.is_file()}


def test_run_leaves_config_metrics_events_checkpoints_curves_and_summary(finished):
    workdir, outcome = finished
    assert json.loads((workdir / "config.json").read_text())["model.name"] == "has8_vgg_b1_m1_d1"
    assert [p.name for p in sorted((workdir / "checkpoints").iterdir())] == ["10", "5"]
    assert (workdir / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((workdir / "tensorboard").glob("events*"))
    summary = (workdir / "summary.txt").read_text()
    assert f"test accuracy {outcome['test_accuracy']:.2%}" in summary
    assert "all 359 test images" in summary


def test_metrics_come_at_every_log_point_and_evaluation_without_times(finished):
    train = [r for r in records(finished[0]) if r["split"] == "train"]
    test = [r for r in records(finished[0]) if r["split"] == "test"]
    assert [r["step"] for r in train] == [2, 4, 5, 6, 8, 10]
    assert [r["step"] for r in test] == [5, 10]
    assert set(train[0]) == {"step", "epoch", "split", "loss", "accuracy", "gradient_norm", "learning_rate"}


def test_outcome_is_the_last_evaluation(finished):
    workdir, outcome = finished
    last = records(workdir)[-1]
    assert outcome == {
        "step": 10, "epoch": 2.0, "complete": True, "test_loss": last["loss"], "test_accuracy": last["accuracy"],
    }  # fmt: skip


def test_training_lowers_the_loss(finished):
    losses = [r["loss"] for r in records(finished[0]) if r["split"] == "train"]
    assert losses[-1] < losses[0]


def test_evaluation_counts_every_test_example_once(finished):
    accuracy = records(finished[0])[-1]["accuracy"]
    assert accuracy * 359 == pytest.approx(round(accuracy * 359), abs=1e-9)


def test_second_call_reports_completion_and_changes_nothing(finished, capsys):
    workdir, outcome = finished
    before = {k: v for k, v in listing(workdir).items() if k.startswith(("metrics", "checkpoints", "summary"))}
    assert train_and_evaluate(tiny_config(), workdir) == outcome
    assert "is complete" in capsys.readouterr().err
    assert {k: v for k, v in listing(workdir).items() if k in before} == before


def test_longer_schedule_goes_on_and_equals_a_run_without_the_break(finished, tmp_path, capsys):
    train_and_evaluate(tiny_config(epochs=1), tmp_path)
    capsys.readouterr()
    train_and_evaluate(tiny_config(epochs=2), tmp_path)
    assert "going on from the checkpoint of step 5 of 10" in capsys.readouterr().err
    assert records(tmp_path) == records(finished[0])
    assert_trees_equal(saved_state(tmp_path, 10), saved_state(finished[0], 10))


def test_repeated_run_is_bit_identical(finished, tmp_path):
    train_and_evaluate(tiny_config(), tmp_path)
    assert records(tmp_path) == records(finished[0])
    assert_trees_equal(saved_state(tmp_path, 10), saved_state(finished[0], 10))


def test_sigterm_saves_at_once_and_the_same_command_ends_with_the_same_weights(finished, tmp_path, monkeypatch, capsys):
    put_batch = trainer.sharding.put_batch
    calls = iter(range(100))

    def put_and_signal(batch, mesh):
        if next(calls) == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return put_batch(batch, mesh)

    monkeypatch.setattr(trainer.sharding, "put_batch", put_and_signal)
    outcome = train_and_evaluate(tiny_config(), tmp_path)
    assert not outcome["complete"]
    assert f"stopped and saved at step {outcome['step']} of 10" in capsys.readouterr().err
    monkeypatch.undo()
    assert train_and_evaluate(tiny_config(), tmp_path)["complete"]
    assert_trees_equal(saved_state(tmp_path, 10), saved_state(finished[0], 10))


def test_another_configs_run_is_refused_and_left_alone(finished):
    workdir, _ = finished
    before = listing(workdir)
    with pytest.raises(InputError, match=r"optim.weight_decay is 0.001 there, 0.5 here.*another --workdir"):
        train_and_evaluate(tiny_config(optim__weight_decay=0.5), workdir)
    assert listing(workdir) == before


def test_diverging_loss_stops_with_step_checkpoint_and_advice(tmp_path):
    config = tiny_config(optim__name="sgd", optim__learning_rate=1e30)
    with pytest.raises(InputError, match=r"not finite at step \d+ \(nothing was saved.*learning_rate"):
        train_and_evaluate(config, tmp_path)


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
    ],
)
def test_bad_config_is_refused_in_one_line_before_anything_is_written(changes, message, tmp_path):
    workdir = tmp_path / "run"
    with pytest.raises(InputError, match=message) as caught:
        train_and_evaluate(tiny_config(**changes), workdir)
    assert "\n" not in str(caught.value)
    assert not workdir.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"optim__name": "sgd", "optim__learning_rate": 0.01, "optim__clip_norm": 1.0},
        {"optim__name": "adamw", "optim__label_smoothing": 0.1, "schedule__name": "warmup_cosine"},
        {"model__dtype": "bfloat16", "model__statistics_group": 64},
    ],
    ids=lambda changes: ",".join(f"{k}={v}" for k, v in changes.items()),
)
def test_every_recipe_trains(changes, tmp_path):
    outcome = train_and_evaluate(tiny_config(epochs=1, **changes), tmp_path)
    assert outcome["complete"]
    assert np.isfinite(outcome["test_loss"])
