"""`python train.py` and `hasnn evaluate` as a person types them."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import pytest
from quick_compilation import with_devices

from hasnn_jax.commands.run_options import kept_programs

ROOT = pathlib.Path(__file__).parents[2]
SHORT = (
    "--config.epochs=1",
    "--config.log_every_steps=11",
    "--config.model.name=has8_vgg_b1_m1_d1",
    "--config.model.stem=imagenet",
)


def run_train(*arguments, cwd, **environment):
    """With these environment variables; None for one that shall not be there."""
    settings = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *arguments],
        cwd=cwd,
        env={name: value for name, value in settings.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "override",
    [
        "--config.model.spiking.rescaling=none",
        "--config.model.spiking.neuron=lif",
        "--config.model.spiking.surrogate=sigsine",
        "--config.model.spiking.decoder=rate",
        "--config.model.spiking.spec=as_released",
        "--config.model.spiking.planes=4",
        "--config.model.paths=('ann',)",
    ],
)
def test_one_override_trains_on_the_digits(override, tmp_path):
    done = run_train(*SHORT, override, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "runs/digits/metrics.jsonl").read_text().splitlines()]
    losses = [r["loss"] for r in records if r["split"] == "train"]
    assert len(losses) == 4
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_progress_is_plain_lines_and_what_was_compiled_is_kept(tmp_path):
    unclipped = "--config.optim.clip_rms=None"
    done = run_train(*SHORT, unclipped, cwd=tmp_path, HOME=str(tmp_path), JAX_COMPILATION_CACHE_DIR=None)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "runs/digits/config.json").read_bytes())["optim.clip_rms"] is None
    lines = done.stderr.splitlines()
    assert lines[0].split() == ["data", "digits:", "1,438", "training", "and", "359", "test", "images"]
    assert sum(line.startswith("step ") and " left" in line and "images/s" in line for line in lines) == 4
    assert sum(line.startswith("step 44/44  test ") for line in lines) == 1
    assert list((tmp_path / ".cache/hasnn_jax").glob("jit_*"))
    programs = list((tmp_path / ".cache/hasnn_jax/programs").iterdir())
    assert len(programs) == 5  # initial variables and state, training step, evaluation step, and the model's cost
    assert not any("\r" in line or line.startswith(("I1", "W1")) for line in lines)

    accuracy = (tmp_path / "runs/digits/summary.txt").read_text().splitlines()[1].partition(", after")[0]
    evaluated = run_train("--evaluate", *SHORT, unclipped, cwd=tmp_path, HOME=str(tmp_path))
    assert (evaluated.returncode, evaluated.stdout) == (0, f"{accuracy}, over all 359 test images\n"), evaluated.stderr


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("jax_compilation_cache_dir", "/somewhere", pathlib.Path("/somewhere/programs")),
        ("jax_compilation_cache_dir", "gs://bucket/cache", None),
        ("jax_compilation_cache_dir", None, None),
        ("jax_enable_compilation_cache", False, None),
    ],
)
def test_traced_programs_are_kept_beside_compiled_ones(setting, value, expected, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
    before = getattr(jax.config, setting)
    jax.config.update(setting, value)
    try:
        assert kept_programs() == expected
        monkeypatch.delattr(sys.modules["__main__"], "__file__")
        assert kept_programs() is None  # as in a notebook, whose code may have changed what is traced
    finally:
        jax.config.update(setting, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.optim.learning_rat=1"], "unknown config key 'optim.learning_rat'"),
        (["--config.epochs=many"], "invalid literal for int() with base 10: 'many'"),
        (["--config.epochs=None"], "config.epochs: expected a value such as 100; got None"),
        (
            ["--coordinator=host", "--process_count=2", "--process_index=0"],
            "--coordinator: expected HOST:PORT of process 0, got 'host'",
        ),
        (
            ["--config", "configs/nowhere.py"],
            "no config file configs/nowhere.py; the project has configs/",
        ),
        (["--config=configs/nowhere.py", "--config.epochs=2"], "no config file configs/nowhere.py"),
        (["--workdirs=x"], "unknown option '--workdirs': expected one of "),
        (["extra"], "unexpected argument 'extra'"),
        (["--config.batch_size=0"], "config.batch_size: expected a whole number, 1 or more; got 0"),
        (["--workdir=/dev/null/run"], "workdir /dev/null/run: cannot be written"),
        (
            ["--config", f"{ROOT}/configs/imagenet.py", "--config.data.data_dir=."],
            "hasnn prepare imagenet2012",
        ),
        (["--config", f"{ROOT}/configs/cifar10.py", "--config.data.data_dir=."], "hasnn prepare cifar10 "),
        (["--config", f"{ROOT}/configs/cifar100.py", "--config.data.data_dir=."], "hasnn prepare cifar100"),
        (["--config", str(ROOT / "configs/caltech101.py"), "--config.data.data_dir=x"], "download Caltech-101"),
        (["--config", str(ROOT / "configs/caltech256.py"), "--config.data.data_dir=x"], "download Caltech-256"),
    ],
)
def test_bad_command_line_is_one_line_on_stderr_and_writes_nothing(arguments, message, tmp_path):
    done = run_train(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("hasnn train: ")
    assert list(tmp_path.iterdir()) == []


def test_batch_that_does_not_divide_among_the_devices_is_refused(tmp_path):
    done = run_train("--config.batch_size=12", cwd=tmp_path, XLA_FLAGS=with_devices(8), JAX_PLATFORMS="cpu")
    assert done.returncode == 1
    assert "batch_size 12: expected a multiple of the 8 devices, such as 8 or 16" in done.stderr
