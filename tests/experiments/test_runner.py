"""What the runner does with runs in every state; training is replaced by files written by hand."""

import json

import pytest
from handmade_experiment import write_run

from hasnn_jax.common.errors import DivergedError, InputError
from hasnn_jax.common.locks import locked
from hasnn_jax.config import default_config
from hasnn_jax.experiments import runner
from hasnn_jax.experiments.experiment import Variant
from hasnn_jax.experiments.plan import plan_runs

THREE = (Variant("a", {}, ""), Variant("b", {"optim.learning_rate": 0.1}, ""), Variant("c", {"batch_size": 8}, ""))


class Trained(list):
    def __init__(self):
        super().__init__()
        self.ends = {}
        self.kept_in = set()


@pytest.fixture
def runs(tmp_path):
    base = default_config()
    base.epochs = 2
    return plan_runs(base, THREE, (1,), tmp_path)


@pytest.fixture
def trained(monkeypatch):
    """The names of the variants that were trained; `trained.ends["b"]` is how training b ends, if not complete."""

    found = Trained()

    def train(config, folder, *, keep_programs_in):
        name = folder.parent.name
        found.append(name)
        found.kept_in.add(keep_programs_in)
        end = found.ends.get(name)
        changed = {v.name: v.overrides for v in THREE}[name]
        write_run(
            folder.parents[2], name, config.seed, 0.5, epochs=1 if end and end != "asked too late" else 2, **changed
        )
        if isinstance(end, Exception):
            raise end
        (folder / "checkpoints" / "20").mkdir(parents=True)
        return {"complete": end != "stopped", "step": 20, "asked_to_stop": end in ("stopped", "asked too late")}

    monkeypatch.setattr(runner, "train_and_evaluate", train)
    return found


def about(run):
    return json.loads((run.folder / "run.json").read_text())


def test_all_are_trained_once(runs, trained, capsys):
    assert runner.do_runs(runs, keep_checkpoints=False)
    assert runner.do_runs(runs, keep_checkpoints=False)

    assert trained == ["a", "b", "c"]
    assert [about(run)["status"] for run in runs] == ["complete"] * 3
    assert not any((run.folder / "checkpoints").exists() for run in runs)
    assert capsys.readouterr().err.startswith("run 1 of 3: a, seed 1\nrun 2 of 3: b, seed 1; about ")


def test_every_run_is_told_where_to_keep_its_programs(runs, trained, tmp_path):
    runner.do_runs(runs, keep_checkpoints=False, keep_programs_in=tmp_path)
    assert trained.kept_in == {tmp_path}


def test_checkpoints_are_kept_on_request(runs, trained):
    runner.do_runs(runs, keep_checkpoints=True)

    assert all((run.folder / "checkpoints").exists() for run in runs)


def test_a_run_that_diverges_is_recorded_and_the_rest_goes_on(runs, trained, capsys):
    trained.ends["b"] = DivergedError("in /a/place; lower it", "the loss is not finite", 7)

    assert runner.do_runs(runs, keep_checkpoints=False)
    assert runner.do_runs(runs, keep_checkpoints=False)
    assert trained == ["a", "b", "c"]
    assert [about(runs[1])[key] for key in ("status", "step", "message")] == ["diverged", 7, "the loss is not finite"]
    assert "b, seed 1: diverged at step 7: the loss is not finite; the other runs go on\n" in capsys.readouterr().err


def test_another_error_stops_the_experiment(runs, trained):
    trained.ends["b"] = InputError("the disk is full")
    with pytest.raises(InputError, match="the disk is full"):
        runner.do_runs(runs, keep_checkpoints=False)

    assert trained == ["a", "b"]


def test_a_stop_that_comes_too_late_for_a_run_ends_it_after_that_run(runs, trained, capsys):
    trained.ends["a"] = "asked too late"

    assert not runner.do_runs(runs, keep_checkpoints=False)
    assert (trained, about(runs[0])["status"]) == (["a"], "complete")
    assert capsys.readouterr().err.endswith("stopped in run 1 of 3; the same command resumes from here\n")
    trained.ends.clear()
    assert runner.do_runs(runs, keep_checkpoints=False)
    assert trained == ["a", "b", "c"]


def test_a_stop_ends_it_with_one_line_and_it_resumes_there(runs, trained, capsys):
    trained.ends["b"] = "stopped"

    assert not runner.do_runs(runs, keep_checkpoints=False)
    assert capsys.readouterr().err.endswith("stopped in run 2 of 3; the same command resumes from here\n")
    assert about(runs[1])["status"] == "interrupted"
    (runs[1].folder / "checkpoints" / "20").rmdir()
    trained.ends.clear()
    assert runner.do_runs(runs, keep_checkpoints=False)
    assert trained == ["a", "b", "b", "c"]
    assert (about(runs[1])["status"], about(runs[1])["sessions"]) == ("complete", 2)


def test_a_run_in_use_is_left_to_the_process_that_has_it(runs, trained, capsys):
    runs[1].folder.mkdir(parents=True)
    with locked(runs[1].folder, ""):
        assert runner.do_runs(runs, keep_checkpoints=False)

    assert trained == ["a", "c"]
    assert "run 2 of 3: b, seed 1 is left to the process that is training it\n" in capsys.readouterr().err
    assert list(runs[1].folder.iterdir()) == []


def test_a_complete_run_that_was_not_made_here_is_taken_as_it_is(runs, trained, tmp_path):
    folder = write_run(tmp_path, "a", 1, 0.5, loggers=["tensorboard"])
    (folder / "checkpoints" / "20").mkdir(parents=True)
    before = {path.name for path in folder.iterdir()}

    assert runner.do_runs(runs, keep_checkpoints=False)
    assert trained == ["b", "c"]
    assert {path.name for path in folder.iterdir()} == before


def test_a_run_of_a_process_that_was_killed_at_the_very_end_is_not_trained_again(runs, trained, tmp_path):
    runner.do_runs(runs[:1], keep_checkpoints=True)
    file = runs[0].folder / "run.json"
    file.write_text(json.dumps({**about(runs[0]), "status": "running"}))

    assert runner.do_runs(runs[:1], keep_checkpoints=False)
    assert trained == ["a"]
    assert about(runs[0])["status"] == "complete"
    assert not (runs[0].folder / "checkpoints").exists()


def test_without_a_measured_cost_the_checkpoints_stay(runs, trained, monkeypatch):
    monkeypatch.setattr(runner, "ensure_cost", lambda config, folder: False)
    runner.do_runs(runs, keep_checkpoints=False)

    assert all((run.folder / "checkpoints").exists() for run in runs)


def test_a_run_of_another_length_is_refused(runs, trained, tmp_path):
    write_run(tmp_path, "a", 1, 0.5, epochs=3)
    config = tmp_path / "runs/a/seed_1/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "epochs": 3}))
    with pytest.raises(InputError, match=r"seed_1: holds a run with other settings .epochs is 3 there, 2 here"):
        runner.do_runs(runs, keep_checkpoints=False)
    assert trained == []
