import ast
import base64
import importlib
import io
import os
import pathlib
import sys

import nbclient
import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from PIL import Image

ROOT = pathlib.Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OTHERS = {"jax", "matplotlib", "numpy", "PIL"} | sys.stdlib_module_names  # dependencies of the package itself
LEAST_PICTURES = 8
PLAIN = {"text/plain", "image/png"}  # what every viewer shows; no widgets, no HTML

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def syntax(path):
    """Every node of the syntax trees of the notebook's code cells."""
    plain = TransformerManager().transform_cell  # converts `%magic` lines to Python
    return [node for cell in code_cells(path) for node in ast.walk(ast.parse(plain(cell.source)))]


def imported(path):
    """(module, name) for every import; name is None for `import module`."""
    for node in syntax(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield from ((node.module, alias.name) for alias in node.names)


def pictures(outputs):
    """The PNGs among a notebook's outputs, in base64."""
    return [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def is_public(module, name):
    """Whether a name is public: it has no leading underscore, and is in `__all__` if the module has one."""
    names = [*module.split("."), *([name] if name else [])]
    if any(part.startswith("_") or part == "*" for part in names):
        return False
    loaded = importlib.import_module(module)
    return name is None or name in getattr(loaded, "__all__", [name])


def test_there_is_a_notebook():
    assert NOTEBOOKS


@every_notebook
def test_imports_are_public(path):
    own = [pair for pair in imported(path) if pair[0].split(".")[0] == "hasnn_jax"]

    assert own
    assert [pair for pair in own if not is_public(*pair)] == []


@every_notebook
def test_imports_are_dependencies_of_the_package(path):
    assert {module.split(".")[0] for module, _ in imported(path)} - {"hasnn_jax"} <= OTHERS


@every_notebook
def test_no_private_attribute_is_used(path):
    assert [n.attr for n in syntax(path) if isinstance(n, ast.Attribute) and n.attr.startswith("_")] == []


@every_notebook
def test_stored_outputs_are_complete_and_small(path):
    cells = code_cells(path)

    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert path.stat().st_size < 400_000
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert all(output.name == "stdout" for output in outputs if output.output_type == "stream")
    assert {kind for output in outputs for kind in output.get("data", {})} <= PLAIN
    drawn = pictures(outputs)
    assert len(drawn) >= LEAST_PICTURES
    assert all(Image.open(io.BytesIO(base64.b64decode(picture))).width > 300 for picture in drawn)


@every_notebook
def test_nothing_of_a_machine_is_stored(path):
    text = path.read_text(encoding="utf-8")
    marks = str(ROOT) + os.sep, str(pathlib.Path.home()) + os.sep, "/home/", "/Users/", "/tmp/", "site-packages"

    assert [mark for mark in marks if mark in text] == []


@pytest.mark.slow
@every_notebook
def test_every_cell_runs(path, tmp_path, monkeypatch):
    search = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(search))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        cell.outputs = []

    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()

    outputs = [output for cell in cells for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert len(pictures(outputs)) >= LEAST_PICTURES
