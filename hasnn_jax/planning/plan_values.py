"""A plan as plain values, for JSON."""

import dataclasses
from typing import Any

from hasnn_jax.planning.plans import Plan
from hasnn_jax.planning.profile import Profile


def plain_values(plan: Plan, profile: bool = False) -> dict[str, Any]:
    """A plan as values that JSON can hold.

    Args:
      plan: the plan.
      profile: whether to add its profile, as the key "profile"; None if the step does not compile.

    Returns:
      key -> value. "bounds" is a key only for GPUs, "trials" only after a search.
    """
    workload, seconds, bounds = plan.workload, plan.seconds, plan.bounds
    values: dict[str, Any] = {
        "model": workload.model,
        "dtype": workload.dtype,
        "image": workload.image,
        "statistics_group": workload.statistics_group,
        "accumulate": workload.accumulation_steps,
        "shard_parameters": workload.shard_parameters,
        "remat": workload.remat,
        "batch_size": workload.batch_size,
        "topology": plan.topology,
        "devices": plan.devices,
        "device_kind": plan.device_kind,
        "fits": plan.fits,
        "needed": plan.needed,
        "available": plan.available,
        "cost": dataclasses.asdict(plan.outcome.cost) if plan.outcome.cost else None,
        "chip": dataclasses.asdict(plan.chip) if plan.chip else None,
        "seconds": {"step": seconds.step, **dataclasses.asdict(seconds)} if seconds else None,
        "examples": workload.examples,
        "epochs": workload.epochs,
        "steps": workload.steps,
        "days": plan.days,
        "compile_seconds": plan.outcome.seconds,
        "cached": plan.cached,
        "versions": dict(plan.versions),
    }
    if bounds:
        values["bounds"] = {"step": bounds.step, **dataclasses.asdict(bounds)}
    if plan.trials:
        values["trials"] = [dataclasses.asdict(trial) for trial in plan.trials]
    if profile:
        values["profile"] = _profile_values(plan.outcome.profile) if plan.outcome.profile else None
    return values


def _profile_values(profile: Profile) -> dict[str, Any]:
    unnamed = profile.unnamed
    return {
        "kernels": profile.kernels,
        "cycles": profile.cycles,
        "bytes": profile.bytes,
        "unnamed": {"kernels": unnamed.kernels, "cycles": unnamed.cycles, "bytes": unnamed.bytes},
        "parts": [dataclasses.asdict(part) for part in profile.parts],
        "costliest": [dataclasses.asdict(kernel) for kernel in profile.costliest],
    }
