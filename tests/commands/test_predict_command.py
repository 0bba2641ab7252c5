"""`hasnn predict` and `hasnn export` as a person types them."""

import io
import json
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image
from small_weights import CLASSES, byte_images, save_small_weights
from typed import typed

import hasnn_jax


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_small_weights(tmp_path_factory.mktemp("weights") / "weights")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def test_each_image_is_a_line_with_the_likeliest_classes(weights, pictures, capsys):
    message, out, _ = typed("predict", weights, pictures, "--top", "2", capsys=capsys)
    assert message is None
    names = [line.partition(": ")[0] for line in out.splitlines()]
    assert names == [str(pictures / f"{i}.png") for i in range(3)]
    for line in out.splitlines():
        shares = [float(part.rpartition(" ")[2].rstrip("%")) for part in line.partition(": ")[2].split(", ")]
        assert len(shares) == 2
        assert shares == sorted(shares, reverse=True)


def test_json_has_every_class_and_is_what_the_library_says(weights, pictures, capsys):
    picture = pictures / "0.png"
    _, out, _ = typed("predict", weights, picture, "--json", capsys=capsys)
    model = hasnn_jax.load(weights)
    image = model.preprocessing.for_evaluation({"image": picture.read_bytes()})
    expected = model.predict(image[None])[0]
    found = json.loads(out)
    assert found["image"] == str(picture)
    assert {c["class"]: c["probability"] for c in found["classes"]} == dict(
        zip(CLASSES, map(float, expected), strict=True)
    )


def test_standard_input_is_an_image(weights, pictures, capsys, monkeypatch):
    bytes_in = types.SimpleNamespace(buffer=io.BytesIO((pictures / "1.png").read_bytes()))
    monkeypatch.setattr(sys, "stdin", bytes_in)
    _, piped, _ = typed("predict", weights, "-", capsys=capsys)
    _, named, _ = typed("predict", weights, pictures / "1.png", capsys=capsys)
    assert piped.partition(": ")[2] == named.partition(": ")[2]


def test_a_model_of_grey_images_gets_coloured_ones_as_their_luminance(pictures, tmp_path, capsys):
    grey = save_small_weights(tmp_path / "grey", channels=1)
    Image.open(pictures / "0.png").resize((8, 8)).convert("L").save(tmp_path / "grey.png")
    Image.open(tmp_path / "grey.png").convert("RGB").save(tmp_path / "rgb.png")
    _, first, _ = typed("predict", grey, tmp_path / "grey.png", capsys=capsys)
    _, second, _ = typed("predict", grey, tmp_path / "rgb.png", capsys=capsys)
    assert first.partition(": ")[2] == second.partition(": ")[2]


def test_a_picture_is_drawn_and_not_overwritten(weights, pictures, tmp_path, capsys):
    picture = tmp_path / "why.png"
    arguments = ("predict", weights, pictures / "0.png", "--picture", picture)
    message, drawn, err = typed(*arguments, capsys=capsys)
    assert message is None
    assert drawn == typed(*arguments[:3], capsys=capsys)[1]
    assert f"drawn in {picture}" in err
    before = picture.read_bytes()
    assert before.startswith(b"\x89PNG")
    message, out, _ = typed(*arguments, capsys=capsys)
    assert (message, out) == (f"hasnn predict: {picture}: exists already; remove it, or choose another name", "")
    assert picture.read_bytes() == before


def test_unreadable_images_among_others_are_named_and_the_rest_is_classified(weights, pictures, tmp_path, capsys):
    (tmp_path / "text.png").write_text("not an image")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    message, out, err = typed("predict", weights, tmp_path, pictures / "0.png", capsys=capsys)
    assert message == "hasnn predict: 2 of 3 images could not be read; they are named above"
    assert len(out.splitlines()) == 1
    assert f"{tmp_path / 'text.png'}: cannot be read as an image (its format is not recognised)" in err
    assert f"{tmp_path / 'dot.png'}: has 1 x 1 pixels; expected 2 or more a side" in err


def test_the_releases_range_is_warned_of_in_one_line(pictures, tmp_path, capsys):
    released = save_small_weights(tmp_path / "released", "as_released")
    message, out, err = typed("predict", released, pictures, capsys=capsys)
    assert message is None
    assert len(out.splitlines()) == 3
    assert len(err.splitlines()) == 1
    assert "each image is computed alone here" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{weights}", "nowhere.png"], "nowhere.png: no such image or folder"),
        (["{weights}", "{empty}"], "is a folder without images"),
        (["{empty}", "{picture}"], "holds no weights; expected a run's workdir"),
        (["{weights}", "{picture}", "--top", "0"], "--top: expected 1 or more classes, got 0"),
        (["{weights}", "{folder}", "--picture", "x.png"], "--picture: draws one image, got 3"),
        (["{weights}", "{picture}", "--picture", "{empty}/nowhere/x.png"], "its folder does not exist"),
        (["{weights}", "{picture}", "--classes", "{empty}"], "cannot be read"),
        (["{nameless}", "{picture}"], "has no class names"),
        (["{weights}", "-", "-"], "standard input holds one image"),
        (["{weights}"], "the following arguments are required: IMAGE"),
    ],
)
def test_bad_input_is_one_line(arguments, message, weights, pictures, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    places = {
        "weights": weights,
        "folder": pictures,
        "picture": pictures / "0.png",
        "empty": tmp_path / "empty",
        "nameless": tmp_path / "nameless",
    }
    if "{nameless}" in arguments:
        save_small_weights(tmp_path / "nameless", classes=None)
    said, out, _ = typed("predict", *(argument.format(**places) for argument in arguments), capsys=capsys)
    assert message in said
    assert len(said.splitlines()) == 1
    assert out == ""


def test_class_names_of_a_file_are_used(pictures, tmp_path, capsys):
    nameless = save_small_weights(tmp_path / "nameless", classes=None)
    (tmp_path / "names.txt").write_text("eins\nzwei\ndrei\nvier\nfünf\n\n", encoding="utf-8")
    _, out, _ = typed("predict", nameless, pictures / "0.png", "--classes", tmp_path / "names.txt", capsys=capsys)
    assert {part.rpartition(" ")[0] for part in out.partition(": ")[2].split(", ")} == {
        "eins", "zwei", "drei", "vier", "fünf"
    }  # fmt: skip
    (tmp_path / "names.txt").write_text("eins\n\ndrei")
    message, *_ = typed("predict", nameless, pictures / "0.png", "--classes", tmp_path / "names.txt", capsys=capsys)
    assert "line 2 is empty" in message


IN_A_FRESH_PROCESS = """
import sys
import jax.export, numpy
exported = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
for given, probabilities in zip(sys.argv[2::2], sys.argv[3::2]):
    numpy.save(probabilities, exported.call(numpy.load(given)))
print("hasnn_jax" in sys.modules)
"""


def test_an_exported_file_runs_without_the_package_and_is_not_overwritten(weights, tmp_path, capsys):
    path = tmp_path / "model.stablehlo"
    message, out, _ = typed("export", weights, path, capsys=capsys)
    assert message is None
    assert out.startswith(f"{path}: has8_vgg_b1_m1_d1 for cpu, cuda, tpu, ")
    message, *_ = typed("export", weights, path, capsys=capsys)
    assert message == f"hasnn export: {path}: exists already; remove it, or choose another name"

    batches = {batch: byte_images(batch, seed=batch) for batch in (1, 7)}
    for batch, images in batches.items():
        np.save(tmp_path / f"{batch}.npy", images)
    files = [str(tmp_path / f"{batch}{end}.npy") for batch in batches for end in ("", "_probabilities")]
    command = [sys.executable, "-c", IN_A_FRESH_PROCESS, str(path), *files]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    model = hasnn_jax.load(weights)
    for batch, images in batches.items():
        given = np.load(tmp_path / f"{batch}_probabilities.npy")
        np.testing.assert_allclose(given, model.predict(images), rtol=0, atol=1e-6)
