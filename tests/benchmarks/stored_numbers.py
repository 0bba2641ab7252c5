"""What `benchmarks/train_step.py` stores, with made-up numbers."""

MACHINE = {"device": "cpu", "processor": "a processor", "cores": 2, "commit": "abc", "date": "2026-01-01"}


def timed(median, over_port, of_roofline=None):
    return {
        "lower": 0.9 * median,
        "median": median,
        "upper": 1.1 * median,
        "images_per_second": 4 / median,
        "over_port": {"lower": over_port - 0.1, "median": over_port, "upper": over_port + 0.1},
        "roofline": {"of_products": 0.2, "of_roofline": of_roofline},
    }


def comparison():
    """A port, a twin that takes twice its time, and one that does not run."""
    port = {
        "name": "port",
        "losses": {"step": 2.5},
        "compilation": {"step": {"lower": 1.5, "compile": 9.5}},
        "programs": {"step": {"memory": {"temp": 5 * 2**20}}},
        "step": timed(0.25, 1, of_roofline=0.4),
        "evaluation": timed(0.1, 1, of_roofline=0.3),
        "memory": {"before": 1, "growth": 7 * 2**20},
    }
    twin = {
        "name": "twin",
        "losses": {"step": 2.5},
        "step": timed(0.5, 2),
        "evaluation": timed(0.3, 3),
        "memory": {"before": 1, "growth": 9 * 2**20},
    }
    broken = {"name": "twin with torch.compile", "failed": "no compiler", "memory": {"failed": "no compiler"}}
    case = {"name": "a model", "float64_losses": {"port": 2.5, "twin": 2.5}, "rows": [port, twin, broken]}
    return {"machine": MACHINE, "rounds": 3, "cases": [case]}


def sweep():
    """A cost of 10 ms + 2 ms for an image, and of 1 MiB + 0.5 MiB; the same for planes."""
    line = {"r_squared": 1.0, "largest_deviation": 0.03}
    values = [2, 4, 8]
    points = {
        "values": values,
        "step": {
            "medians": [0.01 + 0.002 * x for x in values],
            "quartiles": [{"lower": 0.009 + 0.002 * x, "upper": 0.011 + 0.002 * x} for x in values],
            "line": {"intercept": 0.01, "slope": 0.002, **line},
        },
        "memory": {
            "sizes": [2**20 + 2**19 * x for x in values],
            "line": {"intercept": 2**20, "slope": 2**19, **line},
        },
    }
    return {"machine": MACHINE, "rounds": 3, "name": "a model", "sweep": {"batch": points, "planes": points}}
