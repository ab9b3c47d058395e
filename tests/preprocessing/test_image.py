"""Reading, transforming and normalising images."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kcore import config
from kcore.preprocessing import image
from kcore.preprocessing.image import ImageDataGenerator


def picture(seed=0, shape=(6, 5, 3)):
    return np.random.RandomState(seed).randint(0, 256, shape).astype("float32")


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_bytes_survive_the_way_to_a_file_and_back(channels, data_format, tmp_path):
    x = picture(shape=(6, 5, channels))
    x = x.transpose(2, 0, 1) if data_format == "channels_first" else x
    image.save_img(tmp_path / "x.png", x, data_format=data_format, scale=False)
    mode = {1: "grayscale", 3: "rgb", 4: "rgba"}[channels]
    read = image.img_to_array(image.load_img(tmp_path / "x.png", color_mode=mode), data_format=data_format)
    np.testing.assert_array_equal(read, x)
    assert read.dtype == config.floatx()


def test_loading_converts_and_resizes(tmp_path):
    Image.fromarray(np.full((4, 6), 40_000, "uint16")).save(tmp_path / "wide.png")
    kept = image.load_img(tmp_path / "wide.png", color_mode="grayscale", target_size=(2, 3), interpolation="box")
    assert kept.size == (3, 2)
    assert np.asarray(kept).max() == 40_000, "16 bits are kept"
    with (tmp_path / "wide.png").open("rb") as file:
        assert image.load_img(file).mode == "RGB"
    with pytest.warns(UserWarning, match="color_mode='grayscale'"):
        assert image.load_img(tmp_path / "wide.png", grayscale=True).size == (6, 4)
    with pytest.raises(ValueError, match="Unknown color_mode: 'RGB'.*Did you mean 'rgb'"):
        image.load_img(tmp_path / "wide.png", color_mode="RGB")
    with pytest.raises(ValueError, match="Unknown interpolation: 'linear'"):
        image.load_img(tmp_path / "wide.png", interpolation="linear", target_size=(1, 1))


def test_arrays_become_images():
    assert image.array_to_img(picture() / 1000).getextrema()[0][1] <= 255
    stretched = np.asarray(image.array_to_img(np.array([[[-1.0], [3.0]]])))
    assert stretched.tolist() == [[0, 255]]
    assert image.array_to_img(np.full((2, 2, 1), 300.0), scale=False).mode == "I"
    assert image.img_to_array(picture(shape=(3, 4)), dtype="uint8").shape == (3, 4, 1)
    with pytest.raises(ValueError, match=r"3 axes; got one of shape \(2, 2\)"):
        image.array_to_img(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="1, 3 or 4 channels, got 5"):
        image.array_to_img(np.zeros((2, 2, 5)))
    with pytest.raises(ValueError, match="2 or 3 axes"):
        image.img_to_array(np.zeros(3))


def test_saving_to_a_file_object_needs_a_format():
    with pytest.raises(ValueError, match="needs `file_format`"):
        image.save_img(io.BytesIO(), picture())
    out = io.BytesIO()
    with pytest.warns(UserWarning, match="no transparency"):
        image.save_img(out, picture(shape=(4, 4, 4)), file_format="jpg")
    assert Image.open(out).format == "JPEG"


@pytest.mark.parametrize(
    ("module", "call", "message"),
    [
        ("PIL.Image", lambda: image.load_img("x.png"), r"Reading an image needs Pillow: `pip install kcore\[image\]`"),
        ("scipy.ndimage", lambda: image.apply_affine_transform(picture(), theta=3), "needs SciPy"),
        ("scipy.linalg", lambda: ImageDataGenerator(zca_whitening=True, featurewise_center=True).fit([picture()]),
         "Whitening needs SciPy"),
    ],
)  # fmt: skip
def test_a_missing_package_is_named(module, call, message, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=message):
        call()


def test_a_quarter_turn_is_exact_and_shifts_move():
    x = picture(shape=(5, 5, 3))
    # Keras' centre of 5 rows is row 3 (counted from 0), so that a turned image misses a row.
    row, col = np.meshgrid(np.arange(5), np.arange(5), indexing="ij")
    turned = x[np.minimum(6 - col, 4), row]
    np.testing.assert_allclose(image.apply_affine_transform(x, theta=90), turned, atol=1e-3)
    np.testing.assert_allclose(image.apply_affine_transform(x, tx=1)[:-1], x[1:], atol=1e-3)
    right = image.apply_affine_transform(x, ty=-2, fill_mode="constant")
    np.testing.assert_allclose(right[:, 2:], x[:, :-2], atol=1e-3)
    assert (image.apply_affine_transform(x, tx=3, fill_mode="constant", cval=-7)[-2:] == -7).all()
    assert image.apply_affine_transform(x) is x


@given(st.floats(-90, 90), st.floats(-2, 2), st.floats(-2, 2), st.floats(-30, 30), st.floats(0.5, 2), st.floats(0.5, 2))
def test_channels_may_lie_on_any_axis(theta, tx, ty, shear, zx, zy):
    x = picture()
    last = image.apply_affine_transform(x, theta, tx, ty, shear, zx, zy)
    first = image.apply_affine_transform(x.transpose(2, 0, 1), theta, tx, ty, shear, zx, zy, 1, 2, 0)
    np.testing.assert_allclose(first.transpose(1, 2, 0), last, atol=1e-3)


def test_colours_stay_within_what_there_was():
    x = picture()
    shifted = image.apply_channel_shift(x, 40.0, channel_axis=2)
    assert shifted.max() == x.max()
    assert shifted.min() == x.min() + 40
    assert image.apply_brightness_shift(x, 0.0).max() == 0
    for function, argument in ((image.random_zoom, (1, 2, 3)), (image.random_brightness, (1,))):
        with pytest.raises(ValueError, match="least and the largest factor"):
            function(x, argument)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (image.random_rotation, (40,)), (image.random_shift, (0.2, 0.3)), (image.random_shear, (20,)),
        (image.random_zoom, ((0.6, 1.3),)), (image.random_channel_shift, (30.0,)),
        (image.random_brightness, ((0.2, 2),)),
    ],
)  # fmt: skip
def test_a_seed_repeats_a_variation(function, arguments):
    def varied(seed):
        np.random.seed(seed)  # noqa: NPY002
        return function(picture(), *arguments)

    np.testing.assert_array_equal(varied(1), varied(1))
    assert not np.array_equal(varied(1), varied(2))


def test_parameters_stay_in_their_ranges():
    generator = ImageDataGenerator(
        rotation_range=10, width_shift_range=[-2, 0, 1], height_shift_range=0.5, shear_range=5.0, zoom_range=0.2,
        channel_shift_range=3.0, brightness_range=(0.5, 2), horizontal_flip=True,
    )  # fmt: skip
    for seed in range(50):
        drawn = generator.get_random_transform((8, 6, 3), seed)
        assert abs(drawn["theta"]) <= 10
        assert abs(drawn["tx"]) <= 4
        assert drawn["ty"] in (-2, -1, 0, 1, 2)
        assert 0.8 <= drawn["zx"] <= 1.2
        assert not drawn["flip_vertical"]
        assert 0.5 <= drawn["brightness"] <= 2
    angles = {np.sign(generator.get_random_transform((8, 6, 3), seed)["theta"]) for seed in range(9)}
    assert angles == {-1, 1}
    still = ImageDataGenerator().get_random_transform((8, 6, 3))
    assert {name: value for name, value in still.items() if value} == {"zx": 1, "zy": 1}


def test_whole_numbers_of_pixels_or_parts_or_choices():
    def shifts(width_shift_range):
        generator = ImageDataGenerator(width_shift_range=width_shift_range)
        return {generator.get_random_transform((10, 10, 1), seed)["ty"] for seed in range(60)}

    assert shifts(3) == {-2, -1, 0, 1, 2}
    assert shifts(np.array([1, 4])) == {-4, -1, 1, 4}
    assert shifts([0.5]) == {-5.0, 5.0}
    assert max(map(abs, shifts(2.5))) > 2


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_featurewise_statistics_make_mean_0_and_deviation_1(data_format):
    x = np.stack([picture(i) for i in range(4)])
    x = x.transpose(0, 3, 1, 2) if data_format == "channels_first" else x
    generator = ImageDataGenerator(
        featurewise_center=True, featurewise_std_normalization=True, data_format=data_format, rescale=0.5
    )
    generator.fit(x)
    done = generator.standardize(x.copy())
    axes = (0, generator.row_axis, generator.col_axis)
    np.testing.assert_allclose(done.mean(axis=axes), 0, atol=1e-5)
    np.testing.assert_allclose(done.std(axis=axes), 1, atol=1e-5)


def test_whitening_decorrelates_pixels():
    x = np.random.RandomState(0).rand(400, 3, 3, 1) @ np.ones((1, 1)) + np.random.RandomState(1).rand(400, 1, 1, 1)
    generator = ImageDataGenerator(featurewise_center=True, zca_whitening=True)
    generator.fit(x)
    white = np.stack([generator.standardize(image) for image in x.astype("float32")]).reshape(400, -1)
    np.testing.assert_allclose(white.T @ white / 400, np.eye(9), atol=0.02)


def test_fit_can_see_varied_images():
    x = np.stack([picture(i) for i in range(3)])
    options = {"featurewise_center": True, "vertical_flip": True, "brightness_range": (1, 2)}
    generators = [ImageDataGenerator(**options) for _ in range(2)]
    for generator in generators:
        generator.fit(x, augment=True, rounds=2, seed=1)
    np.testing.assert_array_equal(generators[0].mean, generators[1].mean)
    plain = ImageDataGenerator(featurewise_center=True)
    plain.fit(x)
    assert not np.allclose(plain.mean, generators[0].mean)


def test_normalisations_that_need_each_other_say_so():
    with pytest.warns(UserWarning, match="needs `featurewise_center`, which is switched on"):
        assert ImageDataGenerator(featurewise_std_normalization=True).featurewise_center
    with pytest.warns(UserWarning, match="takes the place of `featurewise_std_normalization`"):
        assert not ImageDataGenerator(
            featurewise_center=True, zca_whitening=True, featurewise_std_normalization=True
        ).featurewise_std_normalization
    with pytest.warns(UserWarning, match="`featurewise_center` has no effect before.*call `fit`"):
        ImageDataGenerator(featurewise_center=True).standardize(picture())
    with pytest.warns(UserWarning, match="Expected images with 1, 3 or 4 channels on axis 3"):
        ImageDataGenerator().fit(np.zeros((2, 3, 3, 2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zoom_range": (1, 2, 3)}, "zoom_range is a pair of numbers"),
        ({"brightness_range": 0.5}, "brightness_range is a pair of numbers"),
        ({"data_format": "middle"}, "data_format: expected one of"),
        ({"validation_split": 1.5}, "validation_split lies between 0 and 1, got 1.5"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ImageDataGenerator(**options)


def test_brightness_works_with_channels_first():
    x = picture()
    parameters = {"brightness": 1.5}
    last = ImageDataGenerator().apply_transform(x, parameters)
    first = ImageDataGenerator(data_format="channels_first").apply_transform(x.transpose(2, 0, 1), parameters)
    np.testing.assert_array_equal(first.transpose(1, 2, 0), last)
