"""Model kinds: dense, convolutional and normalising layers, one after the other."""

from __future__ import annotations

from kinds import GONE, NO_CPU_NCHW, classes, kind, package

IMAGE = (6, 6, 3)


def chain(keras, *layers, **compile_arguments):
    """A Sequential model of the layers, compiled."""
    model = keras.models.Sequential(list(layers))
    compile_arguments.setdefault("optimizer", "sgd")
    compile_arguments.setdefault("loss", "mse")
    model.compile(**compile_arguments)
    return model


@kind([(5,)], [classes(3)])
def dense(keras):
    L = keras.layers
    return chain(keras, L.Dense(8, activation="tanh", input_shape=(5,)), L.Dense(6, use_bias=False),
                 L.Activation("relu"), L.Dense(3, activation="softmax"),
                 optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])  # fmt: skip


@kind([(9, 4)], [(2,)])
def conv1d(keras):
    L = keras.layers
    return chain(keras, L.Conv1D(5, 3, padding="causal", activation="relu", input_shape=(9, 4)), L.MaxPooling1D(2),
                 L.ZeroPadding1D(1), L.Conv1D(4, 2, strides=2), L.UpSampling1D(2), L.Cropping1D(1),
                 L.GlobalAveragePooling1D(), L.Dense(2))  # fmt: skip


@kind([IMAGE], [(2,)])
def conv2d(keras):
    L = keras.layers
    return chain(keras, L.Conv2D(4, (3, 2), padding="same", activation="relu", input_shape=IMAGE),
                 L.MaxPooling2D(), L.Conv2D(5, 2, strides=(2, 1), use_bias=False), L.ZeroPadding2D(((1, 0), (0, 1))),
                 L.AveragePooling2D(2, padding="same"), L.Flatten(), L.Dense(2))  # fmt: skip


@kind([(4, 5, 4, 2)], [(2,)])
def conv3d(keras):
    L = keras.layers
    return chain(keras, L.Conv3D(3, (2, 3, 2), padding="same", activation="tanh", input_shape=(4, 5, 4, 2)),
                 L.MaxPooling3D(2), L.Flatten(), L.Dense(2))  # fmt: skip


@kind([IMAGE], [(2,)])
def conv_dilated(keras):
    L = keras.layers
    return chain(keras, L.Conv2D(4, 2, dilation_rate=(2, 2), input_shape=IMAGE), L.GlobalMaxPooling2D(), L.Dense(2))


@kind([IMAGE], [(2,)])
def conv_separable(keras):
    L = keras.layers
    return chain(keras, L.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu", input_shape=IMAGE),
                 L.Reshape((16, 5)), L.SeparableConv1D(4, 3, padding="same"), L.Flatten(), L.Dense(2))  # fmt: skip


@kind([IMAGE], [(2,)])
def conv_depthwise(keras):
    L = keras.layers
    return chain(keras, L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", input_shape=IMAGE),
                 L.GlobalAveragePooling2D(), L.Dense(2))  # fmt: skip


@kind([(3, 3, 2)], [(7, 7, 3)])
def conv_transposed(keras):
    L = keras.layers
    return chain(keras, L.Conv2DTranspose(4, 3, strides=2, activation="tanh", input_shape=(3, 3, 2)),
                 L.Conv2DTranspose(3, (2, 2), padding="same"))  # fmt: skip


@kind([(2, 3, 2, 2)], [(4, 6, 4, 2)])
def conv3d_transposed(keras):
    return chain(keras, keras.layers.Conv3DTranspose(2, 2, strides=2, input_shape=(2, 3, 2, 2)))


@kind([(6, 4)], [(2,)], absent={"keras3": GONE})
def locally_connected_1d(keras):
    L = keras.layers
    return chain(keras, L.LocallyConnected1D(3, 2, activation="tanh", input_shape=(6, 4)), L.Flatten(), L.Dense(2))


@kind([(4, 5, 2)], [(2,)], absent={"keras3": GONE})
def locally_connected_2d(keras):
    L = keras.layers
    return chain(keras, L.LocallyConnected2D(3, (2, 2), strides=(2, 1), input_shape=(4, 5, 2)), L.Flatten(), L.Dense(2))


@kind([IMAGE], [(2,)])
def batch_norm(keras):
    L = keras.layers
    return chain(keras, L.Conv2D(4, 2, input_shape=IMAGE), L.BatchNormalization(momentum=0.8, epsilon=1e-2),
                 L.Flatten(), L.BatchNormalization(scale=False), L.Dense(4), L.BatchNormalization(center=False),
                 L.Dense(2))  # fmt: skip


@kind([(4, 5, 3)], [(2,)])
def prelu(keras):
    L = keras.layers
    return chain(keras, L.PReLU(shared_axes=[1, 2], alpha_initializer="ones", input_shape=(4, 5, 3)), L.Flatten(),
                 L.Dense(6), L.PReLU(), L.Dense(2))  # fmt: skip


@kind([(5,)], [(4,)])
def activations(keras):
    L = keras.layers
    leaky = L.LeakyReLU(negative_slope=0.2) if package(keras) == "keras3" else L.LeakyReLU(alpha=0.2)
    return chain(keras, L.Dense(6, input_shape=(5,)), leaky, L.Dense(5, activation="selu"), L.ELU(alpha=0.7),
                 L.Dense(5, activation="hard_sigmoid"), L.Activation("softsign"), L.Dense(4, activation="softplus"),
                 L.ReLU(max_value=3.0), L.Dense(4, activation="exponential"), L.Softmax())  # fmt: skip


@kind([(5,)], [(2,)], absent={"keras3": GONE})
def thresholded_relu(keras):
    L = keras.layers
    return chain(keras, L.Dense(6, input_shape=(5,)), L.ThresholdedReLU(theta=0.3), L.Dense(2))


@kind([(3, 4, 4)], [(2,)])
def channels_first(keras):
    L = keras.layers
    first = {"data_format": "channels_first"}
    return chain(keras, L.ZeroPadding2D(1, input_shape=(3, 4, 4), **first), L.UpSampling2D(2, **first),
                 L.BatchNormalization(axis=1), L.Cropping2D(((1, 0), (2, 1)), **first), L.GlobalMaxPooling2D(**first),
                 L.Dense(2))  # fmt: skip


@kind([(3, 6, 6)], [(2,)], absent={"tf_keras": NO_CPU_NCHW, "keras3": NO_CPU_NCHW})
def channels_first_conv(keras):
    L = keras.layers
    first = {"data_format": "channels_first"}
    return chain(keras, L.Conv2D(4, 3, input_shape=(3, 6, 6), **first), L.MaxPooling2D(2, **first),
                 L.Conv2DTranspose(3, 2, **first), L.SeparableConv2D(3, 2, **first), L.Flatten(**first),
                 L.Dense(2))  # fmt: skip


@kind([(6,)], [(4, 2)])
def reshaping(keras):
    L = keras.layers
    return chain(keras, L.Dense(8, input_shape=(6,)), L.RepeatVector(3), L.Permute((2, 1)), L.Reshape((4, 6)),
                 L.Dense(2))  # fmt: skip


@kind([(4, 6)], [(2,)], random=True)
def dropout_noise(keras):
    L = keras.layers
    return chain(keras, L.Dropout(0.3, input_shape=(4, 6)), L.GaussianNoise(0.1), L.SpatialDropout1D(0.2),
                 L.GaussianDropout(0.1), L.AlphaDropout(0.1), L.Flatten(), L.Dense(2))  # fmt: skip


@kind([(5,)], [(3,)], absent={"tf_keras": GONE, "keras3": GONE})
def keras1_layers(keras):
    L = keras.layers
    return chain(keras, L.MaxoutDense(4, nb_feature=3, input_dim=5), L.Highway(activation="tanh"), L.Dense(3))
