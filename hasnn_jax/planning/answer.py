"""What is known of a plan: as plain values that JSON can hold, and as text."""

import dataclasses
import json
from typing import Any

from ml_collections import ConfigDict

from hasnn_jax.assembly import count_steps
from hasnn_jax.planning.chips import GIB, Chip
from hasnn_jax.planning.compilation import COMPILED_BY, Outcome, version
from hasnn_jax.planning.cost import Cost
from hasnn_jax.planning.devices import Target
from hasnn_jax.training.progress import format_duration


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
