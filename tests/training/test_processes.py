"""How processes find one another: by flags, or by what SLURM, Open MPI and TPU pods leave in the environment."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from hasnn_jax.common.errors import InputError
from hasnn_jax.training import processes, sharding

SLURM = {"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "n[1-2]", "SLURM_NTASKS": "16", "SLURM_PROCID": "3"}
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1"}


@pytest.fixture
def joined(monkeypatch):
    """What JAX's runtime would be started with."""
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args, **kwargs: calls.append(args))
    monkeypatch.setattr(processes, "_on_tpu_host", lambda: False)
    return calls


def test_on_a_plain_host_nothing_is_started(joined, capsys):
    processes.start(environment={})
    assert joined == []
    assert capsys.readouterr() == ("", "")


def test_flags_go_to_the_runtime_and_are_logged(joined, capsys):
    processes.start("host:1234", 4, 1, environment={})
    assert joined == [("host:1234", 4, 1)]
    assert capsys.readouterr().err.startswith("processes flags: process 1 of 4; this is ")


def test_flags_go_before_the_environment(joined):
    processes.start("host:1234", 4, 1, environment=SLURM)
    assert joined == [("host:1234", 4, 1)]


@pytest.mark.parametrize(
    ("environment", "logged"),
    [(SLURM, "SLURM job 7: 16 tasks"), ({**OPEN_MPI, "OMPI_MCA_orte_hnp_uri": "1.0;tcp://10.0.0.1:1"}, "Open MPI: 4")],
    ids=["SLURM", "Open MPI 4"],
)
def test_a_launcher_is_recognised_and_the_runtime_finds_the_rest(environment, logged, joined, capsys):
    processes.start(environment=environment)
    assert joined == [(None, None, None)]
    assert capsys.readouterr().err.startswith(f"processes {logged}")


@pytest.mark.parametrize(
    "environment",
    [{**SLURM, "SLURM_NTASKS": "1"}, {"SLURM_NTASKS": "16", "SLURM_JOB_ID": "7"}, {"OMPI_COMM_WORLD_SIZE": "1"}],
    ids=["one task", "a job's shell outside of srun", "one MPI process"],
)
def test_a_single_process_of_a_launcher_trains_alone(environment, joined):
    processes.start(environment=environment)
    assert joined == []


def test_a_tpu_host_joins_its_pod_unless_jax_is_to_use_another_platform(joined, monkeypatch):
    monkeypatch.setattr(processes, "_on_tpu_host", lambda: True)
    processes.start(environment={"JAX_PLATFORMS": "cpu"})
    assert joined == []
    processes.start(environment={})
    assert joined == [(None, None, None)]


def test_open_mpi_5_which_does_not_say_where_process_0_is_wants_flags(joined):
    with pytest.raises(InputError, match=r"give --coordinator=HOST:PORT --process_count=\$OMPI_COMM_WORLD_SIZE"):
        processes.start(environment=OPEN_MPI)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("host:1", None, None), r"^--process_count, --process_index: missing; .* have to be given together$"),
        ((None, 2, 0), r"^--coordinator: missing"),
        (("host", 2, 0), r"^--coordinator: expected HOST:PORT of process 0, got 'host'$"),
        (("host:1", 2, 2), r"^--process_index: expected 0 to 1 for 2 processes, got 2$"),
        (("host:1", 2, -1), r"^--process_index: expected 0 to 1 for 2 processes, got -1$"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags, message, joined):
    with pytest.raises(InputError, match=message):
        processes.start(*flags, environment={})
    assert joined == []


def test_processes_that_cannot_be_joined_are_an_error_of_one_line(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("deadline exceeded\nand much more")

    monkeypatch.setattr(jax.distributed, "initialize", fail)
    with pytest.raises(
        InputError, match=r"^flags: process 0 of 2, but they could not be connected \(deadline exceeded\)$"
    ):
        processes.start("host:1", 2, 0, environment={})


def test_alone_a_process_speaks_for_itself():
    assert processes.is_main()
    assert processes.on_main(lambda: [1, "two"]) == [1, "two"]
    assert processes.processes_where(True) == [0]
    assert processes.processes_where(False) == []


def test_nothing_that_the_command_imports_starts_jax_before_the_processes_are_joined():
    program = (
        "import sys; sys.argv = ['train.py']; import train, jax._src.xla_bridge as bridge; "
        "from hasnn_jax.training import processes; print(bridge.backends_are_initialized())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


def test_arrays_come_to_the_host_as_numpys():
    tree = {
        "a": jax.device_put(np.arange(6.0).reshape(2, 3), sharding.over_batch(sharding.make_mesh(jax.devices()[:1])))
    }
    whole = processes.to_host(tree)
    assert isinstance(whole["a"], np.ndarray)
    np.testing.assert_array_equal(whole["a"], tree["a"])
