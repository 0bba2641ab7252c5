"""Topologies: which are known, and the errors for all others."""

import pytest

from hasnn_jax.common.errors import InputError
from hasnn_jax.planning import devices
from hasnn_jax.planning.chips import CHIPS
from hasnn_jax.planning.devices import find_target


@pytest.mark.parametrize("topology", ["v5x:2x2", "v5e", "v5e:", "v5e:2x", "V5E:2x2", "v5litepod-8", "v5e:-2x4", ""])
def test_error_for_unknown_topology_lists_the_known_ones(topology):
    with pytest.raises(InputError) as raised:
        find_target(topology)
    message = str(raised.value)
    assert f"unknown topology {topology!r}" in message
    assert "family:AxB" in message
    assert "local" in message
    assert "v5e (1x1, 2x2, 2x4, 4x4, 8x8, 16x16)" in message
    assert set(CHIPS) == {"v4", "v5e", "v5p", "v6e", "tpu7x"}
    assert all(f"{family} (" in message for family in CHIPS)


@pytest.mark.parametrize("topology", ["v5e:0x4", "v5e:2x4x1", "v5e:8", "v5e:32x32", "v4:2x2", "tpu7x:99999x9x9"])
def test_impossible_size_is_refused_without_the_compiler(topology):
    with pytest.raises(
        InputError, match=rf"--topology {topology}: expected \d sizes of 1 or more, [\d,]+ chips at most"
    ):
        find_target(topology)


def test_error_for_missing_compiler_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda _: None)
    monkeypatch.delenv("TPU_LIBRARY_PATH", raising=False)
    with pytest.raises(InputError, match=r"pip install -e '\.\[tpu\]' .* pip install 'hasnn_jax\[tpu\]'"):
        find_target("v5e:2x4")
