"""Keras 3's files as file formats: whole models, and weights alone."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore.errors import FileFormatError
from kcore.rest import at_rest
from kcore.saving.description import Description
from kcore.saving.formats import FileFormat, LoadOptions, WeightOptions
from kcore.saving.keras2 import weights as keras2_weights
from kcore.saving.keras3 import archive, describing, shards, weights
from kcore.saving.keras3 import model as model_file
from kcore.saving.source import Source, Target


class Keras3(FileFormat):
    """The `.keras` zip of Keras 3 and of tf.keras 2.12 and later."""

    name = "keras3"
    title = "Keras 3's .keras"
    extensions: ClassVar[tuple[str, ...]] = (".keras",)
    weight_extensions: ClassVar[tuple[str, ...]] = ()

    def recognizes(self, source: Source) -> bool:
        """A zip that holds a configuration or weights under Keras 3's names."""
        return archive.holds_model(source)

    def save_model(self, model: Any, target: Target, *, include_optimizer: bool = True) -> None:
        """Architecture, weights, training configuration and optimizer state."""
        model_file.save(model, target, include_optimizer=include_optimizer)

    def load_model(self, source: Source, options: LoadOptions) -> Any:
        """The model, compiled as it was unless told otherwise."""
        return model_file.load(source, options)

    def load_weights(self, model: Any, source: Source, options: WeightOptions) -> None:
        """The weights of a whole model's file."""
        contents = archive.read(source, config=False)
        assert contents.weights is not None
        with Source(contents.weights, name=source.name).hdf5() as group:
            weights.read(group, model, options)

    def describe(self, source: Source) -> Description:
        """What the archive holds."""
        return describing.describe_archive(source)


class Keras3Weights(FileFormat):
    """One HDF5 file of weights that Keras 2, tf.keras and Keras 3 read: all layouts, the arrays stored once."""

    name = "weights"
    title = "Keras 3's .weights.h5"
    weight_extensions: ClassVar[tuple[str, ...]] = (".weights.h5",)

    def recognizes(self, source: Source) -> bool:
        """HDF5 without Keras 2's list of layers, but with paths of Keras 3."""
        if not source.is_hdf5:
            return False
        try:
            with source.hdf5(allow_unsafe=True) as group:
                return weights.is_layout(group)
        except (FileFormatError, OSError, RuntimeError, ValueError, KeyError):
            return False

    def save_weights(self, model: Any, target: Target) -> None:
        """Keras 2's layout, with Keras 3's paths leading to the same arrays."""
        with target.hdf5() as group, at_rest():
            keras2_weights.write_layers(group, model.layers)
            weights.link(group, model)

    def load_weights(self, model: Any, source: Source, options: WeightOptions) -> None:
        """Layers are found by class and order, or by name where the file says them."""
        with source.hdf5() as group:
            weights.read(group, model, options)

    def describe(self, source: Source) -> Description:
        """The arrays of the file."""
        return describing.describe_weights(source, self.title)


class Keras3Shards(FileFormat):
    """Weights in several files, with a map of them: `.weights.json` and `_00000.weights.h5`, ..."""

    name = "weights_json"
    title = "Keras 3's sharded .weights.json"

    def recognizes(self, source: Source) -> bool:
        """JSON with a map of weights."""
        return shards.is_map(source)

    def load_weights(self, model: Any, source: Source, options: WeightOptions) -> None:
        """The weights of all shards, which lie beside the map."""
        shards.load(model, source, options)

    def describe(self, source: Source) -> Description:
        """The arrays of all shards."""
        return shards.describe(source)


KERAS3 = Keras3()
KERAS3_WEIGHTS = Keras3Weights()
KERAS3_SHARDS = Keras3Shards()
