"""What the gradient scripts share: scikit-learn's digits and photographs, small; and a file for what comes out."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np


def digits(count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits: images (n, 8, 8, 1) in [0, 1] and labels (n,), shuffled once and for all."""
    from sklearn.datasets import load_digits

    x, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(x))[:count]
    return (x[order].reshape(-1, 8, 8, 1) / 16.0).astype("float32"), labels[order]


def photo(name: str, size: int) -> np.ndarray:
    """A photograph that scikit-learn ships ("china" or "flower"): its middle square as (size, size, 3) in [0, 1]."""
    from sklearn.datasets import load_sample_image

    image = load_sample_image(f"{name}.jpg")
    block = min(image.shape[:2]) // size
    top, left = (n // 2 - size * block // 2 for n in image.shape[:2])
    square = image[top : top + size * block, left : left + size * block]
    return (square.reshape(size, block, size, block, 3).mean(axis=(1, 3)) / 255.0).astype("float32")


def patches(images: list[np.ndarray], size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random cuts (count, size, size, channels) of the images, and which image each is from, one-hot."""
    rng = np.random.RandomState(0)
    labels = np.arange(count) % len(images)
    cuts = []
    for label in labels:
        image = images[label]
        top, left = (rng.randint(n - size + 1) for n in image.shape[:2])
        cuts.append(image[top : top + size, left : left + size])
    return np.stack(cuts), np.eye(len(images), dtype="float32")[labels]


def tiled(images: np.ndarray, columns: int) -> np.ndarray:
    """One picture of images (n, height, width, channels), row by row, each stretched to the full range."""
    low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    images = (images - low) / np.maximum(high - low, 1e-7)
    rows = [np.concatenate(images[i : i + columns], axis=1) for i in range(0, len(images), columns)]
    return np.concatenate([row for row in rows if row.shape == rows[0].shape], axis=0)


def save(folder: str | None, name: str, image: np.ndarray, zoom: int = 8) -> None:
    """Write an image (height, width, channels) in [0, 1] as PNG, without Pillow as .npy; nothing without a folder."""
    if folder is None:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        from PIL import Image
    except ImportError:
        np.save(Path(folder) / f"{name}.npy", image)
        return
    pixels = (np.clip(image, 0, 1) * 255).round().astype("uint8").repeat(zoom, axis=0).repeat(zoom, axis=1)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(Path(folder) / f"{name}.png")


def arguments(description: str, **defaults: int) -> dict[str, int | str | None]:
    """The command line of a script: `--epochs 10` and the like for each default, and `--output DIR`."""
    parser = argparse.ArgumentParser(description=description)
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--output", metavar="DIR", help="write the pictures to this folder")
    return vars(parser.parse_args())
