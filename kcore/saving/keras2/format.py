"""Keras 2's HDF5 as a file format."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore.rest import at_rest
from kcore.saving.description import Description
from kcore.saving.formats import FileFormat, LoadOptions, StoredLayers, WeightOptions
from kcore.saving.keras2 import describing
from kcore.saving.keras2 import model as model_file
from kcore.saving.keras2 import weights as weights_file
from kcore.saving.source import Source, Target


class Keras2(FileFormat):
    """HDF5 as Keras 1, Keras 2 and tf.keras write it."""

    name = "keras2"
    title = "HDF5 of Keras 2"
    extensions: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")
    weight_extensions: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")

    def recognizes(self, source: Source) -> bool:
        """Any HDF5 file: what it lacks is said when it is read."""
        return source.is_hdf5

    def save_model(self, model: Any, target: Target, *, include_optimizer: bool = True) -> None:
        """Architecture, weights, training configuration and optimizer state."""
        model_file.save(model, target, include_optimizer=include_optimizer)

    def load_model(self, source: Source, options: LoadOptions) -> Any:
        """The model, compiled as it was unless told otherwise."""
        return model_file.load(source, options)

    def save_weights(self, model: Any, target: Target) -> None:
        """A group for each layer."""
        with target.hdf5() as group, at_rest():
            weights_file.write_layers(group, model.layers)

    def load_weights(self, model: Any, source: Source, options: WeightOptions) -> None:
        """By position or by name; from a file of weights or of a whole model."""
        with source.hdf5() as group:
            weights_file.load(group, model.layers, options)

    def read_layers(self, source: Source) -> StoredLayers:
        """The weights of a file of weights or of a whole model."""
        with source.hdf5() as group:
            return weights_file.read_stored(group)

    def describe(self, source: Source) -> Description:
        """Configurations, the names and shapes of arrays, and whatever leads out of the file."""
        return describing.describe(source)


KERAS2 = Keras2()
