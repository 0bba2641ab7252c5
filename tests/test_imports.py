"""The rooms of the package and who may enter them; a new file falls under its room's rule by where it lies."""

import ast
import pathlib
import subprocess
import sys

import pytest

import hasnn_jax

PACKAGE = pathlib.Path(hasnn_jax.__file__).parent
ROOMS = ("core", "models", "data", "training", "analysis", "interop", "planning")
LEAVES = {
    f"hasnn_jax.{name}" for name in ("lookup", "config", "errors", "lock", "fingerprint", "guarded_reading")
}  # they enter no room, so any room may enter them

MAY_ENTER = {
    "core": {"core"},
    "models": {"models", "core"},
    "data": {"data"},
    "training": {"training"},
    "analysis": {"analysis", "core", "models"},
    "interop": {"interop", "core", "models"},
    "planning": {"planning", "core", "models", "data", "training", "assembly", "training_program"},
}
# Packages beyond the standard library: for the strict rooms all that they may use, for the others what they may not.
ONLY = {
    "core": {"jax", "numpy"},
    "models": {"jax", "numpy", "flax"},
}
NEVER = {
    "data": {"jax", "jaxlib", "flax", "optax", "orbax", "chex", "clu", "torch", "torchvision", "matplotlib"},
    "training": {"grain", "tensorflow_datasets", "tensorflow", "torch", "PIL", "clu"},
    "analysis": {"grain", "tensorflow_datasets", "tensorflow"},
    "interop": {"grain", "tensorflow_datasets", "tensorflow"},
    "planning": {"grain", "tensorflow_datasets", "tensorflow", "torch", "matplotlib", "tensorboardX", "libtpu"},
}
HEAVY = ("matplotlib", "tensorflow_datasets", "tensorflow", "torch", "tensorboardX", "grain")


def imported_modules(source, module, is_package=False):
    """Full names of all that a module imports, wherever in the file; `from hasnn_jax import core` is hasnn_jax.core."""
    package = module if is_package else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" if base == "hasnn_jax" else base for alias in node.names}
    return found


def faults(source, module, is_package=False):
    """What in a module of the package breaks the rules, one line each."""
    room = module.split(".")[1] if module.count(".") else ""
    lines = []
    for name in sorted(imported_modules(source, module, is_package)):
        top, _, rest = name.partition(".")
        entered = rest.partition(".")[0]
        if name.startswith("hasnn_jax.trainer"):
            lines.append(f"{module} imports the trainer")
        elif name.startswith("hasnn_jax.planning") and room != "planning" and module != "hasnn_jax.plan":
            lines.append(f"{module} enters the planning")
        elif top == "hasnn_jax":
            if room in MAY_ENTER and name not in LEAVES and entered not in MAY_ENTER[room] | {"__version__"}:
                lines.append(f"{module} enters {name}")
            if module in LEAVES and name not in LEAVES:
                lines.append(f"the leaf {module} enters {name}")
        elif top not in ONLY.get(room, {top}) | sys.stdlib_module_names or top in NEVER.get(room, ()):
            lines.append(f"{module} imports {name}")
    return lines


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        yield pytest.param(path, ".".join(parts[:-1] if is_package else parts), is_package, id="/".join(parts[1:]))


@pytest.mark.parametrize(("path", "module", "is_package"), list(modules()))
def test_module_enters_only_rooms_that_are_open_to_it(path, module, is_package):
    assert faults(path.read_text(encoding="utf-8"), module, is_package) == []


def test_every_folder_of_the_package_is_a_room():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}

    assert folders <= set(ROOMS)
    assert {"core", "models", "interop"} <= folders


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hasnn_jax.core.x", "from hasnn_jax.models import layers"),
        ("hasnn_jax.core.x", "from hasnn_jax import models"),
        ("hasnn_jax.core.x", "from hasnn_jax import AS_DESCRIBED"),
        ("hasnn_jax.core.x", "import flax"),
        ("hasnn_jax.core.x", "from ..models.layers import Conv"),
        ("hasnn_jax.core.x", "from .. import models"),
        ("hasnn_jax.models.x", "def f():\n    import optax"),
        ("hasnn_jax.models.x", "import hasnn_jax.training.state"),
        ("hasnn_jax.data.x", "import jax.numpy as jnp"),
        ("hasnn_jax.data.x", "from hasnn_jax import core"),
        ("hasnn_jax.training.x", "from hasnn_jax.models import HybridVGG"),
        ("hasnn_jax.training.x", "if True:\n    from hasnn_jax.data import digits"),
        ("hasnn_jax.analysis.x", "from hasnn_jax.training import state"),
        ("hasnn_jax.interop.x", "from hasnn_jax.data import sources"),
        ("hasnn_jax.analysis.x", "from hasnn_jax import trainer"),
        ("hasnn_jax.interop.x", "from hasnn_jax.trainer import train_and_evaluate"),
        ("hasnn_jax.planning.x", "from hasnn_jax import trainer"),
        ("hasnn_jax.planning.x", "from hasnn_jax import plan"),
        ("hasnn_jax.planning.x", "def f():\n    import grain"),
        ("hasnn_jax.models.x", "from hasnn_jax import planning"),
        ("hasnn_jax.assembly", "from hasnn_jax.planning.chips import CHIPS"),
        ("hasnn_jax.config", "import hasnn_jax.core"),
        ("hasnn_jax.lookup", "from hasnn_jax.models import registry"),
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
        ("hasnn_jax.models.x", "from hasnn_jax import core, lookup\nfrom flax import linen as nn"),
        ("hasnn_jax.data.x", "from hasnn_jax.errors import InputError\nimport grain, PIL.Image\nfrom . import sources"),
        (
            "hasnn_jax.training.x",
            "import jax, optax\nimport orbax.checkpoint\nfrom hasnn_jax import __version__",
        ),
        ("hasnn_jax.analysis.x", "import jax, matplotlib.pyplot\nfrom hasnn_jax import core, models"),
        ("hasnn_jax.trainer", "from hasnn_jax import core, data, models\nimport hasnn_jax.training.state"),
        (
            "hasnn_jax.planning.x",
            "import jax\nfrom hasnn_jax import assembly, data\nfrom hasnn_jax.planning.chips import CHIPS",
        ),
        ("hasnn_jax.plan", "from hasnn_jax.planning.chips import CHIPS"),
        ("hasnn_jax.config", "from hasnn_jax.lookup import build\nimport ml_collections"),
    ],
)
def test_an_open_door_is_not_reported(module, source):
    assert faults(source, module) == []


@pytest.mark.slow
def test_importing_the_package_loads_nothing_heavy():
    program = f"import sys, hasnn_jax; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=120, check=False
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
