"""Saliency maps: which pixels of a digit does a convolutional network look at?

The gradient of the winning class's score with respect to the input says by how much each pixel would change the
score. The proof: the network loses the digit when the pixels with the largest gradients are wiped out, and much less
so when others are.

    python examples/gradients/saliency_map.py --epochs 12 --output pictures/
"""

from __future__ import annotations

import numpy as np
import pictures

import kcore as keras
from kcore import backend as K
from kcore.layers import Activation, Conv2D, Dense, Flatten, MaxPooling2D
from kcore.models import Sequential


def convnet():
    model = Sequential()
    model.add(Conv2D(16, (3, 3), padding="same", activation="relu", input_shape=(8, 8, 1)))
    model.add(Conv2D(16, (3, 3), activation="relu"))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(10, name="scores"))
    model.add(Activation("softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def saliency_function(model):
    """A function from images to |d score / d pixel|, the score being that of the class with the largest one."""
    scores = model.get_layer("scores").output  # before the softmax, which flattens the gradient of sure answers
    best = K.max(scores, axis=-1)
    gradients = K.gradients(best, model.input)[0]
    return K.function([model.input, K.learning_phase()], [K.abs(gradients)])


def wiped(images, importance, count):
    """The images without their `count` most important pixels of ink."""
    importance = np.where(images > 0, importance, -1.0).reshape(len(images), -1)
    chosen = np.argsort(-importance, axis=1, kind="stable")[:, :count]
    result = images.reshape(len(images), -1).copy()
    np.put_along_axis(result, chosen, 0.0, axis=1)
    return result.reshape(images.shape)


def run(epochs: int = 12, output: str | None = None) -> dict:
    keras.utils.set_random_seed(1)
    x, labels = pictures.digits()
    targets = keras.utils.to_categorical(labels, 10)
    x_test, y_test = x[1500:], targets[1500:]
    model = convnet()
    model.fit(x[:1500], targets[:1500], batch_size=50, epochs=epochs, verbose=0)

    saliency = saliency_function(model)([x_test, 0])[0]
    random = np.random.RandomState(0).rand(*x_test.shape)
    accuracies = [
        model.evaluate(images, y_test, verbose=0)[1]
        for images in (x_test, wiped(x_test, saliency, 5), wiped(x_test, random, 5))
    ]
    # The share of the saliency that lies on the strokes, compared with their share of the picture.
    ink = x_test > 0
    focus = float((saliency * ink).sum() / saliency.sum() / ink.mean())
    pictures.save(output, "digits", pictures.tiled(x_test[:20], columns=10))
    pictures.save(output, "saliency", pictures.tiled(saliency[:20], columns=10))
    names = ("accuracy", "without_salient", "without_random")
    return {**dict(zip(names, accuracies)), "focus": focus, "saliency": saliency}


def main() -> None:
    result = run(**pictures.arguments(__doc__, epochs=12))
    print("accuracy {accuracy:.3f}; without 5 salient pixels {without_salient:.3f}, without 5 others "
          "{without_random:.3f}; {focus:.2f} times as much saliency on ink as its area".format(**result))  # fmt: skip


if __name__ == "__main__":
    main()
