"""Metrics in W&B, in offline mode: read back from the file that `wandb sync` would upload."""

import os
import types

import pytest

from hasnn_jax.runs.metrics import MetricWriter, read_metrics

wandb = pytest.importorskip("wandb")
wandb_files = pytest.importorskip("wandb_files")

SETTINGS = {"epochs": 2, "model.paths": ("ann", "snn"), "model.spiking.planes": None}
TEST = {"loss": 0.1, "accuracy": 1 / 3}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """W&B offline, without other settings; its service, which knows the settings of its start, ends with the test."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name, value in {"MODE": "offline", "SILENT": "true", "ERROR_REPORTING": "false", "CONSOLE": "off"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    yield
    wandb.teardown()


def writer(workdir, from_step=0):
    return MetricWriter(workdir, from_step, ["wandb"], SETTINGS)


def train(step):
    return {"loss": 1 / step, "accuracy": step / 100}


def curve(records, name):
    """(W&B's own step, the training step, value)."""
    return [(row["_step"], row["step"], row[name]) for row in wandb_files.rows(records) if name in row]


def test_every_value_is_under_its_split_and_step(tmp_path):
    with writer(tmp_path) as metrics:
        metrics.write(10, 0.5, "train", train(10))
        metrics.write(20, 1.0, "train", train(20))
        metrics.write(20, 1.0, "test", TEST)
    (run,) = wandb_files.offline_runs(tmp_path)
    assert curve(run, "train/loss") == [(0, 10, 1 / 10), (1, 20, 1 / 20)]
    assert curve(run, "test/accuracy") == [(2, 20, 1 / 3)]
    assert curve(run, "epoch") == [(0, 10, 0.5), (1, 20, 1.0), (2, 20, 1.0)]


def test_config_summary_name_and_outcome_are_recorded(tmp_path):
    workdir = tmp_path / "my_run"
    workdir.mkdir()
    with writer(workdir) as metrics:
        metrics.write(20, 1.0, "test", TEST)
        metrics.summarise({"test_accuracy": 1 / 3, "step": 20})
    (run,) = wandb_files.offline_runs(workdir)
    settings = wandb_files.config(run)
    assert settings["epochs"] == 2
    assert settings["model"] == {"paths": ["ann", "snn"], "spiking": {"planes": None}}
    assert wandb_files.summary(run)["summary/test_accuracy"] == 1 / 3
    about = wandb_files.run_of(run)
    assert (about.display_name, about.project, wandb_files.exit_code(run)) == ("my_run", "hasnn_jax", 0)


def test_an_error_is_the_runs_exit_code(tmp_path):
    with pytest.raises(RuntimeError), writer(tmp_path):
        raise RuntimeError
    (run,) = wandb_files.offline_runs(tmp_path)
    assert wandb_files.exit_code(run) == 1


def test_a_resumed_run_has_the_same_id_and_offline_all_records(tmp_path):
    with writer(tmp_path) as metrics:
        for step in (10, 20, 30):
            metrics.write(step, step / 20, "train", train(step))
    with writer(tmp_path, from_step=10) as metrics:
        for step in (20, 40):  # another setting of how often
            metrics.write(step, step / 20, "train", train(step))
    first, second = wandb_files.offline_runs(tmp_path)
    ids = {wandb_files.run_of(run).run_id for run in (first, second)}
    assert ids == {(tmp_path / "wandb_run_id.txt").read_text().strip()}
    assert curve(second, "train/loss") == [(0, 10, 1 / 10), (1, 20, 1 / 20), (2, 40, 1 / 40)]


def test_a_server_is_sent_only_the_records_that_it_lacks(tmp_path, monkeypatch):
    with MetricWriter(tmp_path, 0, []) as metrics:
        for step in (10, 20, 30):
            metrics.write(step, step / 20, "train", train(step))
    (tmp_path / "wandb_run_id.txt").write_text("abc\n")
    given, logged = {}, []
    run = types.SimpleNamespace(
        starting_step=1,  # the server has the first record, and has lost the second
        disabled=False,
        define_metric=lambda *_, **__: None,
        log=lambda row, step, commit: logged.append((step, row["step"], commit)),
        finish=lambda **_: None,
    )
    monkeypatch.setattr(wandb, "init", lambda **arguments: given.update(arguments) or run)
    with writer(tmp_path, from_step=20) as metrics:
        metrics.write(30, 1.5, "train", train(30))
    assert (given["id"], given["resume"], given["name"]) == ("abc", "allow", None)
    assert logged == [(1, 20, True), (2, 30, True)]


def test_wandbs_own_settings_hold(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    for name, value in {"PROJECT": "mine", "NAME": "first", "RUN_ID": "abc", "DIR": tmp_path / "elsewhere"}.items():
        monkeypatch.setenv(f"WANDB_{name}", str(value))
    with writer(tmp_path):
        pass
    (run,) = wandb_files.offline_runs(tmp_path / "elsewhere")
    about = wandb_files.run_of(run)
    assert (about.project, about.display_name, about.run_id) == ("mine", "first", "abc")
    assert not (tmp_path / "wandb").exists()


def test_wandb_can_be_disabled_by_its_own_setting(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with writer(tmp_path) as metrics:
        metrics.write(10, 0.5, "train", train(10))
    assert wandb_files.offline_runs(tmp_path) == []
    assert len(read_metrics(tmp_path)) == 1
    assert "logger wandb" not in capsys.readouterr().err


def test_another_run_that_the_caller_has_open_is_left_alone(tmp_path):
    with wandb.init(dir=tmp_path, project="other") as other:
        with writer(tmp_path) as metrics:
            metrics.write(10, 0.5, "train", train(10))
        other.log({"mine": 1})
    runs = {wandb_files.run_of(run).project: run for run in wandb_files.offline_runs(tmp_path)}
    assert [row["mine"] for row in wandb_files.rows(runs["other"])] == [1]
    assert curve(runs["hasnn_jax"], "train/loss") == [(0, 10, 1 / 10)]
