"""Turning, moving, stretching and flipping images. Interpolation is SciPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import ArgumentError
from kcore.utils.optional import optional_import


def flip_axis(x: Any, axis: int) -> np.ndarray:
    """The image mirrored along an axis."""
    return np.flip(np.asarray(x), axis)


def transform_matrix_offset_center(matrix: np.ndarray, x: float, y: float) -> np.ndarray:
    """A transformation about the centre of an `x` by `y` image, from one about the origin (3 by 3 matrices)."""
    o_x, o_y = float(x) / 2 + 0.5, float(y) / 2 + 0.5
    to_centre = np.array([[1, 0, o_x], [0, 1, o_y], [0, 0, 1]])
    from_centre = np.array([[1, 0, -o_x], [0, 1, -o_y], [0, 0, 1]])
    return to_centre @ matrix @ from_centre


def _matrix(theta: float, tx: float, ty: float, shear: float, zx: float, zy: float) -> np.ndarray | None:
    """The product of rotation, shift, shear and zoom, from place in the result to place in the image; None for 1."""
    parts = []
    if theta != 0:
        c, s = np.cos(np.deg2rad(theta)), np.sin(np.deg2rad(theta))
        parts.append([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    if tx != 0 or ty != 0:
        parts.append([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    if shear != 0:
        c, s = np.cos(np.deg2rad(shear)), np.sin(np.deg2rad(shear))
        parts.append([[1, -s, 0], [0, c, 0], [0, 0, 1]])
    if zx != 1 or zy != 1:
        parts.append([[zx, 0, 0], [0, zy, 0], [0, 0, 1]])
    if not parts:
        return None
    matrix = np.array(parts[0])
    for part in parts[1:]:
        matrix = matrix @ np.array(part)
    return matrix


def apply_affine_transform(
    x: np.ndarray,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 0,
    col_axis: int = 1,
    channel_axis: int = 2,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """Turn, move, shear and zoom an image about its centre: row `rows / 2 + 1/2`, counted from 0, as in Keras.

    Args:
        x: one image, 3 axes.
        theta: angle of rotation, in degrees.
        tx, ty: shift along rows and along columns, in pixels: the result shows what was `tx` rows further down.
        shear: angle, in degrees.
        zx, zy: zoom along rows and columns; below 1 the image is enlarged.
        row_axis, col_axis, channel_axis: which axis is which.
        fill_mode: what lies outside the image: `"constant"` (cval), `"nearest"` (the border's pixel), `"reflect"`,
            `"wrap"`.
        cval: value outside for `"constant"`.
        order: of the spline that interpolates between pixels, 0 to 5.

    Returns:
        An image of the same shape and dtype; `x` itself where there is nothing to do.

    Raises:
        MissingPackageError: SciPy is not installed.
    """
    matrix = _matrix(theta, tx, ty, shear, zx, zy)
    if matrix is None:
        return x
    ndimage = optional_import("scipy.ndimage", "SciPy", "image", "Turning, moving or zooming an image")
    matrix = transform_matrix_offset_center(matrix, x.shape[row_axis], x.shape[col_axis])
    result = np.empty_like(x)
    for before, after in zip(np.moveaxis(x, channel_axis, 0), np.moveaxis(result, channel_axis, 0)):
        ndimage.affine_transform(
            before, matrix[:2, :2], matrix[:2, 2], output=after, order=order, mode=fill_mode, cval=cval
        )
    return result


# The four functions below take axes 0 and 1 for rows and columns when they look for the centre, whatever `row_axis` and
# `col_axis` say, as Keras 2.3.1 did: the same seed gives the same image.


def random_rotation(
    x: np.ndarray,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """The image turned by a random angle between `-rg` and `rg` degrees; see `apply_affine_transform`."""
    theta = np.random.uniform(-rg, rg)  # noqa: NPY002 - the seed that Keras users set
    return apply_affine_transform(
        x, theta=theta, channel_axis=channel_axis, fill_mode=fill_mode, cval=cval, order=interpolation_order
    )


def random_shift(
    x: np.ndarray,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """The image moved by up to the parts `wrg` of its width and `hrg` of its height; see `apply_affine_transform`."""
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]  # noqa: NPY002
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]  # noqa: NPY002
    return apply_affine_transform(
        x, tx=tx, ty=ty, channel_axis=channel_axis, fill_mode=fill_mode, cval=cval, order=interpolation_order
    )


def random_shear(
    x: np.ndarray,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """The image sheared by a random angle of up to `intensity` degrees; see `apply_affine_transform`."""
    shear = np.random.uniform(-intensity, intensity)  # noqa: NPY002
    return apply_affine_transform(
        x, shear=shear, channel_axis=channel_axis, fill_mode=fill_mode, cval=cval, order=interpolation_order
    )


def random_zoom(
    x: np.ndarray,
    zoom_range: tuple[float, float],
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """The image zoomed by two random factors, for rows and for columns, from `zoom_range`, which is (least, most)."""
    if len(zoom_range) != 2:
        raise ArgumentError(f"zoom_range has the least and the largest factor, got {zoom_range!r}.")
    least, most = zoom_range
    zx, zy = (1, 1) if least == most == 1 else np.random.uniform(least, most, 2)  # noqa: NPY002
    return apply_affine_transform(
        x, zx=zx, zy=zy, channel_axis=channel_axis, fill_mode=fill_mode, cval=cval, order=interpolation_order
    )
