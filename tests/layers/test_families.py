"""Core, merge, embedding, noise and activation layers: what they compute, their configurations, their errors."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore import layers
from kcore.layers import Input
from kcore.models import Model
from kcore.utils import custom_object_scope


def run(layer, *arrays, training=0, **call):
    """The layer's output for these arrays."""
    inputs = [Input(batch_shape=(None, *a.shape[1:]), dtype=str(a.dtype)) for a in arrays]
    y = layer(inputs if len(inputs) > 1 else inputs[0], **call)
    model = Model(inputs, y)
    assert model.output_shape == layer.output_shape
    values = K.function([*inputs, K.learning_phase()], model.outputs)([*arrays, training])
    return values[0] if len(values) == 1 else values


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


LAYERS = [
    (layers.Dense(3, activation="relu", kernel_regularizer="l2", kernel_constraint="max_norm"), (None, 4)),
    (layers.Activation("tanh"), (None, 4)),
    (layers.Masking(1.0), (None, 3, 4)),
    (layers.Dropout(0.3, noise_shape=(None, 1), seed=2), (None, 4)),
    (layers.SpatialDropout1D(0.3), (None, 3, 4)),
    (layers.SpatialDropout2D(0.3, data_format="channels_first"), (None, 2, 3, 4)),
    (layers.SpatialDropout3D(0.3), (None, 2, 3, 4, 2)),
    (layers.Reshape((2, -1)), (None, 4)),
    (layers.Permute((2, 1)), (None, 3, 4)),
    (layers.Flatten("channels_first"), (None, 3, 4)),
    (layers.RepeatVector(3), (None, 4)),
    (layers.ActivityRegularization(0.1, 0.2), (None, 4)),
    (layers.Embedding(5, 2, mask_zero=True, input_length=4), (None, 4)),
    (layers.BatchNormalization(axis=1, momentum=0.5, scale=False), (None, 3, 4)),
    (layers.GaussianNoise(0.5), (None, 4)),
    (layers.GaussianDropout(0.5), (None, 4)),
    (layers.AlphaDropout(0.5), (None, 4)),
    (layers.LeakyReLU(0.1), (None, 4)),
    (layers.PReLU(shared_axes=[1]), (None, 3, 4)),
    (layers.ELU(0.5), (None, 4)),
    (layers.ThresholdedReLU(0.5), (None, 4)),
    (layers.Softmax(axis=1), (None, 3, 4)),
    (layers.ReLU(6.0, 0.1, 0.2), (None, 4)),
    (layers.Concatenate(axis=1), [(None, 3), (None, 4)]),
    (layers.Dot(axes=(1, 1), normalize=True), [(None, 4), (None, 4)]),
    (layers.Add(), [(None, 4), (None, 4)]),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[type(layer).__name__ for layer, _ in LAYERS])
def test_a_layer_made_from_its_configuration_is_equal(layer, shape):
    config = layers.serialize(layer)
    again = layers.deserialize(config)
    assert layers.serialize(again) == config
    inputs = [Input(batch_shape=s) for s in (shape if isinstance(shape, list) else [shape])]
    y = again(inputs if len(inputs) > 1 else inputs[0])
    assert again.compute_output_shape(shape) == y._keras_shape == y.shape


def test_unknown_layers_list_the_known_ones():
    with pytest.raises(ValueError, match="Unknown layer: Dens. Did you mean 'Dense'.*Known: .*Activation"):
        layers.deserialize({"class_name": "Dens", "config": {}})


def test_custom_layers_are_found_by_name():
    class Mine(layers.Layer):
        pass

    config = {"class_name": "Mine", "config": {"name": "m"}}
    assert layers.deserialize(config, custom_objects={"Mine": Mine}).name == "m"
    with custom_object_scope({"Mine": Mine}):
        assert isinstance(layers.deserialize(config), Mine)


# --- core -----------------------------------------------------------------------------------------------------------


def test_dense_is_the_formula_on_any_rank():
    layer = layers.Dense(3, activation="relu", bias_initializer="ones")
    x = data(2, 5, 4)
    y = run(layer, x)
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(y, np.maximum(x @ kernel + bias, 0), rtol=1e-5, atol=1e-6)


def test_dropout_acts_in_training_only_and_keeps_the_mean():
    x = np.ones((50, 100), "float32")
    layer = layers.Dropout(0.25, seed=1)
    np.testing.assert_array_equal(run(layer, x, training=0), x)
    y = run(layers.Dropout(0.25, seed=1), x, training=1)
    assert set(np.unique(y.round(4))) == {np.float32(0.0), np.float32(1.3333)}
    assert abs(y.mean() - 1) < 0.03


def test_dropout_can_be_told_the_phase():
    x = np.ones((5, 10), "float32")
    np.testing.assert_array_equal(run(layers.Dropout(0.5), x, training=1) != 1, True)
    inputs = Input((10,))
    y = layers.Dropout(0.5)(inputs, training=False)
    np.testing.assert_array_equal(K.function([inputs, K.learning_phase()], [y])([x, 1])[0], x)


def test_spatial_dropout_drops_whole_maps():
    y = run(layers.SpatialDropout2D(0.5, seed=3), np.ones((4, 3, 3, 8), "float32"), training=1)
    assert np.all(y == y[:, :1, :1])
    assert {0.0, 2.0} == set(np.unique(y))


def test_reshape_checks_sizes():
    assert run(layers.Reshape((-1, 2)), data(2, 3, 4)).shape == (2, 6, 2)
    with pytest.raises(ValueError, match=r"reshape_\d.*total size of new array must be unchanged.*12 elements"):
        layers.Reshape((5, 2))(Input((3, 4)))
    with pytest.raises(ValueError, match="can only have one unknown dimension"):
        layers.Reshape((-1, -1))


def test_reshape_of_unknown_sizes():
    assert layers.Reshape((-1, 2))(Input((None, 4)))._keras_shape == (None, None, 2)


def test_flatten_puts_channels_last():
    x = data(2, 3, 4)
    np.testing.assert_array_equal(run(layers.Flatten("channels_first"), x), x.transpose(0, 2, 1).reshape(2, -1))
    with pytest.raises(ValueError, match='shape of the input to "Flatten".*not fully defined'):
        layers.Flatten()(Input((None, 4)))


def test_permute_takes_a_permutation():
    with pytest.raises(ValueError, match="`dims` orders the axes 1 to 2"):
        layers.Permute((0, 1))


# --- merge ----------------------------------------------------------------------------------------------------------


def test_elementwise_merging():
    a, b, c = data(2, 3, seed=1), data(2, 3, seed=2), data(2, 3, seed=3)
    np.testing.assert_allclose(run(layers.Add(), a, b, c), a + b + c, rtol=1e-6)
    np.testing.assert_allclose(run(layers.Average(), a, b, c), (a + b + c) / 3, rtol=1e-5)
    np.testing.assert_allclose(run(layers.Multiply(), a, b, c), a * b * c, rtol=1e-6)
    np.testing.assert_allclose(run(layers.Subtract(), a, b), a - b, rtol=1e-6)
    np.testing.assert_array_equal(run(layers.Maximum(), a, b, c), np.maximum(np.maximum(a, b), c))
    np.testing.assert_array_equal(run(layers.Minimum(), a, b, c), np.minimum(np.minimum(a, b), c))


def test_merging_broadcasts_and_adds_axes_behind_the_batch():
    a, b = data(2, 3, 4), data(2, 4)
    np.testing.assert_allclose(run(layers.Add(), a, b), a + b[:, None], rtol=1e-6)


def test_merge_functions_are_the_layers():
    x, y = Input((3,)), Input((3,))
    for name in ("add", "subtract", "multiply", "average", "maximum", "minimum"):
        assert getattr(layers, name)([x, y], name=f"{name}_here")._keras_history[0].name == f"{name}_here"
    assert layers.concatenate([x, y], axis=1)._keras_shape == (None, 6)
    assert layers.dot([x, y], axes=1, normalize=True)._keras_shape == (None, 1)


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (layers.Add, [(3,)], "list of at least 2 inputs. Got 1|should be called on a list"),
        (layers.Add, [(3,), (4,)], r"could not be broadcast together with shapes \(3,\) \(4,\)"),
        (layers.Subtract, [(3,), (3,), (3,)], "list of exactly 2 inputs. Got 3 inputs"),
        (layers.Concatenate, [(3, 2), (3, 2, 2)], "matching shapes except for the concat axis"),
        (layers.Concatenate, [(3, 2), (4, 2)], "matching shapes except for the concat axis"),
    ],
)
def test_inputs_that_cannot_be_merged(layer, shapes, message):
    with pytest.raises(ValueError, match=message):
        layer()([Input(s) for s in shapes] if len(shapes) > 1 else Input(shapes[0]))


def test_dot_checks_its_axes():
    with pytest.raises(ValueError, match="Dimension incompatibility 3 != 4"):
        layers.Dot(axes=1)([Input((3,)), Input((4,))])
    with pytest.raises(ValueError, match="two integers"):
        layers.Dot(axes=(1, 2, 3))
    with pytest.raises(TypeError, match="two integers"):
        layers.Dot(axes="1")


def test_masks_of_merged_inputs():
    a, b = Input((3, 2)), Input((3, 2))
    masked = [layers.Masking()(a), layers.Masking()(b)]
    values = np.zeros((1, 3, 2), "float32")
    values[0, 1:] = 1
    other = np.ones((1, 3, 2), "float32")
    other[0, 2] = 0

    def mask_of(layer, inputs):
        layer(inputs)
        return K.function([a, b], [layer.output_mask])([values, other])[0].tolist()

    assert mask_of(layers.Add(), masked) == [[False, True, False]]
    assert mask_of(layers.Concatenate(axis=-1), masked) == [[False, True, False]]
    assert mask_of(layers.Concatenate(axis=1), masked) == [[False, True, True, True, True, False]]
    assert mask_of(layers.Concatenate(axis=1), [masked[0], b]) == [[False, True, True, True, True, True]]
    dot = layers.Dot(axes=1)
    dot(masked)
    assert dot.output_mask is None


# --- embedding and normalisation ----------------------------------------------------------------------------------


def test_embedding_gathers_vectors():
    layer = layers.Embedding(5, 3)
    ids = np.array([[0, 4], [2, 2]], "int32")
    y = run(layer, ids)
    np.testing.assert_array_equal(y, layer.get_weights()[0][ids])


def test_embedding_checks_input_length():
    with pytest.raises(ValueError, match=r'"input_length" is 4, but received input has shape \(None, 5\)'):
        layers.Embedding(5, 3, input_length=4)(Input((5,)))


def test_batch_normalization_in_training_and_after():
    x = data(64, 3) * 4 + 2
    layer = layers.BatchNormalization(momentum=0.5, epsilon=1e-5)
    inputs = Input((3,))
    y = layer(inputs)
    f = K.function([inputs, K.learning_phase()], [y], layer.updates)
    normed = f([x, 1])[0]
    assert abs(normed.mean()) < 1e-5
    assert abs(normed.std() - 1) < 1e-3
    _, _, mean, variance = layer.get_weights()
    np.testing.assert_allclose(mean, x.mean(0) * 0.5, rtol=1e-4)
    np.testing.assert_allclose(variance, 0.5 + 0.5 * x.var(0) * 64 / (63 - 1e-5), rtol=1e-4)
    still = K.function([inputs, K.learning_phase()], [y])([x, 0])[0]
    np.testing.assert_allclose(still, (x - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5)


def test_batch_normalization_needs_a_known_axis():
    with pytest.raises(ValueError, match="Axis -1 of input tensor should have a defined dimension but the layer"):
        layers.BatchNormalization()(Input((3, None)))


def test_batch_normalization_for_test_only_adds_no_updates():
    layer = layers.BatchNormalization()
    layer(Input((3,)), training=False)
    assert layer.updates == []


def test_prelu_needs_known_sizes_where_it_learns():
    with pytest.raises(ValueError, match="one alpha per feature"):
        layers.PReLU()(Input((None, 3)))
    layers.PReLU(shared_axes=[1])(Input((None, 3)))


def test_relu_refuses_negative_arguments():
    with pytest.raises(ValueError, match="max_value of ReLU layer cannot be negative value: -1"):
        layers.ReLU(max_value=-1)
    with pytest.raises(ValueError, match="negative_slope of ReLU layer cannot be negative value: -1"):
        layers.ReLU(negative_slope=-1)


# --- native functions ---------------------------------------------------------------------------------------------


def test_functions_of_the_backend_become_one_node():
    x = data(3, 4)
    y = run(layers.Lambda(lambda t: np.tanh(t) * 2), x)
    np.testing.assert_allclose(y, np.tanh(x) * 2, rtol=1e-6)
    layer = layers.Lambda(lambda t: [np.abs(t), t.sum(axis=-1)])
    a, b = run(layer, x)
    np.testing.assert_allclose(a, np.abs(x))
    np.testing.assert_allclose(b, x.sum(-1), rtol=1e-5, atol=1e-6)
    assert layer.output_shape == [(None, 4), (None,)]


def test_layers_in_native_functions_keep_their_weights():
    class Native(layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight("kernel", (input_shape[-1], 2))
            self.built = True

        def call(self, x):
            return np.matmul(x, self.kernel)

    layer, x = Native(), data(3, 4)
    y = run(layer, x)
    np.testing.assert_allclose(y, x @ layer.get_weights()[0], rtol=1e-5)
    assert layer.kernel is layer.weights[0]


def test_the_first_error_of_a_function_stands():
    with pytest.raises(AttributeError, match="no attribute 'nothing_like_it'"):
        layers.Lambda(lambda t: t.nothing_like_it)(Input((2,)))
    with pytest.raises(TypeError, match=r"K.switch"):
        layers.Lambda(lambda t: t if K.sum(t) > 0 else -t)(Input((2,)))
