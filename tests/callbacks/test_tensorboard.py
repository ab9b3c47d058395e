"""TensorBoard's files, read by the tensorboard package itself."""

from __future__ import annotations

import importlib
import io
import sys
import types
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kcore import backend as K
from kcore.callbacks import BackupAndRestore, LambdaCallback, TensorBoard
from kcore.callbacks.event_file import EventFile, Histogram, crc32c, record, scalar, varint
from kcore.callbacks.tensorboard import weight_images
from kcore.errors import ArgumentError
from kcore.layers import LSTM, Dense, Dropout, Embedding, Flatten, Input, TimeDistributed, add
from kcore.models import Model, Sequential
from kcore.utils.png import encode_png

sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("notf"))  # the package then needs no framework
accumulators = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
stub = importlib.import_module("tensorboard.compat.tensorflow_stub.pywrap_tensorflow")

RNG = np.random.default_rng(3)
X = RNG.normal(size=(20, 6)).astype("float32")
Y = RNG.normal(size=(20, 2)).astype("float32")


def read(folder, run="train"):
    """Everything in a run of a log directory."""
    guidance = dict.fromkeys(("scalars", "histograms", "images"), 0)
    return accumulators.EventAccumulator(str(folder / run), guidance).Reload()


def model():
    made = Sequential([Dense(3, activation="relu", input_shape=(6,)), Dropout(0.5), Dense(2)])
    made.compile("sgd", "mse", metrics=["mae"])
    return made


def fit(folder, *others, made=None, epochs=2, **kwargs):
    data = {"validation_split": 0.5} if kwargs.pop("validated", True) else {}
    board = TensorBoard(folder, **kwargs)
    made = made or model()
    return made, made.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, callbacks=[board, *others], **data)


def steps_and_values(events):
    return [e.step for e in events], [e.value for e in events]


# --- scalars ----------------------------------------------------------------------------------------------------------


def test_epochs_are_steps_and_training_and_validation_are_runs(tmp_path):
    _, history = fit(tmp_path)
    for run, prefix in (("train", ""), ("validation", "val_")):
        found = read(tmp_path, run)
        assert set(found.Tags()["scalars"]) == {"epoch_loss", "epoch_mae"}
        for name in ("loss", "mae"):
            steps, values = steps_and_values(found.Scalars(f"epoch_{name}"))
            assert steps == [0, 1]
            np.testing.assert_allclose(values, history.history[prefix + name], rtol=1e-6)


def test_no_validation_no_run(tmp_path):
    fit(tmp_path, validated=False)
    assert (tmp_path / "train").exists()
    assert not (tmp_path / "validation").exists()


@pytest.mark.parametrize(("update_freq", "steps"), [("batch", [0, 1, 2, 3, 4, 5]), (8, [1, 4]), (1000, [])])
def test_logs_of_batches_come_at_the_batches_seen(update_freq, steps, tmp_path):
    seen = []
    fit(tmp_path, LambdaCallback(on_batch_end=lambda batch, logs: seen.append(logs["loss"])), update_freq=update_freq)
    found = read(tmp_path)
    expected = {"epoch_loss", "epoch_mae", *(("batch_loss", "batch_mae") if steps else ())}
    assert set(found.Tags()["scalars"]) == expected
    if steps:
        assert steps_and_values(found.Scalars("batch_loss"))[0] == steps
        np.testing.assert_allclose(steps_and_values(found.Scalars("batch_loss"))[1], np.take(seen, steps), rtol=1e-6)
    assert steps_and_values(read(tmp_path, "validation").Scalars("epoch_loss"))[0] == [0, 1]


def test_by_epoch_it_does_not_listen_to_batches(tmp_path):
    from kcore.callbacks import CallbackList

    assert not CallbackList([TensorBoard(tmp_path)]).listens("train")
    assert CallbackList([TensorBoard(tmp_path, update_freq="batch")]).listens("train")

    class Own(TensorBoard):
        def on_batch_end(self, batch, logs=None):
            pass

    assert CallbackList([Own(tmp_path)]).listens("train")


def test_each_fit_has_a_file_of_its_own(tmp_path):
    board = TensorBoard(tmp_path / "new" / "folder")
    made = model()
    for _ in range(2):
        made.fit(X, Y, verbose=0, callbacks=[board])
    assert len(list((tmp_path / "new" / "folder" / "train").iterdir())) == 2


def test_a_run_that_goes_on_voids_what_came_after_the_backup(tmp_path):
    class KilledError(Exception):
        pass

    def end(epoch, logs):
        if epoch == 2:
            raise KilledError

    backup = {"backup_dir": tmp_path / "backup"}
    with pytest.raises(KilledError):  # the third epoch is in the file, and not in the backup
        fit(tmp_path / "logs", LambdaCallback(on_epoch_end=end), BackupAndRestore(**backup), epochs=4)
    fit(tmp_path / "logs", LambdaCallback(), BackupAndRestore(**backup), epochs=4)
    for run in ("train", "validation"):
        assert steps_and_values(read(tmp_path / "logs", run).Scalars("epoch_loss"))[0] == [0, 1, 2, 3]


# --- histograms, images -----------------------------------------------------------------------------------------------


def test_histograms_of_weights_outputs_and_gradients(tmp_path):
    made, _ = fit(tmp_path, histogram_freq=2, epochs=3, batch_size=4, write_grads=True)
    found = read(tmp_path)
    weights = {w.name.replace(":", "_"): w for w in made.weights}
    outputs = {f"{layer.name}_out": layer.output for layer in made.layers}
    assert set(found.Tags()["histograms"]) == {*weights, *outputs, *(f"{name}_grad" for name in weights)}
    for name, weight in weights.items():
        events = found.Histograms(name)
        assert [e.step for e in events] == [0, 2]
        value = K.get_value(weight)
        last = events[-1].histogram_value
        assert (last.num, round(last.sum, 4)) == (value.size, round(float(value.sum()), 4))
    validation = X[10:]
    for name, tensor in outputs.items():  # of the whole validation data, without dropout
        expected = K.function([made.input, K.learning_phase()], [tensor])([validation, 0])[0]
        last = found.Histograms(name)[-1].histogram_value
        np.testing.assert_allclose(
            [last.num, last.sum, last.min, last.max],
            [expected.size, expected.sum(), expected.min(), expected.max()], rtol=1e-4, atol=1e-5,
        )  # fmt: skip


def test_gradients_are_those_of_training(tmp_path):
    made = Sequential([Dense(2, input_shape=(6,))])
    made.compile("sgd", "mse")
    fit(tmp_path, made=made, histogram_freq=1, write_grads=True, epochs=1)
    gradient = K.function([made.input, made.targets[0]], K.gradients(K.mean((made.output - made.targets[0]) ** 2),
                          made.weights))([X[10:], Y[10:]])[1]  # fmt: skip
    found = read(tmp_path).Histograms(made.weights[1].name.replace(":", "_") + "_grad")[0].histogram_value
    np.testing.assert_allclose([found.min, found.max], [gradient.min(), gradient.max()], rtol=1e-4)


def test_histograms_of_models_with_weights_per_time_step(tmp_path):
    made = Sequential([LSTM(2, return_sequences=True, input_shape=(3, 2)), TimeDistributed(Dense(1))])
    made.compile("sgd", "mse", sample_weight_mode="temporal")
    x = X.reshape(20, 3, 2)
    made.fit(x, x[:, :, :1], verbose=0, validation_split=0.5,
             callbacks=[TensorBoard(tmp_path, histogram_freq=1, write_grads=True)])  # fmt: skip
    assert any(tag.endswith("_grad") for tag in read(tmp_path).Tags()["histograms"])


def test_images_of_weights(tmp_path):
    made, _ = fit(tmp_path, histogram_freq=1, write_images=True, epochs=1)
    found = read(tmp_path)
    kernel, bias = (w.name.replace(":", "_") for w in made.weights[:2])
    picture = found.Images(f"{kernel}/image/0")[0]
    pixels = np.asarray(Image.open(io.BytesIO(picture.encoded_image_string)))
    assert (picture.height, picture.width) == pixels.shape == (3, 6)
    np.testing.assert_array_equal(pixels, weight_images(K.get_value(made.weights[0]))[0])
    assert found.Images(f"{bias}/image/0")[0].height == 3


@pytest.mark.parametrize(("shape", "images"), [
    ((2, 5), [(2, 5)]), ((5, 2), [(2, 5)]), ((4,), [(4, 1)]), ((3, 4, 2), [(3, 4)] * 2), ((1, 4, 1, 3), [(3, 4)]),
    ((3, 3, 4, 2), []), ((1, 1), []),
])  # fmt: skip
def test_shapes_of_weight_images(shape, images):
    assert [image.shape for image in weight_images(np.ones(shape))] == images


def test_pictures_show_zero_as_black_or_grey():
    np.testing.assert_array_equal(weight_images(np.array([0.0, 0.5, 1.0]))[0][:, 0], [0, 127, 255])
    np.testing.assert_array_equal(weight_images(np.array([-2.0, 0.0, 2.0]))[0][:, 0], [1, 128, 255])
    assert weight_images(np.array([np.nan, np.inf, 0.0]))[0].max() == 0


@given(st.lists(st.floats(allow_nan=True, width=32), max_size=60))
def test_a_histogram_counts_every_finite_value(values):
    array = np.asarray(values, "float32")
    finite = array[np.isfinite(array)].astype("float64")
    histogram = Histogram()
    for part in np.array_split(array, 3):
        histogram.add(part)
    assert histogram.counts.sum() == finite.size
    limits = Histogram.LIMITS
    for value in finite:
        at = np.searchsorted(limits, value, side="right")
        assert histogram.counts[at] > 0
        assert at == 0 or limits[at - 1] <= value
        assert value < limits[at]


# --- graph, embeddings ------------------------------------------------------------------------------------------------


def test_the_graph_has_the_layers_as_nodes(tmp_path):
    inner = Sequential([Dense(4, input_shape=(6,)), Dense(6)], name="inner")
    shared = Dense(6, name="shared")
    x = Input((6,), name="in")
    made = Model(x, Dense(2, name="out")(add([shared(shared(x)), inner(x)], name="sum")))
    made.compile("sgd", "mse")
    fit(tmp_path, made=made)
    nodes = {node.name: node for node in read(tmp_path).Graph().node}
    first, second = (layer.name for layer in inner.layers)
    assert {name: list(node.input) for name, node in nodes.items()} == {
        "in": [], "shared": ["in"], "shared_call_2": ["shared"], f"inner/{first}_input": ["in"],
        f"inner/{first}": [f"inner/{first}_input"], f"inner/{second}": [f"inner/{first}"],
        "sum": ["shared_call_2", f"inner/{second}"], "out": ["sum"],
    }  # fmt: skip
    assert nodes["out"].op == "Dense"
    assert [d.size for d in nodes["out"].attr["_output_shapes"].list.shape[0].dim] == [-1, 2]
    assert nodes["out"].attr["parameters"].i == 14
    (configured,) = read(tmp_path).Tensors("keras")
    assert configured.tensor_proto.string_val[0].decode() == made.to_json()
    assert read(tmp_path).PluginTagToContent("graph_keras_model") == {"keras": b"1"}


def test_a_model_whose_graph_is_unknown_has_its_layers_still(tmp_path):
    class Own(Model):
        def __init__(self):
            super().__init__()
            self.dense = Dense(2, name="own_dense")

        def call(self, inputs):
            return self.dense(inputs)

    made = Own()
    made.compile("sgd", "mse")
    fit(tmp_path, made=made, histogram_freq=1, write_grads=True)
    assert [node.name for node in read(tmp_path).Graph().node] == ["own_dense"]


def test_no_graph_where_none_is_wanted(tmp_path):
    fit(tmp_path, write_graph=False)
    assert not read(tmp_path).Tags()["graph"]


def test_embeddings_are_tables_that_the_projector_finds(tmp_path):
    from google.protobuf import text_format

    config = importlib.import_module("tensorboard.plugins.projector.projector_config_pb2")
    words = RNG.integers(0, 9, size=(20, 3))
    made = Sequential([Embedding(9, 2, input_length=3, name="words"), Flatten(), Dense(2)])
    made.compile("sgd", "mse")
    board = TensorBoard(tmp_path, embeddings_freq=1, embeddings_data=words[:7], embeddings_metadata="labels.tsv",
                        batch_size=4)  # fmt: skip
    made.fit(words, Y, verbose=0, callbacks=[board])
    written = (tmp_path / "train" / "projector_config.pbtxt").read_text()
    (entry,) = text_format.Parse(written, config.ProjectorConfig()).embeddings
    assert (entry.tensor_name, entry.metadata_path) == ("words_embedding", "labels.tsv")
    table = np.loadtxt(tmp_path / "train" / entry.tensor_path, delimiter="\t")
    np.testing.assert_allclose(table, made.get_weights()[0][words[:7]].reshape(7, 6), rtol=1e-6)
    made.fit(words, Y, verbose=0, callbacks=[TensorBoard(tmp_path, embeddings_freq=1)])
    table = np.loadtxt(tmp_path / "train" / entry.tensor_path, delimiter="\t")
    np.testing.assert_allclose(table, made.get_weights()[0], rtol=1e-6)


# --- errors -----------------------------------------------------------------------------------------------------------


def test_without_validation_there_are_histograms_of_weights_and_no_gradients(tmp_path):
    made, _ = fit(tmp_path, histogram_freq=1, validated=False)
    assert len(read(tmp_path).Tags()["histograms"]) == len(made.weights)
    with pytest.raises(ArgumentError, match=r"write_grads=True\) needs validation data that are arrays"):
        fit(tmp_path, histogram_freq=1, write_grads=True, validated=False)


def test_arguments_of_other_versions():
    with pytest.raises(TypeError, match="unexpected arguments: profile_batches"):
        TensorBoard(profile_batches=2)
    with pytest.warns(UserWarning, match="no profile"):
        TensorBoard(profile_batch=2)
    TensorBoard(profile_batch=0)


@pytest.mark.parametrize("update_freq", ["samples", 0, -1])
def test_wrong_frequencies(update_freq):
    with pytest.raises(ArgumentError, match=r"update_freq.*'epoch', 'batch'"):
        TensorBoard(update_freq=update_freq)


def test_gradients_without_histograms_are_a_warning():
    with pytest.warns(UserWarning, match="histogram_freq=1"):
        TensorBoard(write_grads=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TensorBoard(write_grads=True, histogram_freq=1)


# --- the format -------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_checksums_and_records_are_those_of_the_package(data):
    assert crc32c(data) == stub.crc32c(data)
    framed = record(data)
    assert framed[12 : 12 + len(data)] == data
    assert int.from_bytes(framed[-4:], "little") == stub.masked_crc32c(data)
    assert int.from_bytes(framed[8:12], "little") == stub.masked_crc32c(framed[:8])


@given(st.integers(-(2**63), 2**63 - 1), st.text(max_size=20), st.floats(width=32, allow_nan=False))
def test_messages_are_read_as_they_were_written(step, tag, value):
    proto = importlib.import_module("tensorboard.compat.proto.event_pb2")
    tag = tag.encode("utf-8", "ignore").decode("utf-8")
    summary = importlib.import_module("tensorboard.compat.proto.summary_pb2").Summary.FromString(scalar(tag, value))
    assert [(v.tag, v.simple_value) for v in summary.value] == [(tag, value)]
    assert proto.Event.FromString(b"\x10" + varint(step)).step == step


def test_a_damaged_record_is_noticed(tmp_path):
    file = EventFile(tmp_path / "train")
    file.summaries([scalar("loss", 1.0)], 3)
    file.close()
    content = bytearray(file.path.read_bytes())
    assert steps_and_values(read(tmp_path).Scalars("loss")) == ([3], [1.0])
    content[-6] ^= 1
    file.path.write_bytes(content)
    assert not read(tmp_path).Tags()["scalars"]


@pytest.mark.parametrize("shape", [(2, 3), (1, 1), (4, 2, 1), (3, 5, 2), (3, 5, 3), (3, 5, 4)])
def test_png_files_hold_the_pixels(shape):
    pixels = RNG.integers(0, 256, size=shape).astype("uint8")
    found = np.asarray(Image.open(io.BytesIO(encode_png(pixels))))
    np.testing.assert_array_equal(found, pixels.squeeze(-1) if shape[-1:] == (1,) and len(shape) == 3 else pixels)


@pytest.mark.parametrize("pixels", [np.zeros((2, 2)), np.zeros((2, 0), "uint8"), np.zeros((2, 2, 5), "uint8")])
def test_what_is_no_image(pixels):
    with pytest.raises(ArgumentError, match="uint8 pixels of shape"):
        encode_png(pixels)
