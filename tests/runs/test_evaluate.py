"""Weights in, accuracy out; and weights that training starts from."""

import jax
import numpy as np
import pytest
from tiny_runs import tiny_config

import hasnn_jax
from hasnn_jax.assembly.run_setup import set_up
from hasnn_jax.checkpoints.weights import load_weights, save_weights
from hasnn_jax.common.errors import InputError
from hasnn_jax.runs.evaluate import evaluate_weights
from hasnn_jax.runs.train import starting_weights, train_and_evaluate

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run of the release's spec, and its outcome; tests must not change it."""
    workdir = tmp_path_factory.mktemp("trained")
    return workdir, train_and_evaluate(released(), workdir)


def released(**changes):
    return tiny_config(model__spiking__spec="as_released", **changes)


def listing(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@slow
def test_a_runs_checkpoint_evaluates_to_what_the_run_reported(trained, tmp_path, capsys):
    workdir, outcome = trained
    before = listing(workdir)
    found = evaluate_weights(released(), workdir)

    assert found["accuracy"] == outcome["test_accuracy"]
    assert found["loss"] == outcome["test_loss"]
    assert found["images"] == 359
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"weights  {workdir}/checkpoints/10" in printed.err
    assert listing(workdir) == before


@slow
def test_weights_in_a_folder_evaluate_as_the_run_that_they_come_from(trained, tmp_path):
    workdir, outcome = trained
    save_weights(tmp_path / "weights", *load_weights(workdir))
    found = evaluate_weights(released(model__init_from=str(tmp_path / "weights")), tmp_path / "nothing")
    assert found["accuracy"] == outcome["test_accuracy"]
    assert not (tmp_path / "nothing").exists()


@slow
def test_training_starts_from_the_weights_and_does_not_need_them_again(trained, tmp_path, capsys):
    workdir, _ = trained
    save_weights(tmp_path / "weights", *load_weights(workdir))
    config = released(model__init_from=str(tmp_path / "weights"), optim__learning_rate=1e-9, epochs=1)
    train_and_evaluate(config, tmp_path / "run")

    started, trained_on = load_weights(workdir)[0]["params"], load_weights(tmp_path / "run")[0]["params"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-7), started, trained_on)
    assert f"weights  {tmp_path / 'weights'}" in capsys.readouterr().err

    (tmp_path / "weights").rename(tmp_path / "gone")
    assert starting_weights(config, set_up(config), tmp_path / "run") is None


def make_weights(folder, **changes):
    setup = set_up(released(**changes))
    paths = list(setup.model.layers.paths)
    settings = {"name": "has8_vgg_b1_m1_d1", "num_classes": setup.model.num_classes, "paths": paths}
    save_weights(folder, setup.initialise(), settings)


@slow
def test_weights_of_another_model_are_refused_before_anything_is_written(tmp_path):
    make_weights(tmp_path / "weights")
    other = released(model__name="has8_vgg_b2_m1_d1", model__init_from=str(tmp_path / "weights"))
    expected = r"weights of has8_vgg_b1_m1_d1 for 10 classes, the config names has8_vgg_b2_m1_d1 for 10; \d+ arrays"
    with pytest.raises(InputError, match=expected):
        train_and_evaluate(other, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@slow
def test_a_hybrid_starts_as_the_trained_ann_path_that_its_spiking_paths_are_added_to(tmp_path):
    trained = train_and_evaluate(tiny_config(model__paths=("ann",)), tmp_path / "ann")
    config = tiny_config(
        model__spiking__spec="as_recommended", model__init_from=str(tmp_path / "ann"), model__init_spiking="fresh"
    )
    setup = set_up(config)
    variables = starting_weights(config, setup, tmp_path / "hybrid")
    save_weights(tmp_path / "start", variables, load_weights(tmp_path / "ann")[1] | {"paths": ["ann", "snn"]})
    start = tiny_config(model__spiking__spec="as_recommended", model__init_from=str(tmp_path / "start"))
    assert evaluate_weights(start, tmp_path / "nothing")["loss"] == pytest.approx(trained["test_loss"], rel=1e-6)

    train_and_evaluate(config, tmp_path / "hybrid")
    gains = load_weights(tmp_path / "hybrid")[0]["params"]["block1"]["gain"]
    assert np.any(gains != 0)


def test_for_a_hybrid_the_error_over_an_anns_weights_names_the_setting(tmp_path):
    make_weights(tmp_path / "weights", model__paths=("ann",))
    with pytest.raises(InputError, match=r"got none; .*set config\.model\.init_spiking=fresh"):
        train_and_evaluate(released(model__init_from=str(tmp_path / "weights")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_for_other_classes_the_error_names_the_setting(tmp_path):
    model = hasnn_jax.create_model("has8_vgg_b1_m1_d1", num_classes=7, spiking=hasnn_jax.AS_RELEASED)
    variables = jax.jit(model.init)(jax.random.key(0), np.zeros((1, 8, 8, 1), np.float32))
    save_weights(tmp_path / "weights", variables, {"name": "has8_vgg_b1_m1_d1", "num_classes": 7})
    with pytest.raises(InputError, match=r"for other classes set config\.model\.init_head=fresh"):
        train_and_evaluate(released(model__init_from=str(tmp_path / "weights")), tmp_path / "run")


def test_weights_without_value_ranges_do_not_evaluate_by_a_spec_that_tracks_them(tmp_path):
    make_weights(tmp_path / "weights")
    with pytest.raises(InputError, match=r"set config\.model\.spiking\.spec=as_released"):
        evaluate_weights(tiny_config(model__init_from=str(tmp_path / "weights")), tmp_path / "run")


def test_nothing_to_evaluate_is_said(tmp_path):
    with pytest.raises(InputError, match=r"holds no checkpoint to evaluate; .*config\.model\.init_from"):
        evaluate_weights(tiny_config(), tmp_path)


def test_a_missing_folder_of_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere: holds no weights"):
        train_and_evaluate(tiny_config(model__init_from=str(tmp_path / "nowhere")), tmp_path / "run")
    assert not (tmp_path / "run").exists()
