"""The figures in the table of GPUs are consistent, and XLA gets them."""

import re

import pytest

from hasnn_jax.planning.gpus import GPUS, target_config


@pytest.mark.parametrize("name", GPUS)
def test_clock_and_published_peak_agree(name):
    gpu = GPUS[name]
    assert gpu.clock * gpu.tensor_flops * gpu.multiprocessors == pytest.approx(gpu.flops, rel=0.001)
    assert 0.98 < gpu.reported / gpu.memory < 1


def test_generations_are_in_their_order():
    a100, h100, h200, b200 = (GPUS[name] for name in ("a100", "h100", "h200", "b200"))
    assert [gpu.capability for gpu in (a100, h100, h200, b200)] == [(8, 0), (9, 0), (9, 0), (10, 0)]
    assert a100.bandwidth < h100.bandwidth < h200.bandwidth < b200.bandwidth
    assert a100.flops < h100.flops == h200.flops < b200.flops
    assert set(GPUS) == {"a100", "h100", "h200", "b200"}


def test_target_config_is_the_text_of_a_message():
    text = target_config(GPUS["h100"], (9, 20, 1))
    assert text.count("{") == text.count("}") == 3
    fields = dict(re.findall(r"^ +(\w+): (\S+)$", text, re.MULTILINE))
    assert fields["core_count"] == "132"
    assert fields["shared_memory_per_block_optin"] == "232448"  # 227 KiB
    assert fields["memory_bandwidth"] == "3350000000000"
    assert float(fields["clock_rate_ghz"]) == 1.83
    assert int(fields["device_memory_size"]) == pytest.approx(79.1 * 2**30, rel=0.01)
    assert "cuda_compute_capability { major: 9 minor: 0 }" in text
    assert "dnn_version_info { major: 9 minor: 20 patch: 1 }" in text
    assert text.endswith('device_description_str: "NVIDIA H100 80GB HBM3"')
