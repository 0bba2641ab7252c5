"""What all commands have in common: the list, --help, errors in one line, Ctrl-C."""

import os
import pathlib
import signal
import subprocess
import sys
import sysconfig

import pytest

import hasnn_jax
from hasnn_jax.commands import command, config_overrides, main
from hasnn_jax.commands.command import Command, run_command
from hasnn_jax.commands.main import COMMANDS
from hasnn_jax.common.errors import InputError

# ml_collections loads config files in a way that Python is going to remove.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

ROOT = pathlib.Path(__file__).parents[2]


def run(*arguments, capsys):
    """Exit status or message (0: success), standard output and standard error of `hasnn`."""
    status = 0
    try:
        main.main(list(arguments))
    except SystemExit as stop:
        status = stop.code
    return status, *capsys.readouterr()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_without_a_command_all_are_listed_a_line_each(arguments, capsys):
    status, out, err = run(*arguments, capsys=capsys)
    assert (status, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    for name, one in COMMANDS.items():
        assert [name, *one.summary.split()] in lines


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_succeeds_and_ends_with_an_example(name, capsys):
    status, out, err = run(name, "--help", capsys=capsys)
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: hasnn {name} ")
    assert out.splitlines()[-1] == f"  {COMMANDS[name].examples[-1]}"
    assert all(example.startswith(f"hasnn {name}") for example in COMMANDS[name].examples)
    assert max(map(len, COMMANDS[name].description.split("\n"))) < 500
    assert ("--config.KEY" in out) == COMMANDS[name].reads_config


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("example", [0, -1])
def test_every_argument_of_an_example_is_known(name, example, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = COMMANDS[name].examples[example].split()
    assert command.parse("hasnn", COMMANDS[name], words[2:])


def test_the_version_is_printed(capsys):
    assert run("--version", capsys=capsys) == (0, f"hasnn_jax {hasnn_jax.__version__}\n", "")


def test_an_unknown_command_is_answered_with_the_nearest(capsys):
    status, out, _ = run("trian", capsys=capsys)
    assert status.startswith("hasnn: unknown command 'trian': expected one of ")
    assert status.endswith("; did you mean 'train'?")
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan",), "hasnn plan: --config is missing, as in: hasnn plan --config configs/imagenet.py --topology v5e"),
        (("convert",), "hasnn convert: the following arguments are required: weights, output; see --help"),
        (("train", "--evalute"), "hasnn train: unknown option '--evalute': expected one of "),
        (("train", "--process_count=two"), "hasnn train: argument --process_count: invalid int value: 'two'"),
        (("train", "--config"), "hasnn train: argument --config: expected one argument; see --help"),
        (("evaluate", "--config.epoch=1"), "hasnn evaluate: unknown config key 'epoch': "),
    ],
)  # fmt: skip
def test_a_bad_command_line_is_one_line(arguments, message, capsys):
    status, out, err = run(*arguments, capsys=capsys)
    assert status.startswith(message)
    assert "\n" not in status
    assert (out, err) == ("", "")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["--config.epochs=3"], 3),
        (["--config.epochs", "3"], 3),
        (["-config.epochs=3"], 3),
        (["--config.epochs=2", "--config.epochs=3"], 3),
    ],
)
def test_a_setting_is_replaced_in_every_spelling(overrides, expected):
    options = command.parse("hasnn train", COMMANDS["train"], overrides)
    assert options.config.epochs == expected
    assert options.config_file.name == "digits.py"


def test_without_the_projects_configs_the_flag_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(config_overrides, "SHIPPED", tmp_path)
    expected = "--config is missing, as in: hasnn train --config configs/imagenet.py"
    with pytest.raises(InputError, match=expected):
        command.parse("hasnn train", COMMANDS["train"], [])


def test_switches_and_none_are_values(tmp_path):
    options = command.parse(
        "hasnn train",
        COMMANDS["train"],
        ["--config.data.flip", "--noconfig.schedule.per_epoch", "--config.optim.clip_rms=None"],
    )
    assert options.config.data.flip is True
    assert options.config.schedule.per_epoch is False
    assert options.config.optim.clip_rms is None


def test_a_config_file_may_import_its_neighbours_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(ROOT))])
    for name in [name for name in sys.modules if name.split(".")[0] == "configs"]:
        monkeypatch.delitem(sys.modules, name)
    before = list(sys.path)
    options = command.parse("hasnn train", COMMANDS["train"], ["--config", str(ROOT / "configs/cifar100_small.py")])
    assert options.config.data.name == "cifar100"
    assert sys.path == before


def interrupted(options):
    raise KeyboardInterrupt


def test_ctrl_c_is_one_line_and_ends_the_program_by_its_signal(capsys, monkeypatch):
    sent = []
    monkeypatch.setattr(command.signal, "signal", lambda number, action: sent.append((number, action)))
    monkeypatch.setattr(command.signal, "raise_signal", sent.append)
    one = Command("", "", ("hasnn x",), lambda parser: None, interrupted, if_interrupted="the same command resumes")
    run_command("x", one, [])
    assert capsys.readouterr().err == "hasnn x: interrupted; the same command resumes\n"
    assert sent == [(signal.SIGINT, signal.SIG_DFL), signal.SIGINT]


def test_bad_input_is_one_line(capsys):
    def run(options):
        raise InputError("x: got 1, expected 2")

    with pytest.raises(SystemExit, match=r"^hasnn x: x: got 1, expected 2$"):
        run_command("x", Command("", "", ("hasnn x",), lambda parser: None, run), [])


@pytest.mark.slow
def test_the_installed_command_and_the_module_are_the_same(tmp_path):
    script = pathlib.Path(sysconfig.get_path("scripts")) / "hasnn"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    outputs = [
        subprocess.run([*program, "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        for program in ([script], [sys.executable, "-m", "hasnn_jax"])
    ]
    assert outputs[0].stdout == outputs[1].stdout
    assert outputs[0].stderr == outputs[1].stderr == ""
