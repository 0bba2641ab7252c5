"""What the compiler gave, kept in files until something changes that it depends on."""

import dataclasses
import hashlib
import json
import os
import pathlib

import jax
from ml_collections import ConfigDict

from hasnn_jax.config import flatten
from hasnn_jax.planning.compilation import COMPILED_BY, Outcome, version
from hasnn_jax.planning.compiler_errors import Refusal
from hasnn_jax.planning.cost import Cost, Memory
from hasnn_jax.planning.devices import LOCAL, Target
from hasnn_jax.planning.hlo import Collective
from hasnn_jax.planning.messages import Say
from hasnn_jax.training.workdir import write_atomically

CACHE = "~/.cache/hasnn_jax/plans"
# Settings that the compiled step depends on, besides those of the model and the optimizer.
COMPILED_IN = ("batch_size", "accumulate", "shard_parameters", "schedule.name", "data.num_classes", "data.image_size")
# The package's code that the compiled step depends on, or that reads what the compiler says of it.
STEP_FILES = ("assembly.py", "training_program.py")
STEP_ROOMS = ("core", "models", "training", "planning")


def cache_key(config: ConfigDict, target: Target, channels: int) -> str:
    """SHA-256 of all that the compiled step depends on: settings, devices, versions, flags and the package's code."""
    settings = {
        key: repr(value)
        for key, value in flatten(config).items()
        if key in COMPILED_IN or (key.startswith(("model.", "optim.")) and not key.startswith("model.init_"))
    }
    backend = jax.devices()[0].client.platform_version if target.name == LOCAL else ""
    package = pathlib.Path(__file__).parents[1]
    files = [package / name for name in STEP_FILES]
    files += [file for room in STEP_ROOMS for file in (package / room).glob("*.py")]
    parts = (
        sorted(settings.items()),
        (target.name, target.devices, target.kind, backend, channels),
        [(name, version(name)) for name in COMPILED_BY],
        [os.environ.get(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")],
        [(str(file.relative_to(package)), _digest(file.read_bytes())) for file in sorted(files)],
    )
    return _digest(repr(parts).encode())


def read_outcome(file: pathlib.Path) -> Outcome | None:
    """An outcome that was kept; None if there is none, or it is damaged."""
    try:
        kept = json.loads(file.read_bytes())
        if kept["digest"] != _digest(json.dumps(kept["outcome"]).encode()):
            return None
        cost, refusal, seconds = (kept["outcome"][name] for name in ("cost", "refusal", "seconds"))
        if cost is not None:
            collectives = tuple(Collective(**one) for one in cost["collectives"])
            cost = Cost(**{**cost, "memory": Memory(**cost["memory"]), "collectives": collectives})
        return Outcome(cost, None if refusal is None else Refusal(**refusal), seconds)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_outcome(file: pathlib.Path, outcome: Outcome, say: Say) -> None:
    """Writes it down; says so if that cannot be done, which is no reason to lose the answer."""
    plain = json.loads(json.dumps(dataclasses.asdict(outcome)))
    text = json.dumps({"digest": _digest(json.dumps(plain).encode()), "outcome": plain}, indent=1)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, lambda temporary: temporary.write_text(text + "\n"))
    except OSError as error:
        say(f"the answer cannot be kept in {file.parent} ({error.strerror})")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
