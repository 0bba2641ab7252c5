"""What training costs on a TPU slice that is not here: python -m hasnn_jax.plan --config FILE --topology v5e:16x16.

Compiles the training step for the slice, which takes minutes, and says whether it fits, how long a step takes by the
compiler's own estimate, and how many days that makes. Settings are overridden as for train.py, such as
--config.batch_size=4096. The answer is kept, until something changes that it depends on. With --find_batch it finds the
largest batch that fits; --topology local plans for the devices of this machine, without an estimate of time.

That it does not fit is an answer, too: the exit status is 0. It is 1 for an error, which is one line on stderr.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from absl import app, flags, logging
from jax.experimental import topologies
from jax.sharding import Mesh
from ml_collections import ConfigDict, config_flags

import hasnn_jax
from hasnn_jax import compiled_cost
from hasnn_jax.assembly import (
    build_model,
    build_optimizer,
    build_schedule,
    compile_training,
    count_steps,
    initial_variables,
    open_source,
)
from hasnn_jax.compiled_cost import CHIPS, GIB, Chip, Cost, Memory, Refusal
from hasnn_jax.config import flatten, unknown_override, validate
from hasnn_jax.data import SOURCES
from hasnn_jax.errors import InputError
from hasnn_jax.lookup import look_up
from hasnn_jax.training import sharding
from hasnn_jax.training.progress import format_duration
from hasnn_jax.training.state import create_state
from hasnn_jax.training.workdir import write_atomically

LOCAL = "local"
CACHE = "~/.cache/hasnn_jax/plans"
TRAINING_EXAMPLES = {"imagenet2012": 1_281_167, "cifar10": 50_000, "cifar100": 50_000}  # where the data is not here
COMPILED_BY = ("jax", "jaxlib", "libtpu", "flax", "optax")
# Settings that the compiled step depends on, besides those of the model and the optimizer.
COMPILED_IN = ("batch_size", "accumulate", "shard_parameters", "schedule.name", "data.num_classes", "data.image_size")
SECONDS_BETWEEN_LINES = 30
SEARCH_STEP = 8  # images a device, where there are no statistics groups to keep whole
# For libtpu, which would ask Google Cloud what machine it is on and complain of having no answer, and would not be used
# by two programs at once, for want of two TPUs; here there is none.
LIBTPU_ALONE = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_LOG_DIR": "disabled",
    "TPU_MIN_LOG_LEVEL": "3",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Target:
    """The devices that are planned for.

    Attributes:
      name: as given to --topology.
      mesh: of the devices.
      chip: what one of them offers; None where no table says.
      limit: bytes of memory that a program may take on each; None where the device does not say.
    """

    name: str
    mesh: Mesh
    chip: Chip | None
    limit: float | None

    @property
    def devices(self) -> int:
        """How many."""
        return self.mesh.size

    @property
    def kind(self) -> str:
        """What they call themselves."""
        return self.mesh.devices.flat[0].device_kind


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the compiler gave: a cost, or a refusal; and how long it took, in seconds."""

    cost: Cost | None
    refusal: Refusal | None
    seconds: float


def main() -> None:
    """The command."""
    if error := config_fault(sys.argv):  # the config's flags would end in a traceback
        sys.exit(f"hasnn_jax.plan: {error}")
    config = config_flags.DEFINE_config_file("config", None, "what to train on what")
    given = {
        "topology": flags.DEFINE_string("topology", None, f"the TPU slice, such as v5e:16x16; or {LOCAL}"),
        "examples": flags.DEFINE_integer("examples", None, "training examples; by default those of the data", 1),
        "find_batch": flags.DEFINE_bool("find_batch", False, "find the largest batch that fits"),
        "cache_dir": flags.DEFINE_string("cache_dir", CACHE, "folder that answers are kept in"),
        "json": flags.DEFINE_bool("json", False, "print the answer as JSON"),
    }
    app.run(lambda argv: run(argv, config, given), flags_parser=parse_flags)


def config_fault(argv: list[str]) -> InputError | None:
    """What is wrong with the command line's config file or its overrides, if anything is."""
    if "--help" in argv:
        return None
    values = [
        value if equals else following
        for argument, following in zip(argv, [*argv[1:], ""], strict=True)
        for flag, equals, value in [argument.partition("=")]
        if flag in ("--config", "-config")
    ]
    if not values:
        return InputError("--config is missing, as in: --config configs/imagenet.py --topology v5e:16x16")
    if not pathlib.Path(values[-1].partition(":")[0]).is_file():
        return InputError(f"no config file {values[-1]}")
    return unknown_override(argv)


def parse_flags(argv: list[str]) -> list[str]:
    """Parses the command line; a fault in it ends the program in one line."""
    try:
        return app.parse_flags_with_usage(argv) if "--help" in argv else flags.FLAGS(argv)
    except flags.Error as error:
        sys.exit(f"hasnn_jax.plan: {error}")


def run(argv: list[str], config: flags.FlagHolder, given: dict[str, flags.FlagHolder]) -> None:
    """Plans as the flags say."""
    logging.set_verbosity(logging.FATAL)
    values = {name: holder.value for name, holder in given.items()}
    try:
        if len(argv) > 1:
            raise InputError(f"unexpected argument {argv[1]!r}; settings are given as --config.KEY=VALUE")
        if values["topology"] is None:
            raise InputError(f"--topology is missing; {known_topologies()}")
        if values["topology"] != LOCAL:  # no TPU is asked for: the compiler comes with libtpu, and all else is small
            jax.config.update("jax_platforms", "cpu")
            os.environ.update({name: value for name, value in LIBTPU_ALONE.items() if name not in os.environ})
        target = find_target(values["topology"])
        act = find_batch if values["find_batch"] else plan
        answer = act(config.value, target, examples=values["examples"], cache=values["cache_dir"], say=tell)
    except InputError as error:
        sys.exit(f"hasnn_jax.plan: {error}")
    print(json.dumps(answer, indent=2) if values["json"] else describe(answer))


def tell(text: str) -> None:
    """A line on stderr: the answer alone goes to stdout."""
    print(text, file=sys.stderr, flush=True)


# What is planned for.


def find_target(topology: str) -> Target:
    """The devices of that name: "local", or "v5e:2x4" for eight of a TPU's generation in a torus of 2 by 4.

    Raises:
      InputError: there is no such slice, or no compiler for it.
    """
    if topology == LOCAL:
        statistics = jax.devices()[0].memory_stats() or {}
        return Target(LOCAL, sharding.make_mesh(), None, statistics.get("bytes_limit"))
    chip = require_known(topology)
    if importlib.util.find_spec("libtpu") is None and "TPU_LIBRARY_PATH" not in os.environ:
        raise InputError(
            f"--topology {topology}: the compiler for TPUs is missing; run: pip install 'hasnn_jax[tpu]' (in a "
            "checkout pip install -e '.[tpu]'), which takes the libtpu that belongs to the jax that is installed"
        )
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=topology, **chip.options)
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        raise InputError(
            f"--topology {topology}: {_first_line(error).removeprefix('INVALID_ARGUMENT: ')}; sizes that are taken: "
            f"{', '.join(chip.sizes)}"
        ) from None
    return Target(topology, sharding.make_mesh(found.devices), chip, chip.usable)


def require_known(topology: str) -> Chip:
    """The chip of a topology's name, looked at before libtpu is: some sizes end its process."""
    match = re.fullmatch(r"(\w+):(\d{1,5}(?:x\d{1,5})*)", topology)
    if not match or match[1] not in CHIPS:
        raise InputError(f"unknown topology {topology!r}: {known_topologies()}")
    chip = CHIPS[match[1]]
    sizes = [int(size) for size in match[2].split("x")]
    chips = functools.reduce(lambda a, b: a * b, sizes)
    if len(sizes) != chip.dimensions or not 1 <= chips <= chip.most:
        raise InputError(
            f"--topology {topology}: expected {chip.dimensions} sizes of 1 or more, {chip.most:,} chips at most; "
            f"such as {', '.join(chip.sizes)}"
        )
    return chip


def known_topologies() -> str:
    """The form of a topology's name, and examples."""
    known = ", ".join(f"{family} ({', '.join(chip.sizes)})" for family, chip in CHIPS.items())
    return f"expected family:AxB or family:AxBxC, such as v5e:2x4, or {LOCAL}; families with some sizes: {known}"


def look_at_data(settings: ConfigDict, examples: int | None) -> tuple[int, int]:
    """Training examples, and channels of an image; a well-known data set need not be here.

    Args:
      settings: the config's data section.
      examples: overrides what the data says.

    Raises:
      InputError: nobody says how many examples there are, or the data contradicts the config.
    """
    look_up("data source", settings.source, SOURCES)
    try:
        source = open_source(settings)
    except InputError as error:
        if str(error).startswith("config."):
            raise
        known = examples or TRAINING_EXAMPLES.get(settings.name.split(":")[0])
        if known is None:
            raise InputError(f"{error}; or say by --examples how many there are for training") from None
        return known, 3
    image = source.train[0]["image"]
    return examples or len(source.train), 3 if isinstance(image, bytes) else image.shape[-1]


# Compilation, and what is kept of it.


def lower_step(config: ConfigDict, mesh: Mesh, examples: int, channels: int) -> Any:
    """The configured training step over the mesh as `jax.stages.Lowered`, ready to be compiled; nothing is computed.

    Args:
      config: see `hasnn_jax.config.default_config`.
      mesh: the devices, which need not be here.
      examples: for training.
      channels: of an image.

    Raises:
      InputError: the config is not so, or does not go with the devices.
    """
    validate(config)
    try:
        sharding.require_divisible(config.batch_size, mesh)
    except InputError as error:
        raise InputError(f"{error}; set it by --config.batch_size") from None
    model = build_model(config.model, config.data.num_classes)
    schedule = build_schedule(config, count_steps(examples, config.batch_size))
    optimizer = build_optimizer(config.optim, schedule)
    image = (config.data.image_size, config.data.image_size, channels)
    averaged = config.optim.average_decay is not None
    like = jax.eval_shape(
        lambda: create_state(initial_variables(model, image, config.seed), optimizer, config.seed, averaged=averaged)
    )
    shardings = sharding.of_state(like, mesh, fully_sharded=config.shard_parameters)
    step = compile_training(config, model, optimizer, mesh, shardings)
    divided = functools.partial(jax.ShapeDtypeStruct, sharding=sharding.over_batch(mesh))
    batch = {
        "image": divided((config.batch_size, *image), jnp.uint8),
        "label": divided((config.batch_size,), jnp.int32),
        "replaced": divided((config.batch_size,), jnp.bool_),
    }
    state = jax.tree.map(lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), like, shardings)
    return step.lower(state, batch)


def compile_step(lowered: Callable[[], Any], devices: int, trips: int) -> Outcome:
    """Compiles, and reads what comes of it.

    Args:
      lowered: () -> what to compile.
      devices: that it is for.
      trips: see `compiled_cost.read_cost`.

    Raises:
      InputError: the compiler fails for another reason than memory.
    """
    began = time.monotonic()
    cost, refusal = None, None
    try:
        cost = compiled_cost.read_cost(lowered().compile(), devices, trips)
    except jax.errors.JaxRuntimeError as error:
        refusal = compiled_cost.read_refusal(str(error))
        if refusal is None:
            raise InputError(f"the step cannot be compiled: {_first_line(error)}") from None
    return Outcome(cost, refusal, time.monotonic() - began)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def cache_key(config: ConfigDict, target: Target, channels: int) -> str:
    """SHA-256 of all that the compiled step depends on: settings, devices, versions, flags and the package's code."""
    settings = {
        key: repr(value)
        for key, value in flatten(config).items()
        if key in COMPILED_IN or (key.startswith(("model.", "optim.")) and not key.startswith("model.init_"))
    }
    backend = jax.devices()[0].client.platform_version if target.name == LOCAL else ""
    package = pathlib.Path(hasnn_jax.__file__).parent
    files = [package / name for name in ("assembly.py", "plan.py", "compiled_cost.py")]
    files += [file for room in ("core", "models", "training") for file in (package / room).glob("*.py")]
    parts = (
        sorted(settings.items()),
        (target.name, target.devices, target.kind, backend, channels),
        [(name, version(name)) for name in COMPILED_BY],
        [os.environ.get(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")],
        [(str(file.relative_to(package)), _digest(file.read_bytes())) for file in sorted(files)],
    )
    return _digest(repr(parts).encode())


def version(name: str) -> str | None:
    """Of an installed package; None if it is not."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_outcome(file: pathlib.Path) -> Outcome | None:
    """An outcome that was kept; None if there is none, or it is damaged."""
    try:
        kept = json.loads(file.read_bytes())
        if kept["digest"] != _digest(json.dumps(kept["outcome"]).encode()):
            return None
        cost, refusal, seconds = (kept["outcome"][name] for name in ("cost", "refusal", "seconds"))
        if cost is not None:
            collectives = tuple(compiled_cost.Collective(**one) for one in cost["collectives"])
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


class Alive:
    """Says how long something takes while it lasts: a line that changes on a terminal, else a line every 30 s."""

    def __init__(self, what: str, every: float | None = None):
        self._what, self._began, self._over = what, time.monotonic(), threading.Event()
        self._on_terminal = sys.stderr.isatty()
        self._every = every or (1 if self._on_terminal else SECONDS_BETWEEN_LINES)
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> "Alive":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _tell(self) -> None:
        around = ("\r\x1b[K", "") if self._on_terminal else ("", "\n")
        while not self._over.wait(self._every):
            passed = format_duration(time.monotonic() - self._began)
            print(f"{self._what}: {passed}".join(around), end="", file=sys.stderr, flush=True)


# The answer.


def plan(
    config: ConfigDict,
    target: Target,
    *,
    examples: int | None = None,
    cache: str | os.PathLike[str] = CACHE,
    say: Say = tell,
) -> dict[str, Any]:
    """What training costs on the devices, from the compiled step or from what was kept of it.

    Args:
      config: see `hasnn_jax.config.default_config`.
      target: the devices.
      examples: for training; None: as many as the configured data has.
      cache: folder that outcomes are kept in.
      say: is told what a person may want to know besides.

    Returns:
      plain values that JSON can hold; see `answer`.

    Raises:
      InputError: bad input, or a compiler that fails for another reason than memory.
    """
    validate(config)
    examples, channels = look_at_data(config.data, examples)
    file = pathlib.Path(cache).expanduser() / f"{cache_key(config, target, channels)}.json"
    outcome = read_outcome(file)
    cached = outcome is not None
    if outcome is None:
        make = functools.partial(lower_step, config, target.mesh, examples, channels)
        share = config.batch_size / target.devices
        with Alive(f"compiling {config.model.name} for {target.name}, {share:g} images a device"):
            outcome = compile_step(make, target.devices, config.accumulate)
        keep_outcome(file, outcome, say)
    return answer(config, target, outcome, examples=examples, channels=channels, cached=cached)


def find_batch(
    config: ConfigDict,
    target: Target,
    *,
    examples: int | None = None,
    cache: str | os.PathLike[str] = CACHE,
    say: Say = tell,
) -> dict[str, Any]:
    """The plan for the largest batch that fits, with the trials under "trials"; arguments as of `plan`.

    Each device's share is a multiple of the statistics group (without one, of 8 images), in every part that is gone
    through.

    Raises:
      InputError: as `plan`; or the device does not say how much memory it has.
    """
    if target.limit is None:
        raise InputError(f"--find_batch: {target.kind} does not say how much memory it has")
    validate(config)
    examples, _ = look_at_data(config.data, examples)
    unit = (config.model.statistics_group or SEARCH_STEP) * config.accumulate
    tried: dict[int, dict[str, Any]] = {}

    def fits(units: int) -> bool:
        changed = config.copy_and_resolve_references()
        changed.batch_size = units * unit * target.devices
        tried[units] = plan(changed, target, examples=examples, cache=cache, say=say)
        say(f"batch {changed.batch_size:,}: {units * unit} images a device: {verdict(tried[units])}")
        return tried[units]["fits"]

    most = examples // (unit * target.devices)
    if not most:
        raise InputError(f"--find_batch: {examples:,} examples are fewer than {unit} for each of the devices")
    start = min(max(1, config.batch_size // (unit * target.devices)), most)
    found = largest(fits, start, most)
    trials = [{"batch_size": t["batch_size"], "fits": t["fits"]} for t in tried.values()]
    return {**tried[found or 1], "trials": trials}


def largest(fits: Callable[[int], bool], start: int, most: int) -> int:
    """The largest number from 1 to `most` that fits, 0 if none does; where one fits, all smaller ones do.

    Doubles or halves from `start` until it is passed, then bisects.
    """
    low, high = 0, most + 1  # low fits, high does not
    at = start
    while low < at < high:
        if fits(at):
            low = at
            at = min(2 * at, most) if high > most else high
        else:
            high = at
            at = at // 2 if low == 0 else low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def answer(
    config: ConfigDict, target: Target, outcome: Outcome, *, examples: int, channels: int, cached: bool
) -> dict[str, Any]:
    """What is known of a plan, as plain values: bytes and FLOPs a device and step, seconds a step, days altogether.

    "fits" is None where the device does not say what memory it has; "seconds" is None where there is no estimate, else
    has "cycles", the compiler's, "collectives", around a ring, "step", their sum, and the roofline's two bounds.
    """
    steps = config.epochs * count_steps(examples, config.batch_size)
    cost, refusal = outcome.cost, outcome.refusal
    fits: bool | None = refusal is None
    if cost is not None and target.chip is None:
        fits = None if target.limit is None else cost.memory.peak <= target.limit
    seconds = estimate(cost, target.chip) if cost is not None and target.chip is not None else None
    found = {
        "model": config.model.name,
        "dtype": config.model.dtype,
        "image": [config.data.image_size, config.data.image_size, channels],
        "statistics_group": config.model.statistics_group,
        "accumulate": config.accumulate,
        "shard_parameters": config.shard_parameters,
        "batch_size": config.batch_size,
        "topology": target.name,
        "devices": target.devices,
        "device_kind": target.kind,
        "fits": fits,
        "needed": cost.memory.peak if cost is not None else refusal.needed if refusal else None,
        "available": (refusal.available if refusal else None) or target.limit,
        "cost": None if cost is None else dataclasses.asdict(cost),
        "chip": None if target.chip is None else dataclasses.asdict(target.chip),
        "seconds": seconds,
        "examples": examples,
        "epochs": config.epochs,
        "steps": steps,
        "days": steps * seconds["step"] / 86400 if seconds else None,
        "compile_seconds": outcome.seconds,
        "cached": cached,
        "versions": {name: version(name) for name in COMPILED_BY},
    }
    return json.loads(json.dumps(found))


def estimate(cost: Cost, chip: Chip) -> dict[str, float] | None:
    """Seconds of a step, and what they consist of; None if the compiler counts no cycles."""
    if cost.cycles is None:
        return None
    computing = cost.cycles / chip.clock
    sending = sum(one.sent for one in cost.collectives) / chip.ring
    return {
        "step": computing + sending,
        "cycles": computing,
        "collectives": sending,
        "flops_bound": (cost.flops or 0) / chip.flops,
        "bytes_bound": (cost.bytes_accessed or 0) / chip.bandwidth,
    }


def verdict(found: dict[str, Any]) -> str:
    """Whether it fits, in a few words."""
    sizes = f"{_gib(found['needed'])} of {_gib(found['available'])}"
    if found["fits"] is None:
        return f"takes {_gib(found['needed'])} a device; the device does not say how much it has"
    return f"{'fits' if found['fits'] else 'does not fit'}: {sizes} a device"


def _gib(size: float | None) -> str:
    return "?" if size is None else f"{size / GIB:.2f} GiB"


def describe(found: dict[str, Any]) -> str:
    """The answer as a person reads it."""
    lines = [_subject(found), *_trials(found), verdict(found)]
    if found["fits"] is False:
        lines.append(advice(found))
    if found["cost"] is not None:
        lines += [*_memory(found["cost"]["memory"]), *_work(found), *_collectives(found), *_time(found)]
    return "\n".join([*lines, _origin(found)])


def _subject(found: dict[str, Any]) -> str:
    group = found["statistics_group"]
    parts = f", in {found['accumulate']} parts" if found["accumulate"] > 1 else ""
    return (
        f"{found['model']}, {found['dtype']}, on {found['topology']}: {found['devices']} x {found['device_kind']}\n"
        f"batch {found['batch_size']:,}: {found['batch_size'] // found['devices']} images of "
        f"{'x'.join(map(str, found['image']))} a device{parts}, "
        f"statistics over {'the whole batch' if group is None else f'groups of {group}'}"
    )


def _trials(found: dict[str, Any]) -> list[str]:
    if "trials" not in found:
        return []
    tried = ", ".join(f"{t['batch_size']:,} {'fits' if t['fits'] else 'does not'}" for t in found["trials"])
    return [f"{'the largest batch that fits' if found['fits'] else 'no batch fits'}; tried: {tried}"]


def advice(found: dict[str, Any]) -> str:
    """What may make a step fit that does not."""
    ways = ["a smaller --config.batch_size or more devices"]
    parts, share = 2 * found["accumulate"], found["batch_size"] // found["devices"]
    if share % parts == 0:
        whole = (share // parts) % (found["statistics_group"] or found["batch_size"]) == 0
        smaller = "" if whole else f" with --config.model.statistics_group={share // parts}"
        ways.append(f"--config.accumulate={parts}{smaller}")
    if found["dtype"] != "bfloat16":
        ways.append("--config.model.dtype=bfloat16")
    if not found["shard_parameters"] and found["devices"] > 1:
        ways.append("--config.shard_parameters=True")
    return f"  may help: {', '.join(ways)}"


def _memory(memory: dict[str, int]) -> list[str]:
    return [
        f"  arguments   {_gib(memory['arguments']):>10}   train state and batch",
        f"  results     {_gib(memory['results'] - memory['aliased']):>10}   besides {_gib(memory['aliased'])} in the "
        "arguments' place",
        f"  temporary   {_gib(memory['temporary']):>10}",
        f"  program     {_gib(memory['program']):>10}",
    ]


def _work(found: dict[str, Any]) -> list[str]:
    counted = (found["cost"]["flops"], found["cost"]["bytes_accessed"])
    flops, read = ("?" if value is None else f"{value / 1e9:,.4g}" for value in counted)
    return [f"work a step   {flops} GFLOP, {read} GB read and written, a device"]


def _collectives(found: dict[str, Any]) -> list[str]:
    listed = [f"{one['count']} {one['kind']}, {one['bytes'] / 1e6:,.3f} MB" for one in found["cost"]["collectives"]]
    return [f"communication {', '.join(listed) or 'none'}"]


def _time(found: dict[str, Any]) -> list[str]:
    seconds, chip = found["seconds"], found["chip"]
    if seconds is None:
        return ["time          no estimate: the compiler for this device makes none"]
    loops = found["cost"]["loops_unknown"]
    unknown = f"; {loops} loops counted once" if loops else ""
    short = f" ({format_duration(86400 * found['days'])})" if found["days"] < 1 else ""
    per_second, cycles = found["batch_size"] / seconds["step"], found["cost"]["cycles"] / 1e6
    return [
        f"a step        {seconds['step'] * 1e3:.4g} ms, {per_second:,.0f} images/s: an estimate, not measured",
        f"  computing   {seconds['cycles'] * 1e3:>7.4g} ms   the compiler's {cycles:,.4g} million cycles at "
        f"{chip['clock'] / 1e9:g} GHz{unknown}",
        f"  sending     {seconds['collectives'] * 1e3:>7.3g} ms   not estimated by the compiler: in a ring at "
        f"{chip['ring'] / 1e9:g} GB/s, if nothing else is done meanwhile",
        f"  bounds      {seconds['flops_bound'] * 1e3:>7.3g} ms by FLOPs at {chip['flops'] / 1e12:,.4g} TFLOP/s, "
        f"{seconds['bytes_bound'] * 1e3:.3g} ms by bytes at {chip['bandwidth'] / 1e9:,.4g} GB/s, if all are read from "
        "memory",
        f"training      {found['days']:.3g} days{short}: {found['epochs']} epochs of {found['examples']:,} examples, "
        f"{found['steps']:,} steps; without evaluation, and if data comes as fast",
    ]


def _origin(found: dict[str, Any]) -> str:
    by = ", ".join(f"{name} {found['versions'][name]}" for name in ("jax", "libtpu") if found["versions"][name])
    how = "kept from an earlier compilation" if found["cached"] else "compiled"
    return f"{how} by {by}, in {format_duration(found['compile_seconds'])}"


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while the compiler works, Python would not hear of it
    main()
