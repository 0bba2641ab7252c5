"""A plan as text for a person."""

from hasnn_jax.common.console import format_duration
from hasnn_jax.planning.chips import GIB, Chip
from hasnn_jax.planning.compilation import GPU_COMPILERS, TPU_COMPILERS
from hasnn_jax.planning.gpus import Gpu
from hasnn_jax.planning.plans import SECONDS_PER_DAY, Bounds, Plan, Seconds
from hasnn_jax.planning.profile_text import describe_profile
from hasnn_jax.planning.step_cost import Cost, Memory


def describe(plan: Plan, profile: bool = False) -> str:
    """The whole plan, in lines; on request with its profile, if the step compiles."""
    lines = [*_subject(plan), *_trials(plan), verdict(plan)]
    if plan.fits is False:
        lines.append(advice(plan))
    if cost := plan.outcome.cost:
        lines += [*_memory(cost.memory), *_share(plan), _work(plan, cost), _collectives(cost), *_time(plan, cost)]
    lines.append(_origin(plan))
    if profile and plan.outcome.profile:
        lines.append(describe_profile(plan.outcome.profile))
    return "\n".join(lines)


def verdict(plan: Plan) -> str:
    """Whether the step fits, in a few words."""
    if plan.fits is None:
        return f"takes {_gib(plan.needed)} a device; the device does not report how much memory it has"
    return f"{'fits' if plan.fits else 'does not fit'}: {_gib(plan.needed)} of {_gib(plan.available)} a device"


def advice(plan: Plan) -> str:
    """Settings that may make a step fit that does not."""
    workload = plan.workload
    ways = ["a smaller --config.batch_size or more devices"]
    steps = 2 * workload.accumulation_steps
    images, rest = divmod(plan.images_per_device, steps)  # of an accumulation step
    if not rest:
        whole_groups = images % (workload.statistics_group or workload.batch_size) == 0
        smaller_group = "" if whole_groups else f" with --config.model.statistics_group={images}"
        ways.append(f"--config.accumulate={steps}{smaller_group}")
    if workload.dtype != "bfloat16":
        ways.append("--config.model.dtype=bfloat16")
    if workload.remat == "none":
        ways.append("--config.model.remat=spikes")
    if not workload.shard_parameters and plan.devices > 1:
        ways.append("--config.shard_parameters=True")
    return f"  may help: {', '.join(ways)}"


def _gib(size: float | None) -> str:
    return "?" if size is None else f"{size / GIB:.2f} GiB"


def _subject(plan: Plan) -> list[str]:
    workload = plan.workload
    group, steps = workload.statistics_group, workload.accumulation_steps
    image = "x".join(map(str, workload.image))
    accumulated = f" in {steps} accumulation steps" if steps > 1 else ""
    return [
        f"{workload.model}, {workload.dtype}, on {plan.topology}: {plan.devices} x {plan.device_kind}",
        f"batch {workload.batch_size:,}: {plan.images_per_device} images of {image} a device{accumulated}, "
        f"batch statistics over {'the whole batch' if group is None else f'groups of {group}'}",
    ]


def _trials(plan: Plan) -> list[str]:
    if not plan.trials:
        return []
    tried = ", ".join(f"{trial.batch_size:,} {'fits' if trial.fits else 'does not'}" for trial in plan.trials)
    return [f"{'the largest batch that fits' if plan.fits else 'no batch fits'}; tried: {tried}"]


def _memory(memory: Memory) -> list[str]:
    return [
        f"  arguments   {_gib(memory.arguments):>10}   train state and batch",
        f"  results     {_gib(memory.results - memory.aliased):>10}   and {_gib(memory.aliased)} in the place of "
        "donated arguments",
        f"  temporary   {_gib(memory.temporary):>10}",
        f"  program     {_gib(memory.program):>10}",
    ]


def _share(plan: Plan) -> list[str]:
    if not isinstance(plan.chip, Gpu):
        return []
    return [
        f"  available   {_gib(plan.available):>10}   of the GPU's {plan.chip.memory / GIB:.0f} GiB; JAX allocates "
        "three quarters unless XLA_CLIENT_MEM_FRACTION says otherwise",
    ]


def _work(plan: Plan, cost: Cost) -> str:
    flops, accessed = (f"{count / 1e9:,.4g}" for count in (cost.flops, cost.bytes_accessed))
    kernels = f" by {cost.kernels:,} kernels" if isinstance(plan.chip, Gpu) else ""
    return f"work a step   {flops} GFLOP, {accessed} GB read and written{kernels}, on each device"


def _collectives(cost: Cost) -> str:
    listed = [f"{each.count} {each.kind}, {each.bytes / 1e6:,.3f} MB" for each in cost.collectives]
    return f"communication {', '.join(listed) or 'none'}"


def _time(plan: Plan, cost: Cost) -> list[str]:
    chip, seconds, days = plan.chip, plan.seconds, plan.days
    if isinstance(chip, Gpu) and plan.bounds:
        return _bounds(plan, chip, plan.bounds, cost)
    if not isinstance(chip, Chip) or seconds is None or days is None:
        return ["time          no estimate: the compiler for this device makes none"]
    workload = plan.workload
    duration = f" ({format_duration(days * SECONDS_PER_DAY)})" if days < 1 else ""
    return [
        f"a step        {seconds.step * 1e3:.4g} ms, {workload.batch_size / seconds.step:,.0f} images/s: an estimate, "
        "not measured",
        *_parts_of_a_step(cost, chip, seconds),
        f"training      {days:.3g} days{duration}: {workload.epochs} epochs of {workload.examples:,} examples, "
        f"{workload.steps:,} steps; without evaluation, if the input pipeline keeps up",
    ]


def _bounds(plan: Plan, gpu: Gpu, bounds: Bounds, cost: Cost) -> list[str]:
    rate = plan.workload.batch_size / bounds.step
    return [
        f"a step        {bounds.step * 1e3:.3g} ms or more, {rate:,.0f} images/s or fewer: a bound, not an estimate",
        f"  by bytes    {bounds.bytes * 1e3:>7.3g} ms   at {gpu.bandwidth / 1e9:,.4g} GB/s, if no cache "
        "holds any of them",
        f"  by FLOPs    {bounds.flops * 1e3:>7.3g} ms   of convolutions and matrix products, at "
        f"{gpu.flops / 1e12:,.4g} TFLOP/s, the peak for dense bfloat16{_unknown_loops(cost)}",
    ]


def _unknown_loops(cost: Cost) -> str:
    return f"; {cost.loops_unknown} loops of unknown trip count counted once" if cost.loops_unknown else ""


def _parts_of_a_step(cost: Cost, chip: Chip, seconds: Seconds) -> list[str]:
    return [
        f"  computing   {seconds.cycles * 1e3:>7.4g} ms   the compiler's estimate of {(cost.cycles or 0) / 1e6:,.4g} "
        f"million cycles, at {chip.clock / 1e9:g} GHz{_unknown_loops(cost)}",
        f"  sending     {seconds.collectives * 1e3:>7.3g} ms   not the compiler's estimate: around a ring at "
        f"{chip.ring / 1e9:g} GB/s, not overlapped with computing",
        f"  bounds      {seconds.flops_bound * 1e3:>7.3g} ms by FLOPs at {chip.flops / 1e12:,.4g} TFLOP/s, "
        f"{seconds.bytes_bound * 1e3:.3g} ms by bytes at {chip.bandwidth / 1e9:,.4g} GB/s, if all are read from "
        "memory",
    ]


def _origin(plan: Plan) -> str:
    own = TPU_COMPILERS if isinstance(plan.chip, Chip) else GPU_COMPILERS if isinstance(plan.chip, Gpu) else ()
    compilers = ", ".join(f"{name} {plan.versions[name]}" for name in ("jax", *own) if plan.versions[name])
    how = "cached from an earlier compilation" if plan.cached else "compiled"
    return f"{how} by {compilers}, in {format_duration(plan.outcome.seconds)}"
