"""Filter visualisation: the picture that a convolutional filter likes best.

Starting from grey noise, gradient ascent in the *input* maximises the mean activation of one filter at a time. The
script is written for `import keras`, as Keras 2 programs are, and runs unmodified on kcore:

    python -m kcore examples/gradients/filter_visualization.py --filters 8 --output pictures/
"""

import keras
import numpy as np
import pictures
from keras import backend as K
from keras.layers import AveragePooling2D, Conv2D, Dense, GlobalAveragePooling2D
from keras.models import Sequential

STEP = 0.5


def convnet(images):
    model = Sequential()
    model.add(Conv2D(8, (3, 3), activation="elu", name="conv1", input_shape=images.shape[1:]))
    model.add(Conv2D(16, (3, 3), activation="elu", name="conv2"))
    model.add(AveragePooling2D((2, 2)))
    model.add(Conv2D(16, (3, 3), activation="elu", name="conv3"))
    model.add(GlobalAveragePooling2D())
    model.add(Dense(2, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def normalize(x):
    """The gradient, scaled to a root mean square of 1: the ascent walks at the same pace in flat and steep places."""
    return x / (K.sqrt(K.mean(K.square(x))) + K.epsilon())


def maximize(model, layer_name, filter_index, steps):
    """Gradient ascent; returns the picture and the filter's mean activation at the start and at the end."""
    layer_dict = {layer.name: layer for layer in model.layers}
    layer_output = layer_dict[layer_name].output
    input_img = model.layers[0].input

    loss = K.mean(layer_output[:, :, :, filter_index])
    grads = normalize(K.gradients(loss, input_img)[0])
    iterate = K.function([input_img, K.learning_phase()], [loss, grads])

    rng = np.random.RandomState(filter_index)
    image = 0.5 + 0.1 * rng.uniform(-1, 1, (1, *K.int_shape(input_img)[1:]))
    first = iterate([image, 0])[0]
    for _ in range(steps):
        grads_value = iterate([image, 0])[1]
        image = np.clip(image + grads_value * STEP / steps, 0, 1)
    return image[0], float(first), float(iterate([image, 0])[0])


def run(epochs=5, filters=6, steps=20, output=None):
    keras.utils.set_random_seed(1)
    x, y = pictures.patches([pictures.photo(name, 64) for name in ("china", "flower")], size=12, count=512)
    model = convnet(x)
    accuracy = model.fit(x, y, batch_size=32, epochs=epochs, verbose=0).history["accuracy"][-1]
    found = [maximize(model, "conv3", index, steps) for index in range(filters)]
    images, before, after = (np.array(column) for column in zip(*found))
    pictures.save(output, "filters", pictures.tiled(images, columns=min(8, filters)))
    return {"accuracy": accuracy, "before": before, "after": after, "images": images}


def main():
    result = run(**pictures.arguments(__doc__, epochs=5, filters=6, steps=20))
    activations = (f"{before:.3f} -> {after:.3f}" for before, after in zip(result["before"], result["after"]))
    print(f"accuracy {result['accuracy']:.3f}; mean activations", ", ".join(activations))


if __name__ == "__main__":
    main()
