"""Traced programs that are kept in files, so that the next start need not trace and lower them again.

JAX's compilation cache finds what a program is compiled to by the lowered program; on a CPU, to trace and lower that is
most of the work of a second start. Here a program is found by what it is made from.
"""

import inspect
import os
import pathlib
import platform
from collections.abc import Callable
from typing import Any

import jax
from jax import export
from jax.sharding import Sharding
from ml_collections import ConfigDict

from hasnn_jax.common import kept_values
from hasnn_jax.common.fingerprints import code_digest, digest, script_digest
from hasnn_jax.common.machine import version
from hasnn_jax.config import flatten

Function = Callable[..., Any]

# Settings that no program depends on, besides those of the data, but for the number of classes, and of the weights that
# training starts from: of these, programs have the shapes of their arguments, and what `made_from` says.
_OF_THE_LOOP = frozenset(
    {"log_every_steps", "eval_every_epochs", "save_every_epochs", "keep_checkpoints", "keep_best", "loggers"}
)
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "libtpu", "jax-cuda13-pjrt", "jax-cuda12-pjrt")
_DEBUGGING = ("jax_disable_jit", "jax_debug_nans", "jax_debug_infs", "jax_check_tracer_leaks")
# As this process has imported them, whatever is edited or installed while it runs.
_CODE = (code_digest(), script_digest(), [(name, version(name)) for name in _PACKAGES], platform.python_version())


class KeptPrograms:
    """The programs of a config.

    Args:
      folder: of the files. What is read there is executed, so that it is not used if others can write to it. None:
        nothing is kept. Nor is it where several devices compute together, or where JAX is asked to debug.
      config: see `hasnn_jax.config.default_config`.
      everywhere: the sharding of all arguments and results: whole, on the device.
      made_from: what else all programs are made from, such as the shape of an image. The code of the package and of the
        script that runs it, versions, the device and JAX's settings count in any case; other code does not.
    """

    def __init__(self, folder: pathlib.Path | None, config: ConfigDict, everywhere: Sharding, *made_from: object):
        debugging = any(getattr(jax.config, name) for name in _DEBUGGING)
        if debugging or jax.device_count() > 1 or (folder is not None and not kept_values.is_private(folder)):
            folder = None
        self._folder, self._everywhere = folder, everywhere
        self._key = "" if folder is None else digest(_settings(config), made_from, _surroundings())

    def keep(
        self,
        name: str,
        function: Function,
        *made_from: object,
        compiler_options: dict[str, Any] | None = None,
        donates: bool = False,
    ) -> "Program":
        """A program that is kept.

        Args:
          name: distinguishes it from the config's other programs; for profiles and JAX's compilation cache as well.
          function: a `jax.jit`, of positional arguments alone.
          made_from: what else it is made from.
          compiler_options: that it is compiled with; see `jax.jit`.
          donates: whether the first argument is donated.
        """
        if self._folder is None:
            return Program(function)
        return KeptProgram(
            name,
            jax.jit(inspect.unwrap(function)),  # within another function, one with options for the compiler is refused
            compiler_options,
            self._everywhere,
            donates,
            self._folder,
            digest(self._key, name, made_from),
        )

    def remember(self, name: str, find: Callable[[], Any]) -> Any:
        """What `find` returns, now or at an earlier start: something about the model, to find which it is traced."""
        if self._folder is None:
            return find()
        key = digest(self._key, name)
        if (known := kept_values.read(self._folder, key)) is None:
            known = find()
            kept_values.write(self._folder, key, known)
        return known


class Program:
    """A compiled function, and the shapes of its results."""

    def __init__(self, function: Function):
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def shapes(self, *args: Any) -> Any:
        """Shapes and dtypes of the results, as `jax.ShapeDtypeStruct`s."""
        results = jax.eval_shape(self._function, *args)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), results)


class KeptProgram(Program):
    """A program that is read from its file when it is first called, or else traced and written there.

    All calls have arguments of the same structure, shapes and dtypes. See `KeptPrograms`.
    """

    def __init__(
        self,
        name: str,
        function: Function,
        compiler_options: dict[str, Any] | None,
        everywhere: Sharding,
        donates: bool,
        folder: pathlib.Path,
        key: str,
    ):
        super().__init__(function)
        self._name, self._options, self._everywhere, self._donates = name, compiler_options, everywhere, donates
        self._folder, self._key = folder, key
        self._prepared: Function | None = None

    def __call__(self, *args: Any) -> Any:
        if self._prepared is None:
            self._prepared = self._prepare(args)
        return self._prepared(*args)

    def shapes(self, *args: Any) -> Any:
        """Shapes and dtypes of the results, as `jax.ShapeDtypeStruct`s."""
        kept = kept_values.read(self._folder, self._key_for(args))
        return super().shapes(*args) if kept is None else kept[1]

    def _key_for(self, args: tuple[Any, ...]) -> str:
        leaves, structure = jax.tree.flatten(args)
        return digest(self._key, str(structure), [(leaf.shape, str(leaf.dtype)) for leaf in leaves])

    def _prepare(self, args: tuple[Any, ...]) -> Function:
        """The program from its file, which is written if there is none."""
        key = self._key_for(args)
        kept = kept_values.read(self._folder, key)
        if kept is None:
            kept = self._export(args), super().shapes(*args)
            kept_values.write(self._folder, key, kept)
        exported, structure = export.deserialize(kept[0]), jax.tree.structure(kept[1])

        def call(*leaves):
            return exported.call(*leaves)

        call.__name__ = self._name
        compiled = jax.jit(
            call,
            # Without them, what the first call returns would be sharded in another way than what it was given, and the
            # second would be compiled again.
            in_shardings=self._everywhere,
            out_shardings=self._everywhere,
            donate_argnums=tuple(range(len(jax.tree.leaves(args[0])))) if self._donates else (),
            compiler_options=self._options,
        )
        return lambda *args: jax.tree.unflatten(structure, compiled(*jax.tree.leaves(args)))

    def _export(self, args: tuple[Any, ...]) -> bytearray:
        """The traced and lowered program, of lists: JAX can only write structures that are registered for that."""
        leaves, structure = jax.tree.flatten(args)

        def of_leaves(*leaves):
            return jax.tree.leaves(self._function(*jax.tree.unflatten(structure, leaves)))

        # Not among the operations that JAX promises to read in later versions; a program is only read in this one.
        layouts = export.DisabledSafetyCheck.custom_call("LayoutConstraint")
        return export.export(jax.jit(of_leaves), disabled_checks=[layouts])(*leaves).serialize()


def _settings(config: ConfigDict) -> list[tuple[str, str]]:
    """The settings that a program may depend on."""
    settings = flatten(config)
    mixes = settings["optim.mixup"] is not None or settings["optim.cutmix"] is not None
    without = _OF_THE_LOOP if mixes else _OF_THE_LOOP | {"seed"}
    return sorted(
        (key, repr(value))
        for key, value in settings.items()
        if key == "data.num_classes" or not (key in without or key.startswith(("data.", "model.init_")))
    )


def _surroundings() -> tuple[object, ...]:
    """Code, device and settings of this process."""
    device = jax.devices()[0]
    return (
        _CODE,
        (device.platform, device.device_kind, device.client.platform_version),
        sorted((name, repr(value)) for name, value in jax.config.values.items() if "cache" not in name),
        [os.environ.get(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")],
    )
