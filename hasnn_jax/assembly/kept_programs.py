"""Traced programs that are kept in files, so that the next start need not trace and lower them again.

JAX's compilation cache finds what a program is compiled to by the lowered program; on a CPU, to trace and lower that is
most of the work of a second start. Here a program is found by what it is made from.
"""

import contextlib
import hashlib
import os
import pathlib
import pickle
import platform
from collections.abc import Callable
from typing import Any

import jax
from jax import export
from ml_collections import ConfigDict

from hasnn_jax.common.console import say
from hasnn_jax.common.files import replacing
from hasnn_jax.common.fingerprints import code_digest, digest
from hasnn_jax.common.locks import locked
from hasnn_jax.common.machine import version
from hasnn_jax.config import flatten

LARGEST_FOLDER = 2**28  # bytes; beyond that, what was not used for longest is deleted
# Settings of the training loop, which no program depends on. Nor does any on those of the data, but for the number of
# classes, and for shapes, which are those of its arguments.
_OF_THE_LOOP = frozenset(
    {"log_every_steps", "eval_every_epochs", "save_every_epochs", "keep_checkpoints", "keep_best", "loggers"}
)
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "libtpu", "jax-cuda13-pjrt", "jax-cuda12-pjrt")
_DEBUGGING = ("jax_disable_jit", "jax_debug_nans", "jax_debug_infs", "jax_check_tracer_leaks")


class KeptPrograms:
    """The programs of a config.

    Args:
      folder: of the files, only ever one that nobody else can write to: what is read there is executed. None: nothing
        is kept. Nor is it where several devices compute together, or where JAX is asked to debug.
      config: see `hasnn_jax.config.default_config`.
      made_from: what else all programs are made from, such as the shape of an image. The package's own code, versions,
        the device and JAX's settings count in any case; code outside of the package does not.
    """

    def __init__(self, folder: pathlib.Path | None, config: ConfigDict, *made_from: object):
        debugging = any(getattr(jax.config, name) for name in _DEBUGGING)
        self._folder = None if debugging or jax.device_count() > 1 else folder
        self._made_from = "" if self._folder is None else digest(_settings(config), made_from, _surroundings())

    def keep(
        self,
        name: str,
        function: Callable[..., Any],
        *made_from: object,
        jit: Callable[..., Any] | None = None,
        donates: bool = False,
    ) -> "Program":
        """A program that is kept.

        Args:
          name: distinguishes it from the config's other programs.
          function: of positional arguments alone, compiled already if `jit` is None.
          made_from: what else it is made from.
          jit: compiles the function, like `jax.jit`.
          donates: whether the first argument is donated.
        """
        return Program(function, self._folder, digest(self._made_from, name, made_from), jit, donates)

    def remember(self, name: str, find: Callable[[], Any]) -> Any:
        """What `find` returns, now or at an earlier start: something about the model, to find which it is traced."""
        if self._folder is None:
            return find()
        file = self._folder / digest(self._made_from, name)
        if (known := _read(file)) is None:
            known = find()
            _write(file, known)
        return known


class Program:
    """A compiled function that is read from a file when it is first called, or else traced and written there.

    If it is kept, all calls must have arguments of the same shapes and dtypes. See `KeptPrograms`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        folder: pathlib.Path | None,
        made_from: str,
        jit: Callable[..., Any] | None,
        donates: bool,
    ):
        self._function, self._folder, self._made_from = function, folder, made_from
        self._jit, self._donates = jit or jax.jit, donates
        self._prepared: Callable[..., Any] | None = None
        if folder is None:
            self._prepared = function if jit is None else jit(function)

    def __call__(self, *args: Any) -> Any:
        if self._prepared is None:
            self._prepared = self._prepare(args)
        return self._prepared(*args)

    def shapes(self, *args: Any) -> Any:
        """Shapes and dtypes of the results, as `jax.ShapeDtypeStruct`s."""
        entry = None if self._folder is None else _read(self._file(self._folder, args))
        if entry is not None:
            return entry[1]
        results = jax.eval_shape(self._function, *args)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), results)

    def _file(self, folder: pathlib.Path, args: tuple[Any, ...]) -> pathlib.Path:
        leaves, structure = jax.tree.flatten(args)
        return folder / digest(self._made_from, str(structure), [(leaf.shape, str(leaf.dtype)) for leaf in leaves])

    def _prepare(self, args: tuple[Any, ...]) -> Callable[..., Any]:
        """The program from its file, which is written if it does not exist, with the results as they should be."""
        assert self._folder is not None
        file = self._file(self._folder, args)
        entry = _read(file)
        if entry is None:
            entry = self._export(args)
            _write(file, entry)
        exported, results = export.deserialize(entry[0]), jax.tree.structure(entry[1])
        donated = tuple(range(len(jax.tree.leaves(args[0])))) if self._donates else ()
        call = self._jit(exported.call, donate_argnums=donated)
        return lambda *args: jax.tree.unflatten(results, call(*jax.tree.leaves(args)))

    def _export(self, args: tuple[Any, ...]) -> tuple[bytearray, Any]:
        """The traced and lowered program, and the shapes of its results.

        What is exported takes and gives lists, because JAX can only write structures that are registered for that.
        """
        leaves, structure = jax.tree.flatten(args)

        def of_leaves(*leaves):
            return jax.tree.leaves(self._function(*jax.tree.unflatten(structure, leaves)))

        return export.export(jax.jit(of_leaves))(*leaves).serialize(), self.shapes(*args)


def _settings(config: ConfigDict) -> list[tuple[str, str]]:
    """The settings that a program may depend on."""
    mixes = config.optim.mixup is not None or config.optim.cutmix is not None
    return sorted(
        (key, repr(value))
        for key, value in flatten(config).items()
        if key == "data.num_classes"
        or not (key in _OF_THE_LOOP or key.startswith(("data.", "model.init_")) or (key == "seed" and not mixes))
    )


def _surroundings() -> tuple[object, ...]:
    """Code, versions, device and settings of this process."""
    device = jax.devices()[0]
    return (
        code_digest(),
        [(name, version(name)) for name in _PACKAGES],
        platform.python_version(),
        (device.platform, device.device_kind, device.client.platform_version),
        sorted((name, repr(value)) for name, value in jax.config.values.items() if "cache" not in name),
        [os.environ.get(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")],
    )


def _read(file: pathlib.Path) -> Any:
    """What a file holds; None if the file does not exist or is damaged."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    expected, entry = content[:32], content[32:]
    if hashlib.sha256(entry).digest() != expected:
        return None
    with contextlib.suppress(OSError):  # the folder may be read-only
        os.utime(file)
    return pickle.loads(entry)


def _write(file: pathlib.Path, kept: Any) -> None:
    """Writes a file. If that fails, it is only said: what it would hold is as good without."""
    content = pickle.dumps(kept)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(file.parent), replacing(file) as temporary:
            temporary.write_bytes(hashlib.sha256(content).digest() + content)
            _make_room(file.parent, len(content))
    except OSError as error:
        say(f"traced programs cannot be kept in {file.parent} ({error.strerror})")


def _make_room(folder: pathlib.Path, size: int) -> None:
    """Deletes the files that were not used for longest, until so many bytes more fit."""
    newest_first = sorted((f.stat().st_mtime, f.stat().st_size, f) for f in folder.iterdir() if f.suffix == "")[::-1]
    for _, old, file in newest_first:
        size += old
        if size > LARGEST_FOLDER:
            file.unlink(missing_ok=True)
