"""Deep dream: a photograph is changed until the network sees more in it of what it sees anyway.

A small network learns to tell pieces of two photographs apart. Then gradient ascent on the picture itself makes the
activations of several layers larger, first in a small version of it and then in larger ones (octaves), so that
patterns of all sizes appear. The detail that the shrinking lost is put back each time.

    python examples/gradients/deep_dream.py --size 96 --output pictures/
"""

from __future__ import annotations

import numpy as np
import pictures

import kcore as keras
from kcore import backend as K
from kcore.layers import AveragePooling2D, Conv2D, Dense, GlobalAveragePooling2D, Input
from kcore.models import Model

# How much each layer's activations count.
FEATURES = {"conv2": 0.5, "conv3": 1.5}
STEP = 0.01  # of gradient ascent
OCTAVES = 3
OCTAVE_SCALE = 1.4


def convnet():
    """A classifier of pictures of any size, of which the dream takes the convolutions."""
    dream = Input(shape=(None, None, 3))
    x = Conv2D(16, (3, 3), activation="relu", padding="same", name="conv1")(dream)
    x = Conv2D(24, (3, 3), activation="relu", padding="same", name="conv2")(x)
    x = AveragePooling2D((2, 2))(x)
    x = Conv2D(24, (3, 3), activation="relu", padding="same", name="conv3")(x)
    x = GlobalAveragePooling2D()(x)
    model = Model(dream, Dense(2, activation="softmax")(x))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def loss_and_grads(model):
    """A function from a picture to the activations' weighted mean square and its normalised gradient."""
    layer_dict = {layer.name: layer for layer in model.layers}
    loss = K.variable(0.0)
    for layer_name, coefficient in FEATURES.items():
        x = layer_dict[layer_name].output
        # Without the border, where padding makes artefacts.
        loss = loss + coefficient * K.mean(K.square(x[:, 2:-2, 2:-2, :]))
    dream = model.input
    grads = K.gradients(loss, dream)[0]
    grads = grads / K.maximum(K.mean(K.abs(grads)), K.epsilon())
    return K.function([dream, K.learning_phase()], [loss, grads])


def gradient_ascent(x, fetch, iterations, step):
    """The changed picture, and the loss before each step and after the last."""
    losses = []
    for _ in range(iterations):
        loss_value, grad_values = fetch([x, 0])
        losses.append(float(loss_value))
        x = np.clip(x + step * grad_values, 0, 1)
    losses.append(float(fetch([x, 0])[0]))
    return x, losses


def resize(image, size):
    from scipy.ndimage import zoom

    return zoom(image, (1, size / image.shape[1], size / image.shape[2], 1), order=1)


def dreaming(photo, fetch, iterations):
    """Run all octaves; returns the dream and the losses of each octave."""
    size = photo.shape[1]
    sizes = [int(size / OCTAVE_SCALE**i) for i in reversed(range(OCTAVES))]
    image = shrunk = resize(photo, sizes[0])
    losses = []
    for size in sizes:
        original = resize(photo, size)
        lost_detail = original - resize(shrunk, size)
        image = np.clip(resize(image, size) + lost_detail, 0, 1)
        image, octave = gradient_ascent(image, fetch, iterations, STEP)
        losses.append(octave)
        shrunk = original
    return image[0], losses


def run(epochs: int = 5, size: int = 40, iterations: int = 8, output: str | None = None) -> dict:
    keras.utils.set_random_seed(1)
    photos = [pictures.photo(name, size) for name in ("china", "flower")]
    x, y = pictures.patches(photos, size=12, count=512)
    model = convnet()
    accuracy = model.fit(x, y, batch_size=32, epochs=epochs, verbose=0).history["accuracy"][-1]
    dream, losses = dreaming(photos[0][None], loss_and_grads(model), iterations)
    pictures.save(output, "photo", photos[0], zoom=4)
    pictures.save(output, "dream", dream, zoom=4)
    return {"accuracy": accuracy, "losses": np.array(losses), "dream": dream}


def main() -> None:
    result = run(**pictures.arguments(__doc__, epochs=5, size=40, iterations=8))
    octaves = (f"{octave[0]:.3f} -> {octave[-1]:.3f}" for octave in result["losses"])
    print(f"accuracy {result['accuracy']:.3f}; activations in each octave:", ", ".join(octaves))


if __name__ == "__main__":
    main()
