"""A whole run that logs to everything, and goes on with another set of loggers."""

import os

import pytest
from tiny_runs import tiny_config

from hasnn_jax.runs.metrics import read_metrics
from hasnn_jax.trainer import train_and_evaluate

mlflow = pytest.importorskip("mlflow")
wandb = pytest.importorskip("wandb")
wandb_files = pytest.importorskip("wandb_files")
pytestmark = pytest.mark.slow


@pytest.fixture
def offline(monkeypatch):
    """Both libraries write to the workdir only."""
    for name in {"MLFLOW_ALLOW_FILE_STORE", *filter(lambda name: name.startswith(("WANDB_", "MLFLOW_")), os.environ)}:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in {"MODE": "offline", "SILENT": "true", "ERROR_REPORTING": "false", "CONSOLE": "off"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    yield
    wandb.teardown()


def test_a_run_that_is_trained_longer_with_more_loggers_has_all_of_it_everywhere(tmp_path, offline):
    train_and_evaluate(tiny_config(epochs=1, loggers=("mlflow",)), tmp_path)
    outcome = train_and_evaluate(tiny_config(epochs=2, loggers=("mlflow", "wandb")), tmp_path)

    records = [record for record in read_metrics(tmp_path) if record["split"] == "train"]
    steps, losses = [record["step"] for record in records], [record["loss"] for record in records]
    assert steps == [2, 4, 5, 6, 8, 10]

    store = mlflow.MlflowClient((tmp_path / "mlruns").as_uri())
    (run,) = store.search_runs([store.get_experiment_by_name("hasnn_jax").experiment_id])
    history = store.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in history] == list(zip(steps, losses, strict=True))
    assert run.data.metrics["summary/test_accuracy"] == outcome["test_accuracy"]
    assert run.data.params["model.name"] == "has8_vgg_b1_m1_d1"
    assert (run.data.params["epochs"], run.data.tags["config.epochs"]) == ("1", "2")
    assert run.info.status == "FINISHED"

    (offline_run,) = wandb_files.offline_runs(tmp_path)
    rows = [row for row in wandb_files.rows(offline_run) if "train/loss" in row]
    assert [(row["step"], row["train/loss"]) for row in rows] == list(zip(steps, losses, strict=True))
    assert wandb_files.config(offline_run)["model"]["name"] == "has8_vgg_b1_m1_d1"
    assert wandb_files.summary(offline_run)["summary/test_accuracy"] == outcome["test_accuracy"]
    assert not (tmp_path / "tensorboard").exists()
