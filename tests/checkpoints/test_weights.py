"""Weights as checkpoints of their own, and weights made to fit a model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_dtypes import bfloat16
from orbax.checkpoint import v1 as ocp

import hasnn_jax
from hasnn_jax.checkpoints import metadata
from hasnn_jax.checkpoints.fit_weights import fit_weights
from hasnn_jax.checkpoints.folders import newest_checkpoint
from hasnn_jax.checkpoints.weights import load_weights, save_weights
from hasnn_jax.common.errors import InputError

SETTINGS = {"name": "has8_vgg_b1_m1_d1", "num_classes": 10, "stem": "imagenet", "paths": ["ann", "snn"]}


def small_model(num_classes=10, spiking=hasnn_jax.AS_DESCRIBED, paths=("ann", "snn")):
    return hasnn_jax.create_model("has8_vgg_b1_m1_d1", num_classes=num_classes, spiking=spiking, paths=paths)


def fresh_variables(model):
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1))))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: (9 * rng.normal(size=leaf.shape)).astype(leaf.dtype), shapes)


@pytest.mark.parametrize("dtype", [np.float16, bfloat16, np.float32, np.float64])
def test_weights_and_settings_come_back_bit_by_bit_in_their_own_dtype(dtype, tmp_path):
    array = np.array([[1 / 3, -0.0], [1e-4, 700]], dtype)
    variables = {"params": {"layer": {"kernel": array}}, "batch_stats": {"norm": {"count": np.array(7, np.int32)}}}
    save_weights(tmp_path / "weights", variables, SETTINGS)
    restored, settings = load_weights(tmp_path / "weights")

    assert settings == SETTINGS
    assert restored["params"]["layer"]["kernel"].dtype == dtype
    assert restored["params"]["layer"]["kernel"].tobytes() == array.tobytes()
    assert restored["batch_stats"]["norm"]["count"] == 7


def test_class_names_come_back_with_the_weights(tmp_path):
    save_weights(
        tmp_path / "weights", {"params": {"a": np.ones(2)}, "batch_stats": {}}, {**SETTINGS, "classes": ("cat", "dög")}
    )
    assert load_weights(tmp_path / "weights")[1] == {**SETTINGS, "classes": ["cat", "dög"]}


def test_weights_of_a_newer_version_are_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "FORMAT", 2)
    save_weights(tmp_path / "weights", {"params": {"a": np.ones(2)}, "batch_stats": {}}, SETTINGS)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"was written by a newer version of hasnn_jax \(format 2, .* upgrade"):
        load_weights(tmp_path / "weights")


def test_existing_weights_are_not_overwritten(tmp_path):
    (tmp_path / "weights").mkdir()
    with pytest.raises(InputError, match="exists already; remove it"):
        save_weights(tmp_path / "weights", {"params": {}, "batch_stats": {}}, SETTINGS)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def fills_up(path, *_, **__):
        for folder in (path, path.with_name(f"{path.name}.orbax-checkpoint-tmp")):
            (folder / "state").mkdir(parents=True)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ocp, "save", fills_up)
    with pytest.raises(OSError, match="No space left"):
        save_weights(tmp_path / "weights", {"params": {"a": np.ones(3)}, "batch_stats": {}}, SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no weights; expected a run's workdir or a folder of converted weights"):
        load_weights(tmp_path)
    with pytest.raises(InputError, match="holds no weights"):
        load_weights(tmp_path / "nowhere")


def test_damaged_weights_are_refused(tmp_path):
    save_weights(tmp_path / "w", {"params": {"a": np.ones(3)}, "batch_stats": {"b": np.ones(3)}}, SETTINGS)
    for file in (tmp_path / "w" / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.raises(InputError, match=r"is damaged \(.*\); copy it again"):
        load_weights(tmp_path / "w")


def test_the_newest_checkpoint_is_the_one_of_the_highest_step(tmp_path):
    for name in ("9", "10", "11.tmp"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert newest_checkpoint(tmp_path).name == "10"
    assert newest_checkpoint(tmp_path / "elsewhere") is None


def test_fitted_weights_take_the_models_dtypes():
    model = small_model()
    expected = fresh_variables(model)
    doubled = jax.tree.map(lambda leaf: np.asarray(2 * leaf, np.float64), expected)
    fitted, ranges_missing = fit_weights(model, expected, doubled)

    assert ranges_missing == 0
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, 2 * b, strict=True), fitted, expected)


def test_a_fresh_head_keeps_the_layers_that_end_in_the_classes_and_no_others():
    expected, weights = fresh_variables(small_model(5)), fresh_variables(small_model(10))
    weights = jax.tree.map(lambda leaf: leaf + 1, weights)
    fitted, _ = fit_weights(small_model(5), expected, weights, fresh_head=True)

    for path in ("ann", "snn"):
        head, there = fitted["params"]["head"][path], weights["params"]["head"][path]
        np.testing.assert_array_equal(head["dense3"]["kernel"], expected["params"]["head"][path]["dense3"]["kernel"])
        np.testing.assert_array_equal(head["dense2"]["kernel"], there["dense2"]["kernel"])
    np.testing.assert_array_equal(fitted["batch_stats"]["block1"]["encoder"]["low"],
                                  weights["batch_stats"]["block1"]["encoder"]["low"])  # fmt: skip


@pytest.mark.parametrize("paths", [("ann",), ("ann", "snn")])
def test_fresh_spiking_paths_stand_beside_the_ann_path_of_the_weights(paths):
    model, other = small_model(spiking=hasnn_jax.AS_RECOMMENDED), small_model(paths=paths)
    expected, weights = fresh_variables(model), jax.tree.map(lambda leaf: leaf + 1, fresh_variables(other))
    fitted, ranges_missing = fit_weights(model, expected, weights, fresh_spiking=True)

    assert ranges_missing == 0  # fresh ones are not missing
    for collection, block in (("params", "block1"), ("params", "head"), ("batch_stats", "block2")):
        ours, theirs = expected[collection][block], weights[collection][block]
        got = fitted[collection][block]
        assert got.keys() == ours.keys()
        jax.tree.map(np.testing.assert_array_equal, got["ann"], theirs["ann"])
        for name in got.keys() - {"ann"}:
            jax.tree.map(np.testing.assert_array_equal, got[name], ours[name])


def test_fresh_spiking_paths_of_an_ann_are_none():
    ann, hybrid = small_model(paths=("ann",)), small_model()
    fitted, _ = fit_weights(ann, fresh_variables(ann), fresh_variables(hybrid), fresh_spiking=True)
    jax.tree.map(np.testing.assert_array_equal, fitted["params"]["block1"]["ann"],
                 fresh_variables(hybrid)["params"]["block1"]["ann"])  # fmt: skip
    assert fitted["params"]["block1"].keys() == {"ann"}


def test_weights_without_value_ranges_leave_them_as_they_are_and_count_them():
    model, released = small_model(), small_model(spiking=hasnn_jax.AS_RELEASED)
    expected, weights = fresh_variables(model), fresh_variables(released)
    fitted, ranges_missing = fit_weights(model, expected, weights)

    assert ranges_missing == 3  # two blocks and the head
    assert fitted["batch_stats"]["head"]["encoder"] == expected["batch_stats"]["head"]["encoder"]


def test_value_ranges_that_a_model_does_not_track_are_left_out():
    released = small_model(spiking=hasnn_jax.AS_RELEASED)
    fitted, ranges_missing = fit_weights(released, fresh_variables(released), fresh_variables(small_model()))

    assert ranges_missing == 0
    assert "encoder" not in fitted["batch_stats"]["block1"]


def test_what_does_not_fit_is_counted_and_the_first_are_named():
    expected, weights = fresh_variables(small_model(5)), fresh_variables(small_model(10))
    del weights["params"]["block1"]["ann"]["conv"]
    weights["params"]["block3"] = {"bias": np.zeros(2)}

    with pytest.raises(InputError) as error:
        fit_weights(small_model(5), expected, weights)
    assert str(error.value) == (
        "6 arrays do not fit: params/block1/ann/conv/kernel: expected (3, 3, 1, 1), got none; "
        "params/block3/bias: expected none, got (2,); "
        "params/head/ann/dense3/bias: expected (5,), got (10,); "
        "params/head/ann/dense3/kernel: expected (512, 5), got (512, 10); and 2 more"
    )
