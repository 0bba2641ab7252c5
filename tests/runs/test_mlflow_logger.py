"""Metrics in MLflow, read back with its own client from its file store."""

import math
import os

import pytest

from hasnn_jax.runs.metrics import MetricWriter, read_metrics

mlflow = pytest.importorskip("mlflow")

SETTINGS = {"epochs": 2, "model.paths": ("ann", "snn"), "data.how_to_get": "", "optim.clip_norm": None}
TEST = {"loss": 0.1, "accuracy": 1 / 3}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Nothing of MLflow's is set, and what is set meanwhile is undone."""
    for name in {"MLFLOW_ALLOW_FILE_STORE", *filter(lambda name: name.startswith("MLFLOW_"), os.environ)}:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


def writer(workdir, from_step=0, **changes):
    return MetricWriter(workdir, from_step, ["mlflow"], SETTINGS | changes)


def train(step):
    return {"loss": 1 / step, "accuracy": step / 100}


def client(workdir):
    return mlflow.MlflowClient((workdir / "mlruns").as_uri())


def only_run(workdir):
    experiment = client(workdir).get_experiment_by_name("hasnn_jax")
    (run,) = client(workdir).search_runs([experiment.experiment_id])
    return run


def points(workdir, name):
    history = client(workdir).get_metric_history(only_run(workdir).info.run_id, name)
    return [(point.step, point.value) for point in history]


def test_every_value_is_under_its_split_and_step(tmp_path):
    with writer(tmp_path) as metrics:
        metrics.write(10, 0.5, "train", train(10))
        metrics.write(20, 1.0, "train", {"loss": math.nan, "accuracy": 0.5})
        metrics.write(20, 1.0, "test", TEST)
    assert points(tmp_path, "train/accuracy") == [(10, 0.1), (20, 0.5)]
    assert points(tmp_path, "train/epoch") == [(10, 0.5), (20, 1.0)]
    assert points(tmp_path, "test/loss") == [(20, 0.1)]
    assert math.isnan(points(tmp_path, "train/loss")[1][1])


def test_config_summary_name_and_outcome_are_recorded(tmp_path):
    workdir = tmp_path / "my_run"
    workdir.mkdir()
    with writer(workdir) as metrics:
        metrics.write(20, 1.0, "test", TEST)
        metrics.summarise({"test_accuracy": 1 / 3, "step": 20})
    run = only_run(workdir)
    assert run.data.params == {name: str(value) for name, value in SETTINGS.items()}
    assert run.data.metrics["summary/test_accuracy"] == 1 / 3
    assert (run.info.run_name, run.info.status) == ("my_run", "FINISHED")


def test_more_settings_than_mlflow_takes_at_once_are_all_recorded(tmp_path):
    many = {f"setting_{i}": i for i in range(150)}
    with writer(tmp_path, **many):
        pass
    assert len(only_run(tmp_path).data.params) == 150 + len(SETTINGS)


def test_how_a_run_ended_without_summary_is_its_status(tmp_path):
    with writer(tmp_path):
        assert only_run(tmp_path).info.status == "RUNNING"
    assert only_run(tmp_path).info.status == "KILLED"
    with pytest.raises(RuntimeError), writer(tmp_path):
        raise RuntimeError
    assert only_run(tmp_path).info.status == "FAILED"


def test_a_killed_run_is_continued_and_no_step_appears_twice(tmp_path):
    with writer(tmp_path) as killed:  # it is closed only when the resumed one has ended
        for step in (10, 20, 30):
            killed.write(step, step / 20, "train", train(step))
        with writer(tmp_path, from_step=10) as resumed:  # the last checkpoint
            for step in (20, 30, 40):
                resumed.write(step, step / 20, "train", train(step))
            resumed.write(40, 2.0, "test", TEST)
    assert points(tmp_path, "train/loss") == [(step, 1 / step) for step in (10, 20, 30, 40)]
    assert points(tmp_path, "test/loss") == [(40, 0.1)]
    assert [record["step"] for record in read_metrics(tmp_path)] == [10, 20, 30, 40, 40]


def test_a_record_cut_short_by_a_kill_is_logged_again(tmp_path):
    with writer(tmp_path) as metrics:
        metrics.write(10, 0.5, "train", train(10))
    client(tmp_path).log_metric(only_run(tmp_path).info.run_id, "train/loss", 1 / 20, step=20)  # and then the kill
    with writer(tmp_path, from_step=10) as metrics:
        metrics.write(20, 1.0, "train", train(20))
    assert points(tmp_path, "train/accuracy") == [(10, 0.1), (20, 0.2)]
    assert set(points(tmp_path, "train/loss")) == {(10, 1 / 10), (20, 1 / 20)}


def test_records_that_mlflow_lacks_are_sent_when_the_run_is_resumed(tmp_path):
    with MetricWriter(tmp_path, 0, []) as metrics:
        for step in (10, 20):
            metrics.write(step, step / 20, "train", train(step))
    with writer(tmp_path, from_step=20):
        pass
    assert points(tmp_path, "train/loss") == [(10, 1 / 10), (20, 1 / 20)]


def test_a_setting_that_differs_when_resumed_becomes_a_tag(tmp_path):
    for epochs in (2, 4, 2):
        with writer(tmp_path, epochs=epochs):
            run = only_run(tmp_path)
        assert run.data.params["epochs"] == "2"
        assert run.data.tags.get("config.epochs", "2") == str(epochs)


def test_mlflows_own_settings_hold(tmp_path, monkeypatch):
    elsewhere = (tmp_path / "elsewhere").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    with writer(tmp_path) as metrics:
        metrics.write(10, 0.5, "train", train(10))
    store = mlflow.MlflowClient(elsewhere)
    (run,) = store.search_runs([store.get_experiment_by_name("mine").experiment_id])
    assert run.data.metrics["train/loss"] == 1 / 10
    assert not (tmp_path / "mlruns").exists()


def test_a_server_that_cannot_be_reached_is_said_and_training_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with writer(tmp_path) as metrics:
        metrics.write(10, 0.5, "train", train(10))
    assert capsys.readouterr().err.startswith("logger mlflow: failed and is left out from now on (")
    assert len(read_metrics(tmp_path)) == 1
