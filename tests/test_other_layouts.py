"""A checkpoint goes on being trained on another number of devices and processes, and back, with the same losses."""

import json
import shutil

import numpy as np
import pytest
import several_processes

pytestmark = pytest.mark.slow

NARROW_TRAIN = several_processes.TESTS / "narrow_train.py"
LAYOUTS = {"one": {"devices": 1, "count": 1}, "eight": {"devices": 8, "count": 1}, "two": {"devices": 4, "count": 2}}
SETTINGS = {
    "model.name": "has8_vgg_b1_m1_d1", "model.stem": "imagenet", "model.statistics_group": 32, "batch_size": 256,
    "log_every_steps": 1,
}  # fmt: skip


def train(workdir, layout, **settings):
    """The losses of all steps so far."""
    overrides = [f"--config.{key}={value}" for key, value in {**SETTINGS, **settings}.items()]
    said = several_processes.run([NARROW_TRAIN, "--workdir", workdir, *overrides], **LAYOUTS[layout])
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return said, np.array([line["loss"] for line in lines if line["split"] == "train"])


@pytest.fixture(scope="module")
def on_eight(tmp_path_factory):
    """A run of one epoch of 5 steps on 8 devices, its weights divided among them."""
    workdir = tmp_path_factory.mktemp("runs") / "eight"
    train(workdir, "eight", epochs=1, shard_parameters=True)
    return workdir


def test_a_checkpoint_of_eight_devices_goes_on_elsewhere_and_back(on_eight, tmp_path):
    losses = {}
    for layout in LAYOUTS:
        run = shutil.copytree(on_eight, tmp_path / layout)
        said, losses[layout] = train(run, layout, epochs=2, shard_parameters=layout != "one")
        assert "resuming from the checkpoint of step 5 of 10" in said
        assert len(losses[layout]) == 10
        # From the next step on rounding differs, and may flip a spike.
        np.testing.assert_allclose(losses[layout][:6], losses["one"][:6], rtol=1e-5)
        np.testing.assert_allclose(losses[layout], losses["one"], rtol=0.05)
    back = {}
    for layout in ("eight", "one"):
        run = shutil.copytree(tmp_path / "two", tmp_path / f"back on {layout}")
        said, back[layout] = train(run, layout, epochs=3, shard_parameters=True)
        assert "resuming from the checkpoint of step 10 of 15" in said
        np.testing.assert_array_equal(back[layout][:10], losses["two"])
    np.testing.assert_allclose(back["eight"][10], back["one"][10], rtol=1e-5)
