"""Style transfer: the content of one photograph with the colours and textures of another.

The picture is an input of the graph. L-BFGS (SciPy's) changes it until the deep features look like the content's,
the features' correlations (their Gram matrices) like the style's, and neighbouring pixels like each other. Even
random filters are features enough for that, so nothing is trained or downloaded.

    python examples/gradients/style_transfer.py --size 64 --iterations 10 --output pictures/
"""

from __future__ import annotations

import numpy as np
import pictures
from scipy.optimize import fmin_l_bfgs_b

import kcore as keras
from kcore import backend as K
from kcore.layers import AveragePooling2D, Conv2D, Input
from kcore.models import Model

CONTENT_WEIGHT, STYLE_WEIGHT, TOTAL_VARIATION_WEIGHT = 30.0, 100.0, 20.0
CONTENT_LAYER = "block2_conv"
STYLE_LAYERS = ("block1_conv", "block2_conv", "block3_conv")


def features(input_tensor):
    """A network of random filters over a given tensor."""
    x = Input(tensor=input_tensor)
    model_input = x
    for block, filters in enumerate((16, 24, 32), start=1):
        name = f"block{block}_conv"
        x = Conv2D(filters, (3, 3), activation="relu", padding="same", name=name, kernel_initializer="he_normal")(x)
        x = AveragePooling2D((2, 2), name=f"block{block}_pool")(x)
    return Model(model_input, x)


def gram_matrix(x):
    """How strongly each two feature maps of (height, width, channels) occur together, per pixel."""
    height, width, _ = K.int_shape(x)
    features = K.batch_flatten(K.permute_dimensions(x, (2, 0, 1)))
    return K.dot(features, K.transpose(features)) / float(height * width)


def style_loss(style, combination):
    return K.mean(K.square(gram_matrix(style) - gram_matrix(combination)))


def content_loss(base, combination):
    return K.mean(K.square(combination - base))


def total_variation_loss(x):
    a = K.square(x[:, :-1, :-1, :] - x[:, 1:, :-1, :])
    b = K.square(x[:, :-1, :-1, :] - x[:, :-1, 1:, :])
    return K.mean(K.pow(a + b + K.epsilon(), 1.25))


def losses_of(content, style):
    """A function from a picture to the total loss, its gradient, and the three parts."""
    base_image = K.variable(content[None])
    style_image = K.variable(style[None])
    combination_image = K.placeholder((1, *content.shape))
    model = features(K.concatenate([base_image, style_image, combination_image], axis=0))
    outputs_dict = {layer.name: layer.output for layer in model.layers}

    base, _, combination = (outputs_dict[CONTENT_LAYER][i] for i in range(3))
    content_part = CONTENT_WEIGHT * content_loss(base, combination)
    style_part = K.variable(0.0)
    for layer_name in STYLE_LAYERS:
        layer_features = outputs_dict[layer_name]
        part = style_loss(layer_features[1], layer_features[2])
        style_part = style_part + STYLE_WEIGHT / len(STYLE_LAYERS) * part
    variation = TOTAL_VARIATION_WEIGHT * total_variation_loss(combination_image)
    loss = content_part + style_part + variation
    grads = K.gradients(loss, combination_image)[0]
    return K.function([combination_image], [loss, grads, content_part, style_part, variation])


class Evaluator:
    """SciPy asks for the loss and the gradients one after the other; computing both at once and keeping the
    gradients saves half of the work."""

    def __init__(self, f_outputs, shape):
        self.f_outputs = f_outputs
        self.shape = shape

    def loss(self, x):
        outs = self.f_outputs([x.reshape(self.shape)])
        self.grad_values = outs[1].flatten().astype("float64")
        return float(outs[0])

    def grads(self, x):
        return self.grad_values


def run(size: int = 32, iterations: int = 3, output: str | None = None) -> dict:
    keras.utils.set_random_seed(1)
    content, style = (pictures.photo(name, size) for name in ("china", "flower"))
    f_outputs = losses_of(content, style)
    evaluator = Evaluator(f_outputs, (1, *content.shape))
    x = content.flatten().astype("float64")
    parts = [[float(part) for part in f_outputs([x.reshape(evaluator.shape)])[2:]]]
    losses = [evaluator.loss(x)]
    for _ in range(iterations):
        x, loss, _ = fmin_l_bfgs_b(evaluator.loss, x, fprime=evaluator.grads, bounds=[(0, 1)] * x.size, maxiter=5)
        losses.append(float(loss))
    parts.append([float(part) for part in f_outputs([x.reshape(evaluator.shape)])[2:]])
    image = x.reshape(content.shape)
    for name, picture in (("content", content), ("style", style), ("combination", image)):
        pictures.save(output, name, picture)
    return {"losses": np.array(losses), "parts": np.array(parts), "image": image}


def main() -> None:
    result = run(**pictures.arguments(__doc__, size=32, iterations=3))
    print("losses", " -> ".join(f"{loss:.3f}" for loss in result["losses"]))
    for name, first, last in zip(("content", "style", "variation"), *result["parts"]):
        print(f"  {name:9s} {first:.3f} -> {last:.3f}")


if __name__ == "__main__":
    main()
