"""A report as text for a person."""

from collections.abc import Sequence

from hasnn_jax.analysis.activity import Spikes, Terms
from hasnn_jax.analysis.energy import Energy
from hasnn_jax.analysis.plane_gradients import PlaneGradients
from hasnn_jax.analysis.report import Report

MICROJOULE = 1e6  # pJ
ENERGIES = ("arithmetic", "with data movement", "8-bit dense", "8-bit dense with movement")
PATH_NAMES = {"ann": "ANN path", "snn": "spiking path", "shared": "shared"}


def describe(report: Report) -> str:
    """The whole report, in lines: tables of operations, energy, spikes and gradients, a row for each layer.

    Counts are for one image, energies in microjoules for one image. A neuron's row has the name of the layer in front
    of it; "never" and "always" are the shares of neurons that fire in no or in every time step of every image.
    """
    parts = [_subject(report), _layers(report), _energy(report)]
    if report.activity.neurons:
        parts += [
            _spikes("spikes of neurons", report.activity.neurons),
            _spikes("spikes of encoders", report.activity.encoders),
        ]
    if report.activity.blocks:
        parts.append(_blocks(report.activity.blocks))
    if report.gradients:
        parts.append(_gradients(report.gradients, report.gradient_images))
    return "\n\n".join(parts)


def summarise(report: Report) -> list[str]:
    """The report in two lines, or three where there are spikes: how many, operations against dense, energy estimates.

    A rate is the mean over all spiking neurons and time steps.
    """
    total, neurons = report.totals(), report.activity.neurons.values()
    energy = dict(zip(ENERGIES, _microjoules(total.energy), strict=True))
    lines = [
        f"operations an image: {total.effective_acs / 1e6:,.4g} M ACs and {total.effective_macs / 1e6:,.4g} M MACs, "
        f"{(total.effective_acs + total.effective_macs) / total.macs:.1%} of {total.macs / 1e6:,.4g} M dense MACs",
        "estimated uJ an image: " + ", ".join(f"{name} {value}" for name, value in energy.items()),
    ]
    if neurons:
        size = sum(each.size for each in neurons)
        rate, dead, saturated = (
            sum(counts) / size
            for counts in zip(*((each.rate * each.size, each.dead, each.saturated) for each in neurons), strict=True)
        )
        lines.insert(0, f"spike rate {rate:.1%}; {dead:.1%} of {size:,} neurons never fire, {saturated:.1%} always")
        if report.activity.spiking_share is not None:
            lines[0] += f"; {report.activity.spiking_share:.1%} of the blocks' sums are the spiking path's"
    return [f"{lines[0]}; measured on {report.activity.images:,} test images", *lines[1:]]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width: the first aligned to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = []
    for first, *others in (header, *rows):
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(line.rstrip() for line in lines)


def _subject(report: Report) -> str:
    norms = report.cost.parameters - report.totals().parameters
    return (
        f"{report.cost.parameters:,} parameters, {norms:,} of them in normalisations; "
        f"activity measured on {report.activity.images:,} images; counts are for one image"
    )


def _layers(report: Report) -> str:
    header = ("layer", "parameters", "dense MACs", "effective MACs", "effective ACs", "of dense")
    images = report.activity.images
    rows = []
    for layer in report.cost.layers:
        measured = report.activity.layers[layer.name]
        macs, acs = sum(measured.macs) / images, sum(measured.acs) / images
        rows.append(_operations(layer.name, layer.parameters, layer.macs, macs, acs))
    for path in (*report.paths(), None):
        total = report.totals(path)
        name = PATH_NAMES[path] if path else "all layers"
        rows.append(_operations(name, total.parameters, total.macs, total.effective_macs, total.effective_acs))
    return table(header, rows)


def _operations(name: str, parameters: int, dense: int, macs: float, acs: float) -> tuple[str, ...]:
    return name, f"{parameters:,}", f"{dense:,}", f"{macs:,.0f}", f"{acs:,.0f}", f"{100 * (macs + acs) / dense:.1f} %"


def _energy(report: Report) -> str:
    header = ("estimated energy in uJ", *ENERGIES)
    rows = [
        (PATH_NAMES[path] if path else "all layers", *_microjoules(report.totals(path).energy))
        for path in (*report.paths(), None)
    ]
    note = "estimates from counts and 45 nm constants, not measurements; hasnn_jax/analysis/energy.py has the model"
    return f"{table(header, rows)}\n{note}"


def _microjoules(energy: Energy) -> tuple[str, ...]:
    values = (energy.arithmetic, energy.with_movement, energy.quantised, energy.quantised_with_movement)
    return tuple(f"{value / MICROJOULE:,.4g}" for value in values)


def _spikes(title: str, spikes: dict[str, Spikes]) -> str:
    steps = len(next(iter(spikes.values())).rates)
    header = (f"{title}, %", *(f"t={t}" for t in range(steps)), "mean", "number", "never", "always")
    rows = [
        (
            name,
            *(f"{100 * rate:.1f}" for rate in (*each.rates, each.rate)),
            f"{each.size:,}",
            f"{100 * each.dead / each.size:.1f}",
            f"{100 * each.saturated / each.size:.1f}",
        )
        for name, each in spikes.items()
    ]
    return table(header, rows)


def _blocks(blocks: dict[str, Terms]) -> str:
    header = ("root mean square of a block's terms", *(PATH_NAMES[path] for path in ("ann", "snn")), "spiking share, %")
    rows = [
        (name, f"{terms.ann:.3g}", f"{terms.snn:.3g}", f"{100 * terms.share:.1f}") for name, terms in blocks.items()
    ]
    return table(header, rows)


def _gradients(gradients: Sequence[PlaneGradients], images: int) -> str:
    planes = gradients[0].planes
    header = (f"gradient of each plane, {images:,} images", "rescaled", *(f"k={plane}" for plane in planes))
    rows = []
    for each in gradients:
        for name, how, sizes in ((each.name, "no", each.before), ("", "yes", each.after)):
            rows.append((name, how, *(f"{size:.2g}" for size in sizes)))
    return table(header, rows)
