"""A workdir belongs to one run: it is claimed, found again, and refused to others untouched."""

import json
import pathlib
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnn_jax.checkpoints.folders import CONFIG_FILE
from hasnn_jax.common.errors import InputError
from hasnn_jax.runs import workdir as module
from hasnn_jax.runs.workdir import claim_workdir

SETTINGS = {"seed": 1, "epochs": 5, "model.paths": ("ann", "snn"), "model.spiking.neuron": None, "optim.rate": 1e-3}
CONTINUABLE = frozenset({"epochs"})


def claim(path, settings=SETTINGS, **changes):
    """Claims a workdir and lets go of it."""
    with claim_workdir(path, {**settings, **changes}, CONTINUABLE) as workdir:
        return workdir


def snapshot(folder):
    """Every file's content and time of change."""
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def test_a_new_workdir_is_made_with_its_parents_and_records_the_settings(tmp_path):
    workdir = claim(tmp_path / "runs" / "first")
    assert workdir == tmp_path / "runs" / "first"
    recorded = json.loads((workdir / CONFIG_FILE).read_text())
    assert recorded == {**SETTINGS, "model.paths": ["ann", "snn"]}
    assert [path.name for path in workdir.iterdir()] == [CONFIG_FILE]  # no temporary file is left


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_the_same_run_finds_its_workdir_again(tmp_path, kind):
    claim(kind(tmp_path / "run"))
    (tmp_path / "run" / "metrics.jsonl").write_text("kept\n")
    assert claim(kind(tmp_path / "run")) == tmp_path / "run"
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == "kept\n"


def test_a_tilde_stands_for_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert claim("~/run") == tmp_path / "run"
    assert (tmp_path / "run" / CONFIG_FILE).exists()


def test_a_continuation_may_change_what_is_continuable_and_records_it(tmp_path):
    claim(tmp_path)
    claim(tmp_path, epochs=10)
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["epochs"] == 10


def test_a_run_from_before_a_setting_existed_had_its_default(tmp_path):
    claim(tmp_path)
    newer = {**SETTINGS, "data.erasing": 0.0}
    with claim_workdir(tmp_path, newer, CONTINUABLE, {"data.erasing": 0.0, "seed": 9}):
        pass
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["data.erasing"] == 0.0
    claim(tmp_path / "other")
    with (
        pytest.raises(InputError, match=r"data.erasing is 0.0 there, 0.5 here"),
        claim_workdir(tmp_path / "other", {**newer, "data.erasing": 0.5}, CONTINUABLE, {"data.erasing": 0.0}),
    ):
        pass


def test_another_run_is_refused_with_the_keys_that_differ_and_nothing_is_changed(tmp_path):
    claim(tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(InputError) as caught:
        claim(tmp_path, epochs=10, seed=2, **{"model.spiking.neuron": "lif", "model.paths": ("ann",)})
    message = str(caught.value)
    assert message.startswith(f"workdir {tmp_path}: holds another config's run (")
    assert "model.paths is ['ann', 'snn'] there, ['ann'] here" in message
    assert "model.spiking.neuron is None there, 'lif' here" in message
    assert "seed is 1 there, 2 here" in message
    assert message.endswith("); choose another --workdir")
    assert "epochs" not in message
    assert snapshot(tmp_path) == before


def test_a_long_list_of_differences_is_cut_and_its_rest_counted(tmp_path):
    claim(tmp_path, {f"k{i}": i for i in range(7)})
    with pytest.raises(InputError, match=r"k4 is 4 there, 9 here, and 2 more\)"):
        claim(tmp_path, {f"k{i}": 9 for i in range(7)})


@pytest.mark.parametrize(("old", "new"), [({"a": 1}, {"a": 1, "b": 2}), ({"a": 1, "b": 2}, {"a": 1})])
def test_a_key_that_one_of_the_runs_lacks_is_a_difference(tmp_path, old, new):
    claim(tmp_path, old)
    with pytest.raises(InputError, match=r"\(b is "):
        claim(tmp_path, new)


values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.tuples(st.integers())


@settings(deadline=None, max_examples=25)
@given(st.dictionaries(st.text(), values))
def test_any_settings_are_recognised_again(tmp_path_factory, values):
    workdir = tmp_path_factory.mktemp("run")
    assert claim(workdir, values) == claim(workdir, values)


def test_a_second_run_is_refused_while_the_first_is_at_work_and_changes_nothing(tmp_path):
    with claim_workdir(tmp_path, SETTINGS, CONTINUABLE):
        before = snapshot(tmp_path)
        with pytest.raises(InputError, match=r"^workdir .*: another run is using it; choose another --workdir$"):
            claim(tmp_path, epochs=10)
        assert snapshot(tmp_path) == before
    claim(tmp_path, epochs=10)


def test_a_workdir_is_free_again_when_the_run_in_it_was_killed(tmp_path):
    program = """if True:
        import os, signal, sys
        from hasnn_jax.runs.workdir import claim_workdir
        with claim_workdir(sys.argv[1], {"seed": 1}, frozenset()):
            print("held", flush=True)
            sys.stdin.read()
    """
    holder = [sys.executable, "-c", program, tmp_path]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another run is using it"):
            claim(tmp_path, {"seed": 1})
        process.kill()
        process.wait()
        claim(tmp_path, {"seed": 1})


@pytest.mark.parametrize("bucket", ["gs://bucket/run", "s3://bucket/run"])
def test_a_bucket_is_to_be_mounted(bucket):
    with pytest.raises(InputError, match=rf"^workdir {bucket}: expected a folder; mount the bucket \(gcsfuse"):
        claim(bucket)


def test_processes_have_to_agree_on_all_but_what_a_host_has_of_its_own(tmp_path, monkeypatch):
    first = {"epochs": 1, "seed": 7, "data.data_dir": "/local", "data.workers": 2, "model.init_from": "w"}
    monkeypatch.setattr(module.processes, "on_main", lambda act: first)
    monkeypatch.setattr(module.processes, "first_text", lambda text: text)
    with pytest.raises(InputError, match=r"has another config: epochs is 2 there, 1 in process 0; start all"):
        claim(tmp_path / "run", {**first, "epochs": 2})
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="do not see it"):  # agreed, and on to the folder, which is not made here
        claim(tmp_path / "run", {**first, "data.data_dir": "/other", "data.workers": 0, "model.init_from": None})


def test_a_path_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"^workdir .*/file/run: cannot be written \(.+\); choose another --workdir$"):
        claim(tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"^workdir .*/file: is a file; name a folder"):
        claim(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_without_permission_is_refused_with_the_systems_reason(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pathlib.Path, "write_text", refuse)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\); choose another --workdir$"):
        claim(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b'{"seed": 1', b"\x00\x00\x00", b"\xff\xfe{}", b"[1, 2]", b"null"],
    ids=["empty", "cut short", "zeroed", "not UTF-8", "a list", "null"],
)
def test_a_corrupt_record_is_named_and_left_as_it_is(tmp_path, content):
    (tmp_path / CONFIG_FILE).write_bytes(content)
    with pytest.raises(InputError, match=rf"{tmp_path}/config\.json: .*; restore it, or choose another folder$"):
        claim(tmp_path)
    assert (tmp_path / CONFIG_FILE).read_bytes() == content
