"""Topologies: which are known, and the errors for all others."""

import os

import jax
import pytest

from hasnn_jax.common.errors import InputError
from hasnn_jax.planning import tpu_slices
from hasnn_jax.planning.chips import CHIPS
from hasnn_jax.planning.devices import LOCAL, compile_only, find_target, known_topologies


@pytest.mark.parametrize("topology", ["v5x:2x2", "h10:8", "V5E:2x2", "v5litepod-8", "8xh100", ""])
def test_error_for_unknown_family_lists_the_known_ones(topology):
    with pytest.raises(InputError) as raised:
        find_target(topology)
    message = str(raised.value)
    assert message.startswith(f"--topology {topology}: unknown family ")
    assert "expected one of a100, b200, h100, h200, tpu7x, v4, v5e, v5p, v6e" in message
    assert message.endswith("for TPUs, such as v5e:2x4, family:N for GPUs, such as h100:8, or local")
    assert "\n" not in message


def test_known_topologies_have_every_family_with_its_sizes():
    text = known_topologies()
    assert "v5e (1x1, 2x2, 2x4, 4x4, 8x8, 16x16)" in text
    assert set(CHIPS) == {"v4", "v5e", "v5p", "v6e", "tpu7x"}
    assert all(f"{family} (" in text for family in CHIPS)
    assert text.endswith("GPUs, 1 to 8 of them: a100, h100, h200, b200")


@pytest.mark.parametrize(("topology", "near"), [("v6:2x2", "v6e"), ("h10:8", "h100"), ("b20:1", "b200")])
def test_error_for_unknown_family_suggests_the_nearest(topology, near):
    with pytest.raises(InputError, match=f"did you mean '{near}'"):
        find_target(topology)


@pytest.mark.parametrize(
    "topology",
    ["v5e:0x4", "v5e:2x4x1", "v5e:8", "v5e:32x32", "v4:2x2", "tpu7x:99999x9x9", "v5e", "v5e:", "v5e:2x", "v5e:-2x4"],
)
def test_impossible_size_is_refused_without_the_compiler(topology):
    with pytest.raises(
        InputError, match=rf"--topology {topology}: expected \d sizes of 1 or more, [\d,]+ chips at most"
    ):
        find_target(topology)


def test_error_for_missing_compiler_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(tpu_slices.importlib.util, "find_spec", lambda _: None)
    monkeypatch.delenv("TPU_LIBRARY_PATH", raising=False)
    with pytest.raises(InputError, match=r"pip install -e '\.\[tpu\]' .* pip install 'hasnn_jax\[tpu\]'"):
        find_target("v5e:2x4")


@pytest.mark.parametrize(
    ("topology", "before", "after"),
    [
        ("h100:8", None, "--xla_gpu_autotune_level=0"),
        ("b200:1", "--xla_a=1", "--xla_a=1 --xla_gpu_autotune_level=0"),
        ("v5e:2x4", "--xla_a=1", "--xla_a=1"),
    ],
)
def test_compilers_are_set_up_and_flags_of_the_user_stay(topology, before, after, monkeypatch):
    changed = {}
    monkeypatch.setattr(jax.config, "update", changed.__setitem__)
    monkeypatch.setattr(os, "environ", {"TPU_MIN_LOG_LEVEL": "0"} | ({"XLA_FLAGS": before} if before else {}))
    compile_only(topology)
    assert changed == {"jax_platforms": "cpu"}
    assert os.environ["XLA_FLAGS"] == after
    assert os.environ["TPU_MIN_LOG_LEVEL"] == "0"
    assert os.environ["TPU_SKIP_MDS_QUERY"] == "1"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    compile_only(topology)
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_devices_of_this_machine_are_no_chip():
    target = find_target(LOCAL)
    assert (target.chip, target.devices) == (None, len(jax.devices()))
