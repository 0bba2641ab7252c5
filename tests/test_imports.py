"""The rooms of the package: who may enter which, no circles, no long files, and nothing heavy before it is used.

A new file falls under its room's rule by where it lies.
"""

import pathlib
import subprocess
import sys

import pytest
from import_graph import circles, edges, imported_modules

import hasnn_jax

PACKAGE = pathlib.Path(hasnn_jax.__file__).parent
ROOT = PACKAGE.parent
MOST_LINES = 250

# Beside itself. `common` is open to all but `core`, which depends on JAX and NumPy only.
MAY_ENTER = {
    "common": set(),
    "core": set(),
    "models": {"common", "core"},
    "data": {"common"},
    "training": {"common"},
    "checkpoints": {"common", "models", "training"},
    "interop": {"common", "core", "models", "checkpoints"},
    "analysis": {"common", "core", "models"},
    "assembly": {"common", "config", "models", "data", "training", "checkpoints"},
    "inference": {"common", "models", "data", "training", "checkpoints", "assembly"},
    "runs": {"common", "config", "models", "data", "training", "checkpoints", "analysis", "assembly"},
    "planning": {"common", "config", "models", "data", "training", "assembly"},
    "experiments": {
        "common",
        "config",
        "models",
        "data",
        "training",
        "checkpoints",
        "analysis",
        "assembly",
        "runs",
    },
    "commands": {
        "common",
        "config",
        "data",
        "training",
        "interop",
        "inference",
        "analysis",
        "runs",
        "planning",
        "experiments",
        "__version__",
    },
    "config": {"common"},
    "trainer": {"runs"},
    "__main__": {"commands"},  # of the package, and of a room that is a command by itself
    "": {"core", "models", "common", "inference"},  # hasnn_jax/__init__.py
}
# Packages beyond the standard library: for the strict rooms all that they may use, for the others what they may not.
ONLY = {
    "common": {"tqdm"},
    "core": {"jax", "numpy"},
    "models": {"jax", "numpy", "flax"},
    "commands": {"jax", "absl", "ml_collections"},
}
CONFIGS = {"ml_collections"}  # only assembly, runs, planning, experiments and commands ever see one
FRAMEWORKS = {"torch", "tensorflow", "clu"}
NEVER = {
    "data": {"jax", "jaxlib", "flax", "optax", "orbax", "chex", "clu", "torch", "torchvision", "matplotlib"} | CONFIGS,
    "training": {"grain", "tensorflow_datasets", "PIL", "orbax"} | FRAMEWORKS | CONFIGS,
    "checkpoints": {"grain", "tensorflow_datasets", "PIL", "optax"} | FRAMEWORKS | CONFIGS,
    "analysis": {"grain", "tensorflow_datasets", "tensorflow"} | CONFIGS,
    "interop": {"grain", "tensorflow_datasets", "tensorflow"} | CONFIGS,
    "assembly": {"grain", "tensorflow_datasets", "orbax", "matplotlib"} | FRAMEWORKS,
    "inference": {"grain", "tensorflow_datasets", "orbax", "optax", "matplotlib"} | FRAMEWORKS | CONFIGS,
    "runs": {"grain", "tensorflow_datasets", "orbax", "matplotlib"} | FRAMEWORKS,
    "planning": {"grain", "tensorflow_datasets", "matplotlib", "tensorboardX", "libtpu"} | FRAMEWORKS,
    "experiments": {"grain", "tensorflow_datasets", "orbax", "matplotlib"} | FRAMEWORKS,
}
HEAVY = ("matplotlib", "tensorflow_datasets", "tensorflow", "torch", "tensorboardX", "grain", "wandb", "mlflow")
SLOW = ("orbax", "optax", "PIL")  # to import, besides the heavy ones


def faults(source, module, is_package=False):
    """What in a module of the package breaks the rules, one line each."""
    room = module.split(".")[1] if module.count(".") else ""
    room = "__main__" if module.endswith(".__main__") else room  # nothing enters it, so that it may enter commands
    lines = []
    for name in sorted(imported_modules(source, module, is_package)):
        top, _, rest = name.partition(".")
        entered = rest.partition(".")[0]
        if top == "hasnn_jax":
            if entered != room and entered not in MAY_ENTER[room]:
                lines.append(f"{module} enters {name}")
        elif top not in ONLY.get(room, {top}) | sys.stdlib_module_names or top in NEVER.get(room, ()):
            lines.append(f"{module} imports {name}")
    return lines


def modules():
    """(path, full name, whether it is a package) of every file of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        yield path, ".".join(parts[:-1] if is_package else parts), is_package


MODULES = list(modules())


@pytest.mark.parametrize(("path", "module", "is_package"), MODULES, ids=[module for _, module, _ in MODULES])
def test_module_enters_only_rooms_that_are_open_to_it(path, module, is_package):
    assert faults(path.read_text(encoding="utf-8"), module, is_package) == []


def test_every_folder_and_file_of_the_package_has_a_rule():
    names = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/*.py")}

    assert names - {"__init__"} == MAY_ENTER.keys() - {""}


def test_no_files_import_one_another_in_a_circle():
    sources = {module: (path.read_text(encoding="utf-8"), is_package) for path, module, is_package in MODULES}

    assert circles(edges(sources)) == []


def test_a_circle_is_noticed():
    sources = {
        "hasnn_jax.a": ("from hasnn_jax import b", False),
        "hasnn_jax.b": ("def f():\n    from hasnn_jax.c import name", False),
        "hasnn_jax.c": ("import hasnn_jax.a", False),
        "hasnn_jax.d": ("from hasnn_jax.a import name", False),
    }

    assert circles(edges(sources)) == [["hasnn_jax.a", "hasnn_jax.b", "hasnn_jax.c"]]


def test_no_file_is_long():
    files = [
        path
        for folder in ("hasnn_jax", "tests", "benchmarks", "configs", "docs")
        for path in (ROOT / folder).rglob("*.py")
    ]
    counted = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}

    assert len(counted) > 100
    assert {name: lines for name, lines in counted.items() if lines > MOST_LINES} == {}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hasnn_jax.core.x", "from hasnn_jax.models import layers"),
        ("hasnn_jax.core.x", "from hasnn_jax import models"),
        ("hasnn_jax.core.x", "from hasnn_jax import AS_DESCRIBED"),
        ("hasnn_jax.core.x", "from hasnn_jax.common.errors import InputError"),
        ("hasnn_jax.core.x", "import flax"),
        ("hasnn_jax.core.x", "from ..models.layers import Conv"),
        ("hasnn_jax.core.x", "from .. import models"),
        ("hasnn_jax.models.x", "def f():\n    import optax"),
        ("hasnn_jax.models.x", "import hasnn_jax.training.state"),
        ("hasnn_jax.models.x", "from hasnn_jax import planning"),
        ("hasnn_jax.data.x", "import jax.numpy as jnp"),
        ("hasnn_jax.data.x", "from hasnn_jax import core"),
        ("hasnn_jax.data.x", "from ml_collections import ConfigDict"),
        ("hasnn_jax.training.x", "from hasnn_jax.models import HybridVGG"),
        ("hasnn_jax.training.x", "if True:\n    from hasnn_jax.data import digits"),
        ("hasnn_jax.training.x", "from hasnn_jax.checkpoints import folders"),
        ("hasnn_jax.training.x", "from ml_collections import ConfigDict"),
        ("hasnn_jax.checkpoints.x", "from hasnn_jax.runs import workdir"),
        ("hasnn_jax.checkpoints.x", "from hasnn_jax.interop import torch_weights"),
        ("hasnn_jax.analysis.x", "from hasnn_jax.training import state"),
        ("hasnn_jax.analysis.x", "from hasnn_jax import trainer"),
        ("hasnn_jax.interop.x", "from hasnn_jax.data import sources"),
        ("hasnn_jax.interop.x", "from hasnn_jax.trainer import train_and_evaluate"),
        ("hasnn_jax.assembly.x", "from hasnn_jax.runs import loop"),
        ("hasnn_jax.assembly.x", "from hasnn_jax.planning.chips import CHIPS"),
        ("hasnn_jax.runs.x", "from hasnn_jax.commands import train"),
        ("hasnn_jax.runs.x", "import orbax.checkpoint"),
        ("hasnn_jax.planning.x", "from hasnn_jax.runs import train"),
        ("hasnn_jax.planning.x", "from hasnn_jax.commands import plan"),
        ("hasnn_jax.planning.x", "def f():\n    import grain"),
        ("hasnn_jax.experiments.x", "from hasnn_jax.commands import main"),
        ("hasnn_jax.experiments.x", "from hasnn_jax.inference.loading import load"),
        ("hasnn_jax.experiments.catalogue.x", "import matplotlib"),
        ("hasnn_jax.experiments.__main__", "from hasnn_jax.runs import train"),
        ("hasnn_jax.commands.x", "from hasnn_jax.core import encode"),
        ("hasnn_jax.commands.x", "import optax"),
        ("hasnn_jax.common.x", "from hasnn_jax.config import validate"),
        ("hasnn_jax.common.x", "import jax"),
        ("hasnn_jax.config", "import hasnn_jax.core"),
        ("hasnn_jax", "import hasnn_jax.trainer"),
    ],
)
def test_a_forbidden_import_is_noticed(module, source):
    assert len(faults(source, module, is_package=module == "hasnn_jax")) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hasnn_jax.core.x", "import math, numpy\nfrom jax import lax\nfrom hasnn_jax.core.packing import pack"),
        ("hasnn_jax.core.x", "from . import packing\nfrom .packing import pack"),
        ("hasnn_jax.models.x", "from hasnn_jax import core\nfrom hasnn_jax.common import lookup\nimport flax"),
        ("hasnn_jax.data.x", "from hasnn_jax.common import errors\nimport grain, PIL.Image\nfrom . import sources"),
        ("hasnn_jax.training.x", "import jax, optax\nfrom hasnn_jax.common import console"),
        ("hasnn_jax.checkpoints.x", "import jax\nimport orbax.checkpoint\nfrom hasnn_jax.training import processes"),
        ("hasnn_jax.analysis.x", "import jax, matplotlib.pyplot\nfrom hasnn_jax import core, models"),
        ("hasnn_jax.assembly.x", "from ml_collections import ConfigDict\nfrom hasnn_jax import data, models"),
        ("hasnn_jax.runs.x", "from hasnn_jax import data\nimport hasnn_jax.training.state"),
        ("hasnn_jax.planning.x", "import jax\nfrom hasnn_jax import assembly, data\nfrom . import chips"),
        ("hasnn_jax.commands.x", "import argparse\nfrom hasnn_jax.runs.train import train_and_evaluate"),
        ("hasnn_jax.experiments.x", "from ml_collections import ConfigDict\nfrom hasnn_jax import analysis, runs"),
        ("hasnn_jax.experiments.__main__", "from hasnn_jax.commands.main import main"),
        ("hasnn_jax.trainer", "from hasnn_jax.runs.train import train_and_evaluate"),
        ("hasnn_jax.config", "from hasnn_jax.common.lookup import build\nimport ml_collections"),
    ],
)  # fmt: skip
def test_an_open_door_is_not_reported(module, source):
    assert faults(source, module) == []


@pytest.mark.slow
@pytest.mark.parametrize(("module", "unused"), [("hasnn_jax", HEAVY), ("hasnn_jax.commands.main", HEAVY + SLOW)])
def test_importing_loads_nothing_that_is_not_used(module, unused):
    program = f"import sys, {module}; print([name for name in {unused} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
