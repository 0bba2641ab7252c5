"""Image files of every kind become pixels; a file that cannot be decoded is refused by name."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hasnn_jax.data import images
from hasnn_jax.data.images import UnreadableImageError, read_pixels
from hasnn_jax.data.transforms import whole


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def random_image(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth_image(height, width):
    """An image that JPEG changes very little, like a photograph."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return np.stack([200 * x, 200 * y, 100 + 100 * np.sin(5 * x)], axis=-1).astype(np.uint8)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(1, 40))
def test_arrays_are_resized_by_triangle_filtering_along_both_axes(height, width, channels, size):
    image = random_image(height, width, channels)
    resized = read_pixels(image, size, whole, "image")
    assert (resized.shape, resized.dtype) == ((size, size, channels), np.uint8)
    expected = np.einsum("ij,jkc,lk->ilc", triangle_filter(height, size), image, triangle_filter(width, size))
    np.testing.assert_allclose(resized, expected, rtol=0, atol=1.51)  # the library rounds after each axis


def triangle_filter(length, size):
    """Weights [size, length] of bilinear interpolation, widened to the stride where it shrinks."""
    stride = length / size
    width = max(stride, 1)
    distance = np.abs((np.arange(size)[:, None] + 0.5) * stride - (np.arange(length) + 0.5))
    weights = np.maximum(1 - distance / width, 0)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_array_of_the_right_size_is_returned_as_it_is(channels):
    image = random_image(9, 9, channels)
    assert read_pixels(image, 9, whole, "image") is image


def test_a_lossless_file_gives_what_the_array_gives():
    image = random_image(31, 17, 3)
    for choose in (whole, lambda w, h: (3, 5, 13, 25)):
        from_file = read_pixels(encode(Image.fromarray(image)), 12, choose, "image")
        np.testing.assert_array_equal(from_file, read_pixels(image, 12, choose, "image"))


def test_a_part_is_cut_out_and_nothing_around_it_is_seen():
    image = np.zeros((20, 30, 3), np.uint8)
    image[5:15, 8:18] = 255
    assert read_pixels(encode(Image.fromarray(image)), 10, lambda w, h: (8, 5, 18, 15), "image").min() == 255


@pytest.mark.parametrize("box", [(0, 0, 800, 600), (160, 120, 640, 480), (700, 20, 760, 80)])
def test_a_jpeg_decoded_near_its_target_size_looks_like_the_one_decoded_whole(box):
    image = smooth_image(600, 800)
    near = read_pixels(encode(Image.fromarray(image), "JPEG", quality=95), 32, lambda w, h: box, "image")
    exact = read_pixels(image, 32, lambda w, h: box, "image")
    assert np.abs(near.astype(int) - exact).max() <= 6


def test_a_jpeg_is_decoded_no_smaller_than_its_part_needs(monkeypatch):
    decoded = []
    original = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, *a, **k: decoded.append(self.size) or original(self, *a, **k)
    )
    file = encode(Image.fromarray(smooth_image(800, 1600)), "JPEG")
    for box in ((0, 0, 1600, 800), (0, 0, 800, 400), (0, 0, 300, 150)):
        read_pixels(file, 100, lambda w, h, box=box: box, "image")
    assert decoded == [(200, 100), (400, 200), (1600, 800)]


def picture(mode):
    """A picture of four greys or colours in the given mode, and what it looks like in RGB."""
    grey = np.array([[0, 80], [160, 255]], np.uint8)
    red = np.stack([grey, 0 * grey, 0 * grey], axis=-1)
    greys = np.stack([grey] * 3, axis=-1)
    if mode == "1":
        return Image.fromarray(grey).point(lambda v: 255 * (v > 100), "1"), np.where(greys > 100, 255, 0)
    if mode == "LA":
        return Image.fromarray(np.stack([grey, 255 - grey], axis=-1)), greys
    if mode == "RGBA":
        return Image.fromarray(np.concatenate([red, 255 - grey[..., None]], axis=-1)), red
    if mode == "P":
        return Image.fromarray(red).quantize(4), red
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257), greys
    return Image.fromarray(grey), greys


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGBA", "P", "I;16"])
def test_every_kind_of_image_becomes_rgb(mode):
    image, expected = picture(mode)
    assert image.mode == mode
    pixels = read_pixels(encode(image), 2, whole, "image")
    assert (pixels.shape, pixels.dtype) == ((2, 2, 3), np.uint8)
    np.testing.assert_array_equal(pixels, expected)


def test_a_palette_with_transparent_colours_is_read_without_a_warning():
    image, expected = picture("P")
    file = encode(image, transparency=bytes([0, 128, 255, 255]))
    np.testing.assert_array_equal(read_pixels(file, 2, whole, "image"), expected)


def test_a_cmyk_jpeg_becomes_rgb():
    image = smooth_image(64, 64)
    file = encode(Image.fromarray(image).convert("CMYK"), "JPEG", quality=95)
    assert Image.open(io.BytesIO(file)).mode == "CMYK"
    assert np.abs(read_pixels(file, 64, whole, "image").astype(int) - image).mean() < 3


def test_a_grey_jpeg_becomes_three_equal_channels():
    pixels = read_pixels(encode(Image.fromarray(smooth_image(64, 48)).convert("L"), "JPEG"), 16, whole, "image")
    assert pixels.shape == (16, 16, 3)
    assert (pixels == pixels[..., :1]).all()


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    file = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert list(read_pixels(file, 8, whole, "image")[0, 0]) == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_camera_s_rotation_is_undone_before_a_part_is_chosen(orientation, kind):
    upright = smooth_image(240, 320)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1), 7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = encode(Image.fromarray(np.ascontiguousarray(stored[orientation])), kind, exif=exif)
    seen = []

    def choose(width, height):
        seen.append((width, height))
        return 40, 20, 200, 100

    pixels = read_pixels(file, 20, choose, "image")
    assert seen == [(320, 240)]
    expected = read_pixels(upright, 20, lambda w, h: (40, 20, 200, 100), "image")
    assert np.abs(pixels.astype(int) - expected).max() <= 8


def cut_in_half(data):
    return data[: len(data) // 2]


def shorten_a_chunk(data):
    """Changes a PNG so that the length in the header of its pixel data is 2,000 bytes too small."""
    at = data.index(b"IDAT") - 4
    return data[:at] + (int.from_bytes(data[at : at + 4], "big") - 2000).to_bytes(4, "big") + data[at + 4 :]


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("PNG", cut_in_half),
        ("JPEG", cut_in_half),
        ("GIF", cut_in_half),
        ("JPEG", lambda data: b"<html>not found</html>"),
        ("PNG", shorten_a_chunk),
        ("TIFF", cut_in_half),
        ("WEBP", cut_in_half),
    ],
    ids=["cut PNG", "cut JPEG", "cut GIF", "a web page", "damaged PNG", "cut TIFF", "cut WebP"],
)
def test_a_damaged_file_is_refused_by_name(kind, damage):
    data = damage(encode(Image.fromarray(random_image(40, 40, 3)), kind))
    with pytest.raises(
        UnreadableImageError, match=r"^cat/7\.jpg: cannot be read as an image .*; replace or remove it$"
    ):
        read_pixels(data, 8, whole, "cat/7.jpg")


def test_an_empty_file_is_refused_by_name():
    with pytest.raises(UnreadableImageError, match=r"^cat/7\.jpg: is empty; replace or remove it$"):
        read_pixels(b"", 8, whole, "cat/7.jpg")


def test_values_of_32_bits_are_refused():
    with pytest.raises(UnreadableImageError, match=r"has values of 32 bits \(mode F\), expected 8 or 16"):
        read_pixels(encode(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), 8, whole, "image")


def claim_a_size(side):
    """A BMP whose header says side x side pixels."""
    data = encode(Image.new("RGB", (4, 4)), "BMP")
    return data[:18] + side.to_bytes(4, "little") * 2 + data[26:]


@pytest.mark.parametrize("side", [8_193, 10_000, 60_000])
def test_a_gigantic_image_is_refused_and_not_decoded(side, monkeypatch):
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(UnreadableImageError, match=r"has more than 67,108,864 pixels; scale it down or remove it"):
        read_pixels(claim_a_size(side), 8, whole, "image")


def test_an_image_of_the_largest_size_is_decoded(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 16)
    assert read_pixels(encode(Image.new("RGB", (4, 4), "red")), 4, whole, "image")[0, 0, 0] == 255


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns about damaged headers
@settings(deadline=None, max_examples=60)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0"]),
)
def test_random_bytes_are_refused_in_one_line(data, start):
    with pytest.raises(UnreadableImageError) as caught:
        read_pixels(start + data, 8, whole, "image")
    assert "\n" not in str(caught.value)
