"""`TensorBoard`: logs, histograms, images, embeddings and the graph of a model, as files that TensorBoard shows.

The callback decides what is written and when. The files' format is in `event_file`, the graph in `graph_def`.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.callbacks.base import Callback
from kcore.callbacks.event_file import EventFile, Histogram, image, scalar
from kcore.callbacks.graph_def import conceptual_graph, graph_def
from kcore.errors import ArgumentError
from kcore.utils.generic_utils import to_list
from kcore.utils.png import encode_png

#: Of a weight with several images so many are written, as in Keras 2.
_IMAGES = 3


class TensorBoard(Callback):
    """Writes a log directory for TensorBoard (`tensorboard --logdir=logs`). Needs nothing installed, on any backend.

    There are two runs in it, `train` and `validation`, whose curves share tags: `epoch_loss`, `epoch_accuracy`, ... by
    epoch, and with another `update_freq` also `batch_loss`, ... by the number of batches. All else is in `train`.

    Args:
        log_dir: folder of the two runs.
        histogram_freq: every so many epochs, histograms of weights (`dense_1/kernel_0`), and where the validation data
            are arrays, of layers' outputs for them (`dense_1_out`); 0 for none.
        batch_size: samples at a time for outputs and gradients; 32 by default.
        write_graph: whether the graph of layers is written.
        write_grads: whether histograms of the loss's gradients (`dense_1/kernel_0_grad`) go with those of weights. They
            need validation data that are arrays.
        write_images: whether weights of one to three axes are written as images too, with the histograms.
        embeddings_freq: every so many epochs, tables for the projector page; 0 for none.
        embeddings_layer_names: names of the layers they show; all Embedding layers by default.
        embeddings_metadata: name of the file of labels, or a dictionary from layer name to such names.
        embeddings_data: inputs whose embeddings are shown: an array, or a list of arrays. By default the layers'
            matrices themselves are.
        update_freq: "epoch", "batch", or after how many samples logs are written.
        **kwargs: `profile_batch` of other versions; there is no profile.
    """

    def __init__(self, log_dir: str | os.PathLike[str] = "./logs", histogram_freq: int = 0,
                 batch_size: int | None = None, write_graph: bool = True, write_grads: bool = False,
                 write_images: bool = False, embeddings_freq: int = 0,
                 embeddings_layer_names: Sequence[str] | None = None, embeddings_metadata: Any = None,
                 embeddings_data: Any = None, update_freq: str | int = "epoch", **kwargs: Any) -> None:  # fmt: skip
        super().__init__()
        if update_freq not in ("epoch", "batch") and (isinstance(update_freq, str) or not update_freq >= 1):
            raise ArgumentError(
                f"update_freq of TensorBoard is 'epoch', 'batch' or a number of samples, got {update_freq!r}."
            )
        if kwargs.pop("profile_batch", 0):
            warnings.warn("TensorBoard(profile_batch=...) writes no profile here.", stacklevel=2)
        if kwargs:
            raise TypeError(f"TensorBoard got unexpected arguments: {', '.join(kwargs)}.")
        if (write_grads or write_images) and not histogram_freq:
            warnings.warn("TensorBoard writes gradients and images along with histograms: set histogram_freq=1.",
                          stacklevel=2)  # fmt: skip
        self.log_dir = log_dir
        self.histogram_freq = histogram_freq
        self.batch_size = batch_size or 32
        self.write_graph = write_graph
        self.write_grads = write_grads
        self.write_images = write_images
        self.embeddings_freq = embeddings_freq
        self.embeddings_layer_names = embeddings_layer_names
        self.embeddings_metadata = embeddings_metadata or {}
        self.embeddings_data = embeddings_data
        self.update_freq: Any = 1 if update_freq == "batch" else update_freq
        self.idle_hooks = (TensorBoard.on_batch_end,) if update_freq == "epoch" else ()
        self.samples_seen = 0
        self.samples_seen_at_last_write = 0
        self.batches_seen = 0
        self._next_epoch = 0
        self._writers: dict[str, EventFile] = {}
        self._functions: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Begin new files."""
        self.model = model
        self._functions = {}
        self._close()
        if self.write_graph:
            self._writer("train").graph(graph_def(model))
            self._writer("train").summaries(conceptual_graph(model), 0)
            self._writer("train").flush()

    def _writer(self, run: str) -> EventFile:
        if run not in self._writers:
            self._writers[run] = EventFile(Path(self.log_dir) / run)
        return self._writers[run]

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def get_state(self) -> dict[str, Any]:
        """What was seen, and the epoch that comes next."""
        return self._get("samples_seen", "samples_seen_at_last_write", "batches_seen", "_next_epoch")

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on; epochs that were written after the state was kept are marked as void."""
        super().set_state(state)
        if self.update_freq == "epoch":  # steps that count batches would be taken for epochs; they are written again
            for run in ("train", "validation"):
                if (Path(self.log_dir) / run).is_dir():
                    self._writer(run).starts_at(self._next_epoch)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Write the batch's logs if it is time."""
        logs = {} if logs is None else logs
        if self.update_freq == "epoch":
            return
        self.samples_seen += logs.get("size", 1)
        if self.samples_seen - self.samples_seen_at_last_write >= self.update_freq:
            self._write_logs(logs, "batch_", self.batches_seen)
            self.samples_seen_at_last_write = self.samples_seen
        self.batches_seen += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the logs, and histograms, images and embeddings if it is time."""
        self._write_logs(logs or {}, "epoch_", epoch)
        self._next_epoch = epoch + 1
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._writer("train").summaries(self._weight_summaries(), epoch)
            self._writer("train").summaries(self._data_summaries(), epoch)
            self._writer("train").flush()
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings()

    def on_train_end(self, logs: Any = None) -> None:
        """Close the files."""
        self._close()

    def _write_logs(self, logs: Any, prefix: str, step: int) -> None:
        for name, value in logs.items():
            if name not in ("batch", "size") and np.size(value) == 1:
                writer = self._writer("validation" if name.startswith("val_") else "train")
                tag = prefix + name.removeprefix("val_")
                writer.summaries([scalar(tag, float(np.asarray(value).reshape(())))], step)
        for writer in self._writers.values():
            writer.flush()

    # --- weights ------------------------------------------------------------------------------------------------------

    def _weight_summaries(self) -> Iterator[bytes]:
        """Histograms of all weights, and images where wanted."""
        for layer in self.model.layers:
            for weight, value in zip(layer.weights, K.batch_get_value(layer.weights), strict=True):
                histogram = Histogram()
                histogram.add(value)
                yield histogram.summary(_tag(weight))
                if self.write_images:
                    images = [] if value.size == 0 else weight_images(value)
                    for i, pixels in enumerate(images[:_IMAGES]):
                        yield image(f"{_tag(weight)}/image/{i}", encode_png(pixels), pixels.shape)

    # --- outputs and gradients ----------------------------------------------------------------------------------------

    def _data_summaries(self) -> list[bytes]:
        """Histograms of layers' outputs and of gradients, over the validation data where those are arrays."""
        if not self.validation_data:
            if self.write_grads:
                raise ArgumentError(
                    "TensorBoard(write_grads=True) needs validation data that are arrays, not a generator: pass them "
                    "to fit(validation_data=...)."
                )
            return []
        outputs = self._output_tensors()
        histograms = {tag: Histogram() for tag in outputs}
        inputs = self.model._feed_inputs
        compute = self._function("outputs", inputs, outputs)
        for batch in self._batches(self.validation_data[: len(inputs)]):
            for histogram, value in zip(histograms.values(), compute(batch), strict=True):
                histogram.add(value)
        if self.write_grads:
            histograms.update(self._gradient_histograms())
        return [histogram.summary(tag) for tag, histogram in histograms.items()]

    def _output_tensors(self) -> dict[str, Any]:
        """The outputs of layers that the model calls once, by tag."""
        found = {}
        for layer in self.model.layers:
            tensors = self._outputs_of(layer)
            found.update({f"{layer.name}_out{f'_{i}' if len(tensors) > 1 else ''}": x for i, x in enumerate(tensors)})
        return {tag: x for tag, x in found.items() if not x.spec.sparse}

    def _outputs_of(self, layer: Any) -> list[Any]:
        """The results of a layer's call in the model; none where there are several calls."""
        if not self.model._is_graph_network:
            return []
        own = {id(node) for level in self.model._nodes_by_depth.values() for node in level}
        calls = [node for node in layer._inbound_nodes if id(node) in own]
        return calls[0].output_tensors if len(calls) == 1 else []

    def _gradient_histograms(self) -> dict[str, Histogram]:
        model = self.model
        steps = model._compiled()
        weights = list(model._collected_trainable_weights)
        feeds = steps.feeds(steps.all_weighted())
        if "gradients" not in self._functions:
            gradients = model.optimizer.get_gradients(model.total_loss, weights)
            self._function("gradients", feeds, dict(enumerate(gradients)))
        histograms = {f"{_tag(w)}_grad": Histogram() for w in weights}
        for batch in self._batches(_shaped_weights(self.validation_data, feeds, len(model._feed_inputs))):
            for histogram, value in zip(histograms.values(), self._functions["gradients"](batch), strict=True):
                histogram.add(value)
        return histograms

    def _function(self, name: str, inputs: Sequence[Any], outputs: dict[Any, Any]) -> Any:
        if name not in self._functions:
            self._functions[name] = K.function(list(inputs), list(outputs.values()), name=f"tensorboard_{name}")
        return self._functions[name]

    def _batches(self, arrays: Sequence[Any]) -> Iterator[list[Any]]:
        for start in range(0, arrays[0].shape[0], self.batch_size):
            yield [a[start : start + self.batch_size] for a in arrays]

    # --- embeddings ---------------------------------------------------------------------------------------------------

    def _write_embeddings(self) -> None:
        """The layers' outputs or matrices as tables, and the file that tells the projector page of them."""
        names = self.embeddings_layer_names or [
            layer.name for layer in self.model.layers if type(layer).__name__ == "Embedding"
        ]
        if self.embeddings_data is None:
            tables = {name: self.model.get_layer(name).get_weights()[0] for name in names}
        else:
            outputs = {name: x for name in names for x in self._outputs_of(self.model.get_layer(name))[:1]}
            compute = self._function("embeddings", self.model._feed_inputs, outputs)
            parts = [compute(batch) for batch in self._batches([np.asarray(a) for a in to_list(self.embeddings_data)])]
            tables = {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(outputs)}
        folder = Path(self.log_dir) / "train"
        entries = []
        for name, table in tables.items():
            path = f"keras_embedding_{name.replace('/', '_')}.tsv"
            np.savetxt(folder / path, table.reshape(len(table), -1), fmt="%.9g", delimiter="\t")
            entries.append(self._projector_entry(name, path))
        (folder / "projector_config.pbtxt").write_text("".join(entries), encoding="utf-8")

    def _projector_entry(self, name: str, path: str) -> str:
        given = self.embeddings_metadata
        metadata = given if isinstance(given, str) else given.get(name)
        lines = [f"tensor_name: {json.dumps(f'{name}_embedding')}", f"tensor_path: {json.dumps(path)}"]
        lines += [f"metadata_path: {json.dumps(os.fspath(metadata))}"] if metadata else []
        return "embeddings {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _tag(weight: Any) -> str:
    return str(weight.name).replace(":", "_")


def _shaped_weights(arrays: Sequence[Any], feeds: Sequence[Any], inputs: int) -> list[Any]:
    """Sample weights that nobody gave are ones for each sample; where they are per time step, one for each of those."""
    outputs = (len(feeds) - inputs) // 2
    shaped = list(arrays)
    for i in range(inputs + outputs, len(feeds)):
        if K.ndim(feeds[i]) == 2 and np.ndim(arrays[i]) == 1:
            shaped[i] = np.repeat(arrays[i][:, np.newaxis], arrays[i - outputs].shape[1], axis=1)
    return shaped


def weight_images(value: np.ndarray) -> list[np.ndarray]:
    """A weight as grey images, uint8 of shape (height, width); none for more than three axes.

    A matrix lies on its side; of three axes each slice along the last is an image (the first, for channels_first).
    Values from 0 up become black to white; where some are negative, 0 is grey.

    >>> [image.shape for image in weight_images(np.zeros((5, 2)))]
    [(2, 5)]
    """
    value = np.squeeze(value)
    if value.ndim == 2:
        maps = [value.T if value.shape[0] > value.shape[1] else value]
    elif value.ndim == 3:
        maps = list(np.moveaxis(value, -1, 0) if K.image_data_format() == "channels_last" else value)
    elif value.ndim == 1:
        maps = [value[:, np.newaxis]]
    else:
        return []
    return [_grey(x) for x in maps]


def _grey(x: np.ndarray) -> np.ndarray:
    x = np.nan_to_num(np.asarray(x, "float64"), posinf=0.0, neginf=0.0)
    low, largest = x.min(), np.abs(x).max()
    scale, middle = (255.0, 0.0) if low >= 0 else (127.0, 128.0)
    return np.clip(x * (scale / largest) + middle if largest else x + middle, 0, 255).astype("uint8")
