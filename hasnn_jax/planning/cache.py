"""A cache of compilation outcomes in files. The key covers everything that an outcome depends on."""

import dataclasses
import hashlib
import json
import os
import pathlib

import jax
from ml_collections import ConfigDict

from hasnn_jax.common.console import Say
from hasnn_jax.common.files import replacing
from hasnn_jax.common.fingerprints import PACKAGE, code_digest, digest
from hasnn_jax.common.machine import version
from hasnn_jax.config import flatten
from hasnn_jax.planning.compilation import COMPILED_BY, Outcome
from hasnn_jax.planning.compiler_errors import Refusal
from hasnn_jax.planning.devices import LOCAL, Target
from hasnn_jax.planning.hlo_totals import Collective
from hasnn_jax.planning.profile import Kernel, Part, Profile
from hasnn_jax.planning.step_cost import Cost, Memory

# Settings that the compiled step depends on, besides those of the model and the optimizer.
STEP_SETTINGS = ("batch_size", "accumulate", "shard_parameters", "schedule.name", "data.num_classes", "data.image_size")


def cache_key(config: ConfigDict, target: Target, channels: int, package: pathlib.Path = PACKAGE) -> str:
    """SHA-256 of everything that an outcome depends on: settings, devices, versions, compiler flags, and code.

    Args:
      config: see `hasnn_jax.config.default_config`.
      target: the devices.
      channels: of an image.
      package: folder whose Python files are the code.
    """
    settings = {
        key: repr(value)
        for key, value in flatten(config).items()
        if key in STEP_SETTINGS or (key.startswith(("model.", "optim.")) and not key.startswith("model.init_"))
    }
    backend = jax.devices()[0].client.platform_version if target.name == LOCAL else ""
    return digest(
        sorted(settings.items()),
        (target.name, target.devices, target.kind, backend, channels),
        [(name, version(name)) for name in COMPILED_BY],
        [os.environ.get(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")],
        code_digest(package),
    )


def read_outcome(file: pathlib.Path) -> Outcome | None:
    """A cached outcome; None if the file does not exist or is damaged."""
    try:
        entry = json.loads(file.read_bytes())
        if entry["digest"] != _checksum(entry["outcome"]):
            return None
        cost, refusal, seconds, profile = (entry["outcome"][name] for name in ("cost", "refusal", "seconds", "profile"))
        if cost is not None:
            collectives = tuple(Collective(**collective) for collective in cost["collectives"])
            cost = Cost(**{**cost, "memory": Memory(**cost["memory"]), "collectives": collectives})
        if profile is not None:
            parts = tuple(Part(**part) for part in profile["parts"])
            profile = Profile(parts, tuple(Kernel(**kernel) for kernel in profile["costliest"]))
        return Outcome(cost, None if refusal is None else Refusal(**refusal), seconds, profile)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_outcome(file: pathlib.Path, outcome: Outcome, say: Say) -> None:
    """Writes an outcome into the cache.

    If the file cannot be written, only `say` is told: the outcome is as good without a cache.
    """
    plain = json.loads(json.dumps(dataclasses.asdict(outcome)))
    text = json.dumps({"digest": _checksum(plain), "outcome": plain}, indent=1)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            temporary.write_text(text + "\n")
    except OSError as error:
        say(f"the plan cannot be cached in {file.parent} ({error.strerror})")


def _checksum(plain: object) -> str:
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()
