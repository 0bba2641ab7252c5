"""Makes the modules of `benchmarks/` importable, as they are for the scripts there."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[2] / "benchmarks"))
