"""Which loggers get a run's records, and what happens when one is missing, unknown or broken."""

import importlib.util
import sys

import pytest
from tiny_runs import tiny_config

from hasnn_jax.common.errors import InputError
from hasnn_jax.config import RESUMABLE, default_config, validate
from hasnn_jax.runs import loggers
from hasnn_jax.runs.metrics import MetricWriter, read_metrics
from hasnn_jax.runs.run_log import RunLog
from hasnn_jax.trainer import train_and_evaluate
from hasnn_jax.training import processes

METRICS = {"loss": 1.5, "accuracy": 0.25}


class Recorder:
    """A logger that remembers all that it is told, for all runs of a test, and fails on request."""

    package = "json"
    told: list
    breaks_at: str | None = None

    def __init__(self, workdir, settings, from_step):
        self._tell("open", dict(settings), from_step)

    def lacks(self, number, record):
        return number >= 1

    def log(self, number, record):
        self._tell("log", number, record["step"])

    def summarise(self, values):
        self._tell("summarise", dict(values))

    def close(self, outcome):
        self._tell("close", outcome)

    def _tell(self, what, *details):
        self.told.append((what, *details))
        if what == self.breaks_at:
            raise ConnectionError("the network is down\nsecond line")


@pytest.fixture
def recorder(monkeypatch):
    """A fresh `Recorder` class, registered under the name "recorder"."""
    cls = type("FreshRecorder", (Recorder,), {"told": []})
    monkeypatch.setitem(loggers.LOGGERS, "recorder", cls)
    return cls


def names_told(cls):
    return [told[0] for told in cls.told]


def test_the_default_is_tensorboard_alone():
    assert default_config().loggers == ("tensorboard",)


def test_loggers_may_change_when_a_run_is_resumed():
    assert "loggers" in RESUMABLE


@pytest.mark.parametrize("names", [(), ("tensorboard",), ("wandb", "mlflow")])
def test_a_tuple_of_names_is_valid(names):
    config = default_config()
    config.loggers = names
    validate(config)


def test_anything_but_a_tuple_is_refused():
    config = default_config()
    with config.ignore_type():
        config.loggers = "wandb"
    with pytest.raises(InputError, match=r"^config\.loggers: expected a tuple of names, .*; got 'wandb'$"):
        validate(config)


def test_an_unknown_name_is_refused_with_the_nearest_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match=r"^unknown logger 'wandbb': .*; did you mean 'wandb'\?$"):
        train_and_evaluate(tiny_config(loggers=("tensorboard", "wandbb")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_library_is_said_in_one_line_before_anything_is_written(name, tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda package, *_: None if package == name else real(package))
    with pytest.raises(InputError) as caught:
        train_and_evaluate(tiny_config(loggers=(name,)), tmp_path / "run")
    assert str(caught.value) == (
        f"config.loggers: {name!r} needs the package {name}; pip install 'hasnn_jax[{name}]', or leave {name!r} out"
    )
    assert not (tmp_path / "run").exists()


def test_a_folder_of_the_librarys_name_is_not_taken_for_the_library(tmp_path, monkeypatch, recorder):
    (tmp_path / "no_such_package").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    recorder.package = "no_such_package"
    assert importlib.util.find_spec("no_such_package") is not None
    with pytest.raises(InputError, match="needs the package no_such_package"):
        loggers.require_installed(["recorder"])


def test_a_logger_gets_the_config_every_record_the_summary_and_the_outcome(tmp_path, recorder):
    with MetricWriter(tmp_path, 0, ["recorder", "recorder"], {"epochs": 2}) as writer:
        for step in (10, 20, 30):
            writer.write(step, step / 10, "train", METRICS)
        writer.summarise({"step": 30})
    assert recorder.told == [
        ("open", {"epochs": 2}, 0), ("log", 1, 20), ("log", 2, 30), ("summarise", {"step": 30}), ("close", "complete"),
    ]  # fmt: skip


def test_without_summary_the_outcome_is_stopped_and_after_an_error_failed(tmp_path, recorder):
    with MetricWriter(tmp_path, 0, ["recorder"]):
        pass
    with pytest.raises(InputError), MetricWriter(tmp_path, 0, ["recorder"]):
        raise InputError("diverged")
    assert [told for told in recorder.told if told[0] == "close"] == [("close", "stopped"), ("close", "failed")]


def test_a_resumed_run_offers_the_records_that_are_kept_and_numbers_on(tmp_path, recorder):
    with MetricWriter(tmp_path, 0, []) as writer:
        for step in (10, 20, 30):
            writer.write(step, step / 10, "train", METRICS)
    with MetricWriter(tmp_path, 20, ["recorder"]) as writer:
        writer.write(30, 3.0, "train", METRICS)
    assert recorder.told[1:-1] == [("log", 1, 20), ("log", 2, 30)]


@pytest.mark.parametrize("method", ["open", "log", "summarise", "close"])
def test_a_logger_that_fails_is_left_out_with_one_line_and_no_record_is_lost(tmp_path, recorder, method, capsys):
    recorder.breaks_at = method
    with MetricWriter(tmp_path, 0, ["recorder", "tensorboard"]) as writer:
        for step in (10, 20, 30):
            writer.write(step, step / 10, "train", METRICS)
        writer.summarise({"step": 30})
    assert names_told(recorder)[-1] == method
    assert names_told(recorder).count(method) == 1
    assert capsys.readouterr().err == (
        "logger recorder: failed and is left out from now on (the network is down); training goes on, and "
        "metrics.jsonl has every record\n"
    )
    assert [record["step"] for record in read_metrics(tmp_path)] == [10, 20, 30]
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_what_is_not_named_is_neither_written_nor_imported(tmp_path, monkeypatch):
    for package in ("tensorboardX", "wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, package, None)  # importing it raises
    with MetricWriter(tmp_path, 0, []) as writer:
        writer.write(10, 1.0, "train", METRICS)
        writer.summarise({"step": 10})
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_only_the_main_process_writes(tmp_path, recorder, monkeypatch):
    monkeypatch.setattr(processes, "is_main", lambda: False)
    with RunLog(tmp_path, 10, 0, 16, ["recorder"], {}) as log:
        log.train(5, 0.5, METRICS)
        log.summarise({"step": 10})
    assert recorder.told == []
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_run_reaches_the_loggers_and_the_caller(tmp_path, recorder):
    with pytest.raises(InputError, match="diverged"), RunLog(tmp_path, 10, 0, 16, ["recorder"], {}):
        raise InputError("diverged")
    assert recorder.told[-1] == ("close", "failed")


def test_tensorboard_that_is_added_later_gets_the_earlier_records(tmp_path):
    with MetricWriter(tmp_path, 0, []) as writer:
        for step in (10, 20):
            writer.write(step, step / 10, "train", METRICS)
    with MetricWriter(tmp_path, 20, ["tensorboard"]):
        pass
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert events.read_bytes().count(b"train/loss") == 2
    logger = loggers.LOGGERS["tensorboard"](tmp_path, {}, 20)
    assert [logger.lacks(1, {"step": 20}), logger.lacks(2, {"step": 30})] == [False, True]
    logger.close("stopped")
