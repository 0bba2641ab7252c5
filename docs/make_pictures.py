"""Redraws the pictures stored in the repository. Needs the extra `test`.

    python docs/make_pictures.py              # draws docs/coding.png, the figure in the README
    python docs/make_pictures.py notebooks    # runs every notebook and saves it with its outputs

The photograph in `coding.png` is scikit-learn's sample image "flower.jpg": a dahlia by Flickr user vultilion, CC BY
2.0 (https://www.flickr.com/photos/vultilion/6056698931/). It is converted to grey, cropped and reduced here.
"""

import base64
import io
import pathlib
import sys
import tempfile

import matplotlib
import nbclient
import nbformat
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from hasnn_jax import core
from hasnn_jax.analysis import coding_plots

DOCS = pathlib.Path(__file__).parent
NOTEBOOKS = DOCS.parent / "notebooks"
PIXELS = 142
BOX = (140, 50, 476, 386)  # left, upper, right, lower: the blossom, 336 x 336 pixels


def photograph() -> np.ndarray:
    """The blossom as a grey image, uint8 [PIXELS, PIXELS]."""
    crop = Image.fromarray(load_sample_image("flower.jpg")).convert("L").crop(BOX)
    return np.asarray(crop.resize((PIXELS, PIXELS), Image.Resampling.BOX))


def with_palette(png: bytes, colours: int) -> bytes:
    """The PNG reduced to `colours` colours: a third of the size, with hardly a visible difference."""
    small = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(colours, kmeans=4, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


def draw_coding(path: pathlib.Path) -> None:
    """Draws an image, its planes and the gradient of one surrogate, and saves the figure as a PNG."""
    drawn = io.BytesIO()
    with matplotlib.rc_context({"font.size": 13, "axes.titlesize": 13, "axes.labelsize": 13}):
        coding_plots.overview(photograph(), core.FourierSine()).savefig(drawn, dpi=150)
    path.write_bytes(with_palette(drawn.getvalue(), 256))


def run_notebook(path: pathlib.Path) -> None:
    """Runs a notebook and saves it with its outputs, with compressed pictures and no data about the machine."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        nbclient.NotebookClient(notebook, timeout=600, resources=resources, record_timing=False).execute()
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                png = with_palette(base64.b64decode(output.data["image/png"]), 128)
                output.data["image/png"] = base64.b64encode(png).decode()
    nbformat.write(notebook, path)


def main() -> None:
    """Draws what the command line names."""
    if sys.argv[1:] == ["notebooks"]:
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            run_notebook(path)
    elif not sys.argv[1:]:
        draw_coding(DOCS / "coding.png")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
