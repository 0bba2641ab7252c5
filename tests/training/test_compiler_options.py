import jax
import optax
import pytest
from linear_model import draw, linear
from meshes import mesh_of

from hasnn_jax.training import compiler_options
from hasnn_jax.training.program import gradients_over_mesh, make_program
from hasnn_jax.training.sharding import make_mesh

ARGUMENTS = "LIBTPU_INIT_ARGS"


@pytest.mark.parametrize("platform", ["cpu", "gpu", "cuda"])
def test_other_platforms_are_left_alone(platform, monkeypatch):
    monkeypatch.delenv(ARGUMENTS, raising=False)
    assert compiler_options.of_step(mesh_of(platform)) is None


def test_tpus_are_given_small_windows_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setenv(ARGUMENTS, "--xla_tpu_other=1")
    assert compiler_options.of_step(mesh_of("tpu")) == {compiler_options.WINDOWS: 10_752}
    monkeypatch.setenv(ARGUMENTS, f"--xla_tpu_other=1 --{compiler_options.WINDOWS}=16384")
    assert compiler_options.of_step(mesh_of("tpu")) is None


def test_a_train_step_is_compiled_with_them(monkeypatch):
    variables, batch = draw()
    mesh = make_mesh(jax.devices()[:1])
    gradients = gradients_over_mesh(linear, mesh, batch_size=len(batch["label"]))

    def program(options):
        monkeypatch.setattr(compiler_options, "of_step", lambda _: options)
        return make_program(optax.constant_schedule(0.1), optax.sgd(0.1), gradients, variables, mesh)

    known, unknown = program({"xla_backend_optimization_level": 1}), program({"no_such_option": 1})
    assert known.compiler_options == {"xla_backend_optimization_level": 1}
    known.step(known.begin(variables), batch)
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        unknown.step(unknown.begin(variables), batch)
