"""`python -m hasnn_jax.plan`: what training would cost on devices that are not here.

The one test that compiles for a TPU is slow: loading its compiler and compiling even the smallest network take half a
minute. It is skipped where libtpu is not installed.
"""

import dataclasses
import io
import json
import os
import pathlib
import subprocess
import sys
import time

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import tiny_config

from hasnn_jax import plan
from hasnn_jax.compiled_cost import CHIPS, Collective, Cost, Memory, Refusal
from hasnn_jax.errors import InputError
from hasnn_jax.training import sharding

ROOT = pathlib.Path(__file__).parents[1]
QUICK_COMPILATION = "--xla_backend_optimization_level=0"
OUT_OF_MEMORY = (
    "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm. Used 18.65G of 15.75G "
    "hbm. Exceeded hbm capacity by 2.90G."
)
COST = Cost(
    memory=Memory(2**30, 2**30, 2**29, 3 * 2**30, 2**20, 5 * 2**30),
    flops=197e12 * 0.25,
    bytes_accessed=819e9 * 0.5,
    cycles=1_500_000_000,
    loops_unknown=0,
    collectives=(Collective("all-reduce", 2, 2 * 10**8, 10**8),),
)


def one_device(limit=None, chip=None):
    return plan.Target("local", sharding.make_mesh(jax.devices()[:1]), chip, limit)


def answered(outcome, *, chip=CHIPS["v5e"], cached=False, **changes):
    target = one_device(chip.usable if chip else None, chip)
    return plan.answer(tiny_config(**changes), target, outcome, examples=1280, channels=1, cached=cached)


class Refusing:
    """Something to compile that the compiler refuses."""

    def __init__(self, message):
        self._message = message

    def compile(self):
        raise jax.errors.JaxRuntimeError(self._message)


def test_plan_for_the_devices_that_are_here(tmp_path):
    config = tiny_config()
    target = plan.find_target("local")
    found = plan.plan(config, target, cache=tmp_path, say=pytest.fail)
    shapes = jax.eval_shape(
        lambda: plan.initial_variables(plan.build_model(config.model, config.data.num_classes), (8, 8, 1), 0)
    )
    parameters = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes["params"]))
    assert found["cost"]["flops"] > 0
    assert found["cost"]["bytes_accessed"] > 0
    assert found["cost"]["memory"]["arguments"] >= 3 * parameters  # Adam has two moments
    assert found["needed"] >= found["cost"]["memory"]["arguments"]
    assert found["cost"]["collectives"] == []
    assert (found["fits"], found["seconds"], found["days"]) == (None, None, None)
    assert (found["examples"], found["steps"], found["cached"]) == (1438, 10, False)
    text = plan.describe(found)
    assert "no estimate: the compiler for this device makes none" in text
    assert "the device does not say how much it has" in text
    assert plan.plan(config, target, cache=tmp_path, say=pytest.fail) == {**found, "cached": True}


def test_answer_is_kept_until_something_it_depends_on_changes(tmp_path, monkeypatch):
    compiled = []

    def compile_step(lowered, devices, trips):
        compiled.append(1)
        return plan.Outcome(COST, None, 1.0)

    def cached(**changes):
        return plan.plan(tiny_config(**changes), target, cache=tmp_path, say=pytest.fail)["cached"]

    target = one_device()
    monkeypatch.setattr(plan, "compile_step", compile_step)
    assert not cached()
    assert cached()
    assert cached(epochs=7, seed=1, log_every_steps=3, model__init_head="fresh", data__workers=2)
    for change in (
        {"batch_size": 128},
        {"accumulate": 2},
        {"shard_parameters": True},
        {"model__dtype": "bfloat16"},
        {"model__spiking__neuron": "lif"},
        {"optim__average_decay": 0.9},
        {"data__image_size": 16},
    ):
        assert not cached(**change)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert not cached()
    (kept,) = (file for file in tmp_path.iterdir() if file.stat().st_mtime_ns == max(newest(tmp_path)))
    whole = kept.read_bytes()
    for damaged in (b"", whole[:-20], whole.replace(b"1500000000", b"1500000001"), b"\xff" + whole, b"[]", b"{}"):
        kept.write_bytes(damaged)
        assert not cached()
        assert kept.read_bytes() == whole
        assert cached()
    assert len(compiled) == 9 + 6


def newest(folder):
    return [file.stat().st_mtime_ns for file in folder.iterdir()]


def test_folder_that_cannot_be_written_costs_no_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "compile_step", lambda *_: plan.Outcome(COST, None, 1.0))
    said = []
    (tmp_path / "file").write_text("")
    found = plan.plan(tiny_config(), one_device(), cache=tmp_path / "file/plans", say=said.append)
    assert found["cost"]["cycles"] == COST.cycles
    assert "cannot be kept" in said[0]


def test_outcomes_come_back_as_they_were_kept(tmp_path):
    for outcome in (plan.Outcome(COST, None, 2.5), plan.Outcome(None, Refusal(2.5, None), 1.0)):
        plan.keep_outcome(tmp_path / "a/b.json", outcome, pytest.fail)
        assert plan.read_outcome(tmp_path / "a/b.json") == outcome
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b.json"]
    assert plan.read_outcome(tmp_path / "none.json") is None


def test_days_follow_from_cycles_collectives_and_steps():
    # 1.5e9 cycles at 1.5 GHz, and 1e8 bytes at 1e11 bytes a second.
    found = answered(plan.Outcome(COST, None, 1.0), epochs=3, batch_size=128)
    assert found["steps"] == 30
    assert found["seconds"] == pytest.approx(
        {"step": 1.001, "cycles": 1.0, "collectives": 0.001, "flops_bound": 0.25, "bytes_bound": 0.5}
    )
    assert found["days"] == pytest.approx(30 * 1.001 / 86400)
    text = plan.describe(found)
    assert "fits: 5.00 GiB of 15.75 GiB a device" in text
    assert "2 all-reduce, 200.000 MB" in text
    assert "1001 ms, 128 images/s" in text
    assert "0.000348 days (30s): 3 epochs of 1,280 examples, 30 steps" in text
    assert text.splitlines()[-1].startswith("compiled by jax ")
    kept = plan.describe({**found, "cached": True})
    assert kept.splitlines()[-1].startswith("kept from an earlier compilation by jax ")


def test_compiler_without_estimates_gives_no_time():
    silent = dataclasses.replace(COST, cycles=None)
    found = answered(plan.Outcome(silent, None, 1.0))
    assert (found["seconds"], found["days"]) == (None, None)
    assert "no estimate" in plan.describe(found)


def test_not_fitting_is_an_answer():
    outcome = plan.compile_step(lambda: Refusing(OUT_OF_MEMORY), 1, 1)
    found = answered(outcome)
    assert found["fits"] is False
    assert (found["needed"], found["available"]) == (18.65 * 2**30, 15.75 * 2**30)
    text = plan.describe(found)
    assert "does not fit: 18.65 GiB of 15.75 GiB a device" in text
    for way in ("smaller --config.batch_size", "--config.accumulate=2", "--config.model.dtype=bfloat16"):
        assert way in text
    assert "shard_parameters" not in text  # there is one device
    assert "bfloat16" not in plan.describe({**found, "dtype": "bfloat16"}).partition("may help")[2]
    assert "--config.shard_parameters=True" in plan.advice({**found, "devices": 8})


@pytest.mark.parametrize(
    ("changes", "advised"),
    [
        ({"model__statistics_group": 64}, "--config.accumulate=2,"),
        ({"model__statistics_group": 64, "accumulate": 2}, "--config.accumulate=4,"),
        ({"model__statistics_group": 256}, "--config.accumulate=2 with --config.model.statistics_group=128,"),
        ({}, "--config.accumulate=2 with --config.model.statistics_group=128,"),
        ({"batch_size": 5}, None),
    ],
)
def test_advised_parts_hold_whole_statistics_groups(changes, advised):
    text = plan.advice(answered(plan.Outcome(None, Refusal(2.0, 1.0), 1.0), **changes))
    assert advised in text if advised else "accumulate" not in text


def test_other_compiler_errors_are_errors():
    with pytest.raises(InputError, match=r"the step cannot be compiled: INTERNAL: the compiler fell over$"):
        plan.compile_step(lambda: Refusing("INTERNAL: the compiler fell over\nat line 3"), 1, 1)


@pytest.mark.parametrize(("limit", "fits"), [(5 * 2**30, True), (5 * 2**30 - 1, False)])
def test_local_memory_is_compared_with_what_the_device_says(limit, fits):
    target = one_device(limit)
    found = plan.answer(tiny_config(), target, plan.Outcome(COST, None, 1.0), examples=1280, channels=1, cached=False)
    assert found["fits"] is fits


@given(st.data(), st.integers(1, 5000))
def test_search_finds_the_largest_that_fits_in_few_trials(data, most):
    start = data.draw(st.integers(1, most))
    answer = data.draw(st.integers(0, most))
    tried = []

    def fits(n):
        assert 1 <= n <= most
        tried.append(n)
        return n <= answer

    assert plan.largest(fits, start, most) == answer
    assert len(tried) == len(set(tried)) <= 2 * most.bit_length() + 1
    assert tried[0] == start


def pretend_memory(monkeypatch, images):
    """Compiles nothing: as many images a device take as many bytes."""

    def compile_step(lowered, devices, trips):
        share = lowered.args[0].batch_size // devices
        return plan.Outcome(dataclasses.replace(COST, memory=Memory(0, 0, 0, 0, 0, images * share)), None, 1.0)

    monkeypatch.setattr(plan, "compile_step", compile_step)


@pytest.mark.parametrize(
    ("changes", "best"),
    [
        ({}, 96),
        ({"model__statistics_group": 5, "batch_size": 20}, 100),
        ({"model__statistics_group": 3, "accumulate": 4, "batch_size": 12}, 96),
        ({"batch_size": 1024}, 96),
    ],
)
def test_largest_batch_keeps_statistics_groups_whole(changes, best, tmp_path, monkeypatch):
    pretend_memory(monkeypatch, images=1)
    said = []
    found = plan.find_batch(tiny_config(**changes), one_device(103), cache=tmp_path, say=said.append)
    assert found["fits"]
    assert found["batch_size"] == best
    assert len(said) == len(found["trials"]) == len({trial["batch_size"] for trial in found["trials"]})
    assert any(line.startswith(f"batch {best}: {best} images a device: fits: ") for line in said)
    assert f"the largest batch that fits; tried: {found['trials'][0]['batch_size']:,} " in plan.describe(found)


def test_no_batch_may_fit_or_all_may(tmp_path, monkeypatch):
    pretend_memory(monkeypatch, images=1)
    least = plan.find_batch(tiny_config(), one_device(3), cache=tmp_path, say=[].append)
    assert (least["fits"], least["batch_size"]) == (False, 8)
    assert "no batch fits; tried: 256 does not, " in plan.describe(least)
    most = plan.find_batch(tiny_config(), one_device(10**9), cache=tmp_path, say=[].append)
    assert (most["fits"], most["batch_size"]) == (True, 1438 // 8 * 8)
    with pytest.raises(InputError, match="does not say how much memory it has"):
        plan.find_batch(tiny_config(), one_device(), cache=tmp_path)
    with pytest.raises(InputError, match="7 examples are fewer than 8 for each of the devices"):
        plan.find_batch(tiny_config(), one_device(1), examples=7, cache=tmp_path)


@pytest.mark.parametrize("topology", ["v5x:2x2", "v5e", "v5e:", "v5e:2x", "V5E:2x2", "v5litepod-8", "v5e:-2x4", ""])
def test_unknown_topology_is_refused_with_what_is_known(topology):
    with pytest.raises(InputError) as raised:
        plan.find_target(topology)
    message = str(raised.value)
    assert f"unknown topology {topology!r}" in message
    assert "family:AxB" in message
    assert "local" in message
    assert "v5e (1x1, 2x2, 2x4, 4x4, 8x8, 16x16)" in message
    assert set(CHIPS) == {"v4", "v5e", "v5p", "v6e", "tpu7x"}
    assert all(f"{family} (" in message for family in CHIPS)


@pytest.mark.parametrize("topology", ["v5e:0x4", "v5e:2x4x1", "v5e:8", "v5e:32x32", "v4:2x2", "tpu7x:99999x9x9"])
def test_impossible_size_is_refused_before_the_compiler_sees_it(topology):
    with pytest.raises(
        InputError, match=rf"--topology {topology}: expected \d sizes of 1 or more, [\d,]+ chips at most"
    ):
        plan.find_target(topology)


def test_missing_compiler_is_named(monkeypatch):
    monkeypatch.setattr(plan.importlib.util, "find_spec", lambda _: None)
    monkeypatch.delenv("TPU_LIBRARY_PATH", raising=False)
    with pytest.raises(InputError, match=r"pip install 'hasnn_jax\[tpu\]' .* pip install -e '\.\[tpu\]'"):
        plan.find_target("v5e:2x4")


def data_settings(**changes):
    return tiny_config(**{f"data__{key}": value for key, value in changes.items()}).data


def test_number_of_examples_comes_from_the_data_or_from_what_is_known_of_it(tmp_path):
    absent = {"source": "tfds", "data_dir": str(tmp_path)}
    assert plan.look_at_data(data_settings(), None) == (1438, 1)
    assert plan.look_at_data(data_settings(), 500) == (500, 1)
    assert plan.look_at_data(data_settings(name="imagenet2012", num_classes=1000, **absent), None) == (1_281_167, 3)
    assert plan.look_at_data(data_settings(name="cifar100:3.0.2", **absent), None) == (50_000, 3)
    assert plan.look_at_data(data_settings(name="birds", **absent), 123) == (123, 3)
    with pytest.raises(InputError, match=r"no prepared data in .*; or say by --examples how many"):
        plan.look_at_data(data_settings(name="birds", **absent), None)
    with pytest.raises(InputError, match="expected one of digits, folder, tfds"):
        plan.look_at_data(data_settings(source="cloud", name="cifar10"), None)
    with pytest.raises(InputError, match="has 10 classes, got 11"):
        plan.look_at_data(data_settings(num_classes=11), 500)


def test_faults_of_the_config_are_said_before_anything_is_compiled(tmp_path):
    for changes, message in (
        ({"batch_size": 0}, "config.batch_size: expected a whole number"),
        ({"batch_size": 2048}, "2048 images are more than the 1,438 there are"),
        ({"model__name": "has9"}, "unknown model 'has9'"),
    ):
        with pytest.raises(InputError, match=message):
            plan.plan(tiny_config(**changes), one_device(), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("on_terminal", [False, True])
def test_waiting_shows_that_it_lasts(on_terminal, monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: on_terminal
    monkeypatch.setattr(sys, "stderr", screen)
    with plan.Alive("compiling", every=0.001):
        for _ in range(10_000):
            if screen.getvalue().count("compiling: 0s") >= 2:
                break
            time.sleep(0.001)
    shown = screen.getvalue()
    assert shown.count("compiling: ") >= 2
    assert shown.endswith("\r\x1b[K" if on_terminal else "\n")
    assert ("\n" in shown) is not on_terminal


def test_short_work_is_not_announced(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with plan.Alive("compiling"):
        pass
    assert screen.getvalue() == ""


def run_plan(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "hasnn_jax.plan", *arguments],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": QUICK_COMPILATION, "JAX_PLATFORMS": "cpu", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


DIGITS = ("--config", "configs/digits.py", "--config.model.name=has8_vgg_b1_m1_d1", "--config.model.stem=imagenet")
EIGHT_DEVICES = {"XLA_FLAGS": f"{QUICK_COMPILATION} --xla_force_host_platform_device_count=8"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--config is missing, as in: --config configs/imagenet.py --topology v5e:16x16"),
        (("--config=configs/none.py", "--config.batch_size=2", "--topology=local"), "no config file configs/none.py"),
        (("--config", "configs/digits.py"), "--topology is missing; expected family:AxB"),
        ((*DIGITS, "--config.batch=2", "--topology=local"), "unknown config key 'batch'"),
        ((*DIGITS, "--config.epochs=many", "--topology=local"), "invalid literal for int() with base 10: 'many'"),
        ((*DIGITS, "--topology=v9:2x2"), "unknown topology 'v9:2x2'"),
        ((*DIGITS, "--topology=local", "--examples=0"), "0"),
        ((*DIGITS, "--topology=local", "extra"), "unexpected argument 'extra'"),
        (
            (*DIGITS, "--topology=local", "--config.batch_size=12"),
            "batch_size 12: expected a multiple of the 8 devices, such as 8 or 16; set it by --config.batch_size",
        ),
    ],
)
def test_bad_command_line_is_one_line_on_stderr(arguments, message):
    done = run_plan(*arguments, **EIGHT_DEVICES)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("hasnn_jax.plan: ")
    assert done.stdout == ""


@pytest.mark.slow
def test_command_prints_the_answer_as_text_and_as_json(tmp_path):
    arguments = (*DIGITS, "--config.model.statistics_group=4", "--topology=local", f"--cache_dir={tmp_path}")
    text, data = run_plan(*arguments, **EIGHT_DEVICES), run_plan(*arguments, "--json", **EIGHT_DEVICES)
    assert (text.returncode, data.returncode) == (0, 0), text.stderr + data.stderr
    assert text.stderr == data.stderr == ""
    assert text.stdout.startswith("has8_vgg_b1_m1_d1, float32, on local: 8 x cpu\nbatch 32: 4 images of 8x8x1 a device")
    found = json.loads(data.stdout)
    assert found["cached"]
    assert found["devices"] == 8
    reduced = {one["kind"]: one for one in found["cost"]["collectives"]}["all-reduce"]
    assert reduced["sent"] == pytest.approx(2 * 7 / 8 * reduced["bytes"])


@pytest.mark.slow
def test_smallest_network_compiles_for_a_tpu_slice(tmp_path):
    pytest.importorskip("libtpu")
    arguments = (*DIGITS, "--config.model.statistics_group=2", "--topology=v5e:2x4", f"--cache_dir={tmp_path}")
    done = run_plan(*arguments, "--config.accumulate=2", "--json", XLA_FLAGS="", JAX_PLATFORMS="")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["fits"]
    assert (found["devices"], found["device_kind"]) == (8, "TPU v5 lite")
    assert found["cost"]["cycles"] > 0
    assert found["cost"]["loops_unknown"] == 0
    assert 0 < found["needed"] < found["available"] == 15.75 * 2**30
    assert found["seconds"]["step"] > found["seconds"]["cycles"] > found["seconds"]["bytes_bound"] > 0
    assert [one["kind"] for one in found["cost"]["collectives"]] == ["all-reduce"]
    assert found["days"] == pytest.approx(found["steps"] * found["seconds"]["step"] / 86400)
    for size, message in (("3x3", "is not divisible"), ("16x16", "expected a multiple of the 256 devices")):
        refused = run_plan(*DIGITS, f"--topology=v5e:{size}", XLA_FLAGS="", JAX_PLATFORMS="")
        assert refused.returncode == 1
        assert message in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1
