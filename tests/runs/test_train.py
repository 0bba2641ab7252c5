"""A whole training run: what it leaves in its folder, and that it resumes to the bit."""

import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp
from tiny_runs import assert_trees_equal, records, tiny_config

import hasnn_jax
from hasnn_jax.common.errors import InputError
from hasnn_jax.data import open_digits
from hasnn_jax.runs import loop
from hasnn_jax.runs.evaluate import evaluate_weights
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
    assert "measured on 64 test images" in summary


def test_metrics_come_at_every_log_point_and_evaluation_without_times(finished):
    train = [r for r in records(finished[0]) if r["split"] == "train"]
    test = [r for r in records(finished[0]) if r["split"] == "test"]
    assert [r["step"] for r in train] == [2, 4, 5, 6, 8, 10]
    assert [r["step"] for r in test] == [5, 10]
    assert set(train[0]) == {"step", "epoch", "split", "loss", "accuracy", "gradient_norm", "learning_rate"}


def test_outcome_is_the_last_evaluation(finished):
    workdir, outcome = finished
    last = records(workdir)[-1]
    of_test = {"test_loss": last["loss"], "test_accuracy": last["accuracy"]}
    assert outcome == {"step": 10, "epoch": 2.0, "complete": True, "asked_to_stop": False, **of_test}


def test_training_lowers_the_loss(finished):
    losses = [r["loss"] for r in records(finished[0]) if r["split"] == "train"]
    assert losses[-1] < losses[0]


def test_evaluation_counts_every_test_example_once(finished):
    accuracy = records(finished[0])[-1]["accuracy"]
    assert accuracy * 359 == pytest.approx(round(accuracy * 359), abs=1e-9)


def test_a_run_can_be_loaded_and_predicts_as_its_evaluation_did(finished):
    workdir, outcome = finished
    model = hasnn_jax.load(workdir)
    assert model.classes == tuple("0123456789")
    test = open_digits().test
    images = np.stack([model.preprocessing.for_evaluation(test[i]) for i in range(len(test))])
    right = model.predict(images).argmax(axis=1) == [test[i]["label"] for i in range(len(test))]
    assert right.mean() == pytest.approx(outcome["test_accuracy"], abs=1e-9)
    earlier = hasnn_jax.load(workdir / "checkpoints" / "5")
    assert earlier.classes == model.classes
    assert not np.array_equal(earlier.predict(images[:1]), model.predict(images[:1]))


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
    assert "resuming from the checkpoint of step 5 of 10" in capsys.readouterr().err
    assert records(tmp_path) == records(finished[0])
    assert_trees_equal(saved_state(tmp_path, 10), saved_state(finished[0], 10))


@pytest.mark.slow
def test_repeated_run_is_bit_identical(finished, tmp_path):
    train_and_evaluate(tiny_config(), tmp_path)
    assert records(tmp_path) == records(finished[0])
    assert_trees_equal(saved_state(tmp_path, 10), saved_state(finished[0], 10))


@pytest.mark.slow
def test_sigterm_saves_at_once_and_the_same_command_ends_with_the_same_weights(finished, tmp_path, monkeypatch, capsys):
    put_batch = loop.sharding.put_batch
    calls = iter(range(100))

    def put_and_signal(batch, mesh):
        if next(calls) == 8:  # two of them were for the evaluation
            os.kill(os.getpid(), signal.SIGTERM)
        return put_batch(batch, mesh)

    monkeypatch.setattr(loop.sharding, "put_batch", put_and_signal)
    outcome = train_and_evaluate(tiny_config(), tmp_path)
    assert (outcome["step"], outcome["complete"]) == (7, False)  # between two log points
    assert "stopped and saved at step 7 of 10" in capsys.readouterr().err
    monkeypatch.undo()
    assert train_and_evaluate(tiny_config(), tmp_path)["complete"]
    assert_trees_equal(saved_state(tmp_path, 10), saved_state(finished[0], 10))
    assert (tmp_path / "metrics.jsonl").read_bytes() == (finished[0] / "metrics.jsonl").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("evaluation", [1, 2], ids=["in the middle", "at the end"])
def test_sigterm_in_an_evaluation_saves_at_once_and_it_is_made_up_for(evaluation, finished, tmp_path, monkeypatch):
    evaluate_all = loop.evaluate_all
    calls = iter(range(1, 9))

    def signal_and_evaluate(*args, **kwargs):
        if next(calls) == evaluation:
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate_all(*args, **kwargs)

    monkeypatch.setattr(loop, "evaluate_all", signal_and_evaluate)
    outcome = train_and_evaluate(tiny_config(), tmp_path)
    assert (outcome["step"], outcome["complete"]) == (5 * evaluation, False)
    assert [r["step"] for r in records(tmp_path) if r["split"] == "test"] == [5][: evaluation - 1]
    monkeypatch.undo()
    assert train_and_evaluate(tiny_config(), tmp_path)["complete"]
    assert_trees_equal(saved_state(tmp_path, 10), saved_state(finished[0], 10))
    assert (tmp_path / "metrics.jsonl").read_bytes() == (finished[0] / "metrics.jsonl").read_bytes()


@pytest.mark.slow
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_gone_on_from(finished, tmp_path, capsys):
    run = shutil.copytree(finished[0], tmp_path / "run")
    manifest = run / "checkpoints" / "10" / "state" / "manifest.ocdbt"
    manifest.write_bytes(manifest.read_bytes()[:-1])
    assert train_and_evaluate(tiny_config(), run)["complete"]
    said = capsys.readouterr().err
    assert "the checkpoint of step 10 is damaged" in said
    assert "resuming from the checkpoint of step 5 of 10" in said
    assert_trees_equal(saved_state(run, 10), saved_state(finished[0], 10))
    assert (run / "metrics.jsonl").read_bytes() == (finished[0] / "metrics.jsonl").read_bytes()


def test_a_run_killed_before_its_summary_gets_it_when_it_is_called_again(finished, tmp_path):
    run = shutil.copytree(finished[0], tmp_path / "run")
    (run / "summary.txt").unlink()
    assert train_and_evaluate(tiny_config(), run)["complete"]
    ours, theirs = ((folder / "summary.txt").read_text().splitlines() for folder in (run, finished[0]))
    assert ours[:3] == theirs[:3]


def test_a_second_run_in_the_same_workdir_is_refused(tmp_path, monkeypatch):
    put_batch = loop.sharding.put_batch
    refused = []

    def put_and_start_another(batch, mesh):
        if not refused:
            with pytest.raises(InputError, match=r"another run is using it; choose another --workdir$") as error:
                train_and_evaluate(tiny_config(), tmp_path)
            refused.append(error)
        return put_batch(batch, mesh)

    monkeypatch.setattr(loop.sharding, "put_batch", put_and_start_another)
    assert train_and_evaluate(tiny_config(epochs=1), tmp_path)["complete"]
    assert refused


def test_a_workdir_that_vanishes_stops_the_run_with_an_explanation(tmp_path, monkeypatch):
    put_batch = loop.sharding.put_batch
    calls = iter(range(100))

    def put_and_remove(batch, mesh):
        if next(calls) == 6:
            shutil.rmtree(tmp_path / "run")
        return put_batch(batch, mesh)

    monkeypatch.setattr(loop.sharding, "put_batch", put_and_remove)
    with pytest.raises(InputError, match=r"run/checkpoints: is gone"):
        train_and_evaluate(tiny_config(), tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_another_configs_run_is_refused_and_left_alone(finished):
    workdir, _ = finished
    before = listing(workdir)
    with pytest.raises(InputError, match=r"optim.weight_decay is 0.001 there, 0.5 here.*another --workdir"):
        train_and_evaluate(tiny_config(optim__weight_decay=0.5), workdir)
    assert listing(workdir) == before


@pytest.mark.slow
def test_averaged_weights_are_kept_and_evaluated_by(tmp_path):
    outcome = train_and_evaluate(tiny_config(optim__average_decay=0.9), tmp_path)
    saved = saved_state(tmp_path, 10)
    assert jax.tree.structure(saved["average"]) == jax.tree.structure(saved["params"])
    assert not jax.tree.all(jax.tree.map(lambda x, y: bool((x == y).all()), saved["average"], saved["params"]))
    assert evaluate_weights(tiny_config(optim__average_decay=0.9), tmp_path)["loss"] == outcome["test_loss"]


@pytest.mark.slow
def test_in_bfloat16_only_synapses_are_and_what_accumulates_stays_float32(tmp_path):
    train_and_evaluate(tiny_config(model__dtype="bfloat16", optim__average_decay=0.9, epochs=1), tmp_path)
    saved = saved_state(tmp_path, 5)
    for part in ("params", "opt_state", "average", "batch_stats", "window"):
        dtypes = {str(leaf.dtype) for leaf in jax.tree.leaves(saved[part])}
        assert "float32" in dtypes, part
        assert dtypes <= {"float32", "int32"}, part


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"optim__name": "sgd", "optim__learning_rate": 0.01, "optim__clip_norm": 1.0},
        {"optim__name": "adamw", "optim__label_smoothing": 0.1, "schedule__name": "warmup_cosine"},
        {"optim__clip_rms": 0.01},
        {"model__dtype": "bfloat16", "model__statistics_group": 64},
    ],
    ids=lambda changes: ",".join(f"{k}={v}" for k, v in changes.items()),
)
def test_every_recipe_trains(changes, tmp_path):
    outcome = train_and_evaluate(tiny_config(epochs=1, **changes), tmp_path)
    assert outcome["complete"]
    assert np.isfinite(outcome["test_loss"])
