"""`TrainingMixin`: the training side of a `Model`. `fit`, `evaluate`, `predict` and their generator kin are here.

The public face of this room. Each method parses its arguments and hands well-typed values to the loops.
"""

from __future__ import annotations

import warnings
from typing import Any

from kcore.errors import ArgumentError, ArgumentTypeError, BatchSizeError, DataError
from kcore.training import generators, loops
from kcore.training.compiling import Compiling
from kcore.training.generators import GeneratorRun, Source, checked_steps, yields_batches
from kcore.training.loops import Cadence, Feed, FitRun
from kcore.utils.generic_utils import unpack_singleton


class TrainingMixin(Compiling):
    """Training, evaluation and prediction of a network."""

    # --- arrays -------------------------------------------------------------------------------------------------------

    def fit(self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = 1,
            callbacks: Any = None, validation_split: float = 0.0, validation_data: Any = None, shuffle: Any = True,
            class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0,
            steps_per_epoch: int | None = None, validation_steps: int | None = None, validation_freq: Any = 1,
            max_queue_size: int = 10, workers: int = 1, use_multiprocessing: bool = False,
            **kwargs: Any) -> Any:  # fmt: skip
        """Train for a number of epochs.

        Args:
            x: inputs: an array, a list, or a dictionary by input name; arrays are NumPy's, tables, data sets on disk
                (`h5py.Dataset`, `HDF5Matrix`) or tensors. Or a generator, a `Sequence` or a framework's data loader of
                batches.
            y: targets, likewise; not with generators.
            batch_size: samples per step, 32 when None; not with generators.
            epochs: number of the last epoch.
            verbose: 0 silent, 1 progress bar, 2 a line per epoch, "line" one line for the whole run.
            callbacks: list of callbacks.
            validation_split: this part of the data, its end before any shuffling, is kept for validation.
            validation_data: `(x, y)` or `(x, y, sample_weight)` for validation, or a generator, Sequence or loader.
            shuffle: True, False, or "batch" to shuffle blocks of `batch_size`.
            class_weight: dictionary from class to weight (for several outputs: a list, or a dictionary by name).
            sample_weight: weight per sample, or per time step (`sample_weight_mode="temporal"`).
            initial_epoch: number of the first epoch, from 0.
            steps_per_epoch: number of batches per epoch, for generators. Loaders are passed once when None. With
                arrays, each step is over all samples.
            validation_steps: the same for validation.
            validation_freq: validate every so many epochs, or after the epochs of a list.
            max_queue_size, workers, use_multiprocessing: how generators are read.

        Returns:
            The history: `.history["loss"]`, ... one entry per epoch.
        """
        epochs = _renamed(kwargs, "nb_epoch", "epochs", epochs)
        if kwargs:
            raise TypeError(f"fit() got unexpected arguments: {', '.join(map(repr, kwargs))}.")
        _check_verbose(verbose)
        if yields_batches(x):
            _check_generator(batch_size, y, sample_weight, validation_split)
            return self.fit_generator(
                x, steps_per_epoch, epochs, verbose, callbacks, validation_data, validation_steps, validation_freq,
                class_weight, max_queue_size, workers, use_multiprocessing, shuffle, initial_epoch,
            )  # fmt: skip
        if x is None and y is None and steps_per_epoch is None:
            raise ArgumentError("fit() needs data: x and y, or `steps_per_epoch` for a model whose data are tensors.")
        _check_epochs(epochs, initial_epoch)
        steps_per_epoch = checked_steps(steps_per_epoch, "steps_per_epoch")
        validation_steps = checked_steps(validation_steps, "validation_steps")
        cadence = Cadence(self._batch_size(batch_size, steps_per_epoch), steps_per_epoch)
        feed = self._training_feed(x, y, sample_weight, class_weight)
        cadence.check(feed.samples, "steps_per_epoch")
        self._check_stateful(feed, cadence)
        validation: Any
        if yields_batches(validation_data):
            validation = Source(
                validation_data, validation_steps, "validation_steps", workers, use_multiprocessing, max_queue_size
            )
            validation.length()
        else:
            feed, validation = self._validation(feed, validation_data, validation_split, cadence)
            validation = feed if validation is None and validation_steps else validation
            _check_validation_steps(steps_per_epoch, validation_steps, validation)
        if validation is not None:
            loops.should_run_validation(validation_freq, 0)
        self._make_train_function()
        self._steps.train(feed.weighted)  # a step of the user's own is traced now, and says what it logs
        run = loops.training_callbacks(self, callbacks, "samples" if steps_per_epoch is None else "steps", {
            "batch_size": cadence.batch_size, "epochs": epochs, "steps": steps_per_epoch, "samples": feed.samples,
            "verbose": verbose, "do_validation": validation is not None,
        })  # fmt: skip
        self._tell(feed, validation, verbose, run)
        return FitRun(
            self, feed, cadence, epochs, initial_epoch, shuffle, validation, validation_steps, validation_freq, run
        ).run()

    def _validation(self, feed: Feed, given: Any, part: float, cadence: Cadence) -> tuple[Feed, Feed | None]:
        """What is left for training, and the validation data if any."""
        if _is_given(given):
            x, y, weight = _validation_tuple(given)
            found = self._training_feed(x, y, weight)
            self._check_stateful(found, cadence)
            return feed, found
        if part and not 0.0 < part < 1.0:
            raise ArgumentError(f"validation_split is a part of the data between 0 and 1, got {part!r}.")
        if not part:
            return feed, None
        at = int((feed.samples or 0) * (1.0 - part))
        if at in (0, feed.samples):
            raise DataError(
                f"validation_split={part} of {feed.samples} samples leaves "
                f"{'nothing to train on' if at == 0 else 'nothing to validate on'}."
            )
        return feed.part(0, at), feed.part(at)

    def _tell(self, feed: Feed, validation: Any, verbose: Any, callbacks: Any) -> None:
        arrays = loops.validation_arrays(validation, len(self._feed_inputs)) if isinstance(validation, Feed) else []
        for callback in callbacks:
            callback.validation_data = arrays
        if verbose and verbose != "line" and isinstance(validation, Feed):
            from kcore.callbacks.reporting import say

            say(f"Train on {feed.samples} samples, validate on {validation.samples} samples")

    def evaluate(self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: int = 1,
                 sample_weight: Any = None, steps: int | None = None, callbacks: Any = None, max_queue_size: int = 10,
                 workers: int = 1, use_multiprocessing: bool = False) -> Any:  # fmt: skip
        """Loss and metrics on data, in test mode.

        Args:
            x, y, batch_size, sample_weight, callbacks: as of `fit`.
            verbose: 1 shows progress.
            steps: number of batches, for generators.
            max_queue_size, workers, use_multiprocessing: how generators are read.

        Returns:
            The loss, or a list of loss and metrics; `metrics_names` names them.
        """
        if yields_batches(x):
            _check_generator(batch_size, y, sample_weight, 0)
            return self.evaluate_generator(x, steps, callbacks, max_queue_size, workers, use_multiprocessing, verbose)
        steps = checked_steps(steps, "steps")
        if x is None and y is None and steps is None:
            raise ArgumentError("evaluate() needs data: x and y, or `steps` for a model whose data are tensors.")
        cadence = Cadence(self._batch_size(batch_size, steps), steps)
        feed = self._training_feed(x, y, sample_weight)
        cadence.check(feed.samples, "steps")
        self._check_stateful(feed, cadence)
        run = loops.configured(self, callbacks, {
            "batch_size": cadence.batch_size, "steps": steps, "samples": feed.samples, "verbose": verbose,
            "metrics": list(self.metrics_names),
        })  # fmt: skip
        return unpack_singleton(loops.evaluate_loop(self, feed, cadence, run, verbose))

    def predict(self, x: Any, batch_size: int | None = None, verbose: int = 0, steps: int | None = None,
                callbacks: Any = None, max_queue_size: int = 10, workers: int = 1,
                use_multiprocessing: bool = False) -> Any:  # fmt: skip
        """The outputs for the given inputs, in test mode.

        Args:
            x, batch_size, callbacks: as of `fit`.
            verbose: 1 shows progress.
            steps: number of batches, for generators.
            max_queue_size, workers, use_multiprocessing: how generators are read.

        Returns:
            An array, or a list of arrays for several outputs.
        """
        if yields_batches(x):
            _check_generator(batch_size, None, None, 0)
            return self.predict_generator(x, steps, callbacks, max_queue_size, workers, use_multiprocessing, verbose)
        steps = checked_steps(steps, "steps")
        if x is None and steps is None:
            raise ArgumentError("predict() needs data: x, or `steps` for a model whose data are tensors.")
        feed = self._input_feed(x)
        cadence = Cadence(self._batch_size(batch_size, steps), steps)
        cadence.check(feed.samples, "steps")
        if feed.samples is not None and cadence.batch_size is not None and feed.samples > cadence.batch_size:
            self._check_stateful(feed, cadence)
        run = loops.configured(self, callbacks, {
            "batch_size": cadence.batch_size, "steps": steps, "samples": feed.samples, "verbose": verbose,
        })  # fmt: skip
        return loops.predict_loop(self, feed, cadence, run, verbose)

    # --- generators ---------------------------------------------------------------------------------------------------

    def fit_generator(self, generator: Any, steps_per_epoch: int | None = None, epochs: int = 1, verbose: Any = 1,
                      callbacks: Any = None, validation_data: Any = None, validation_steps: int | None = None,
                      validation_freq: Any = 1, class_weight: Any = None, max_queue_size: int = 10, workers: int = 1,
                      use_multiprocessing: bool = False, shuffle: bool = True, initial_epoch: int = 0,
                      **kwargs: Any) -> Any:  # fmt: skip
        """Train on batches `(x, y)` or `(x, y, sample_weight)` of a generator, Sequence or loader; see `fit`."""
        epochs = _renamed(kwargs, "nb_epoch", "epochs", epochs)
        validation_steps = _renamed(kwargs, "nb_val_samples", "validation_steps", validation_steps)
        if kwargs:
            raise TypeError(f"fit_generator() got unexpected arguments: {', '.join(map(repr, kwargs))}.")
        _check_epochs(epochs, initial_epoch)
        _check_verbose(verbose)
        fetching = (workers, use_multiprocessing, max_queue_size)
        steps_per_epoch = checked_steps(steps_per_epoch, "steps_per_epoch")
        validation_steps = checked_steps(validation_steps, "validation_steps")
        source = Source(generator, steps_per_epoch, "steps_per_epoch", *fetching, bool(shuffle))
        _warn_of_duplicates(source)
        steps = source.length()
        validation: Any = None
        if yields_batches(validation_data):
            validation = Source(validation_data, validation_steps, "validation_steps", *fetching)
            validation.length()
        elif _is_given(validation_data):
            validation = self._training_feed(*_validation_tuple(validation_data))
        if validation is not None:
            loops.should_run_validation(validation_freq, 0)
        run = loops.training_callbacks(self, callbacks, "steps", {
            "epochs": epochs, "steps": steps, "verbose": verbose, "do_validation": validation is not None,
            "metrics": [*self.metrics_names, *(f"val_{name}" for name in self.metrics_names)],
        })  # fmt: skip
        if isinstance(validation, Feed):
            for callback in run:
                callback.validation_data = loops.validation_arrays(validation, len(self._feed_inputs))
        return GeneratorRun(self, source, epochs, initial_epoch, validation, validation_freq, class_weight, run).run()

    def evaluate_generator(self, generator: Any, steps: int | None = None, callbacks: Any = None,
                           max_queue_size: int = 10, workers: int = 1, use_multiprocessing: bool = False,
                           verbose: int = 0) -> Any:  # fmt: skip
        """Loss and metrics on a generator's batches; see `evaluate`. As in Keras 2, the loss is the last batch's."""
        source = Source(generator, checked_steps(steps, "steps"), "steps", workers, use_multiprocessing, max_queue_size)
        _warn_of_duplicates(source)
        return generators.evaluate(self, source, callbacks, verbose)

    def predict_generator(self, generator: Any, steps: int | None = None, callbacks: Any = None,
                          max_queue_size: int = 10, workers: int = 1, use_multiprocessing: bool = False,
                          verbose: int = 0) -> Any:  # fmt: skip
        """The outputs for a generator's batches (inputs alone, or the tuples of training); see `predict`."""
        source = Source(generator, checked_steps(steps, "steps"), "steps", workers, use_multiprocessing, max_queue_size)
        _warn_of_duplicates(source)
        return generators.predict(self, source, callbacks, verbose)

    # --- batch sizes --------------------------------------------------------------------------------------------------

    def _batch_size(self, batch_size: int | None, steps: int | None) -> int | None:
        """The batch size: given, that of the input layer, or 32; None when steps are counted."""
        if batch_size is not None and (not _is_integer(batch_size) or batch_size < 1):
            raise BatchSizeError(f"batch_size is a positive integer, got {batch_size!r}.")
        fixed = self.inputs[0].shape[0] if self.inputs and self.inputs[0].shape else None
        if fixed is not None:
            if batch_size is not None and batch_size != fixed:
                raise ArgumentError(
                    f"The `batch_size` argument value {batch_size} is incompatible with the specified batch size of "
                    f"your Input Layer: {fixed}. Leave it out, or make the layer without `batch_size`."
                )
            if steps is None:
                return int(fixed)
        if batch_size is None and steps is None:
            return 32
        return None if batch_size is None else int(batch_size)

    def _check_stateful(self, feed: Feed, cadence: Cadence) -> None:
        size = cadence.batch_size
        if self.stateful and size and feed.samples is not None and feed.samples % size:
            raise DataError(
                f"A stateful network takes a number of samples that the batch size divides: got {feed.samples} samples "
                f"and the batch size {size}."
            )


def _renamed(kwargs: dict[str, Any], old: str, new: str, value: Any) -> Any:
    if old not in kwargs:
        return value
    warnings.warn(f"The argument `{old}` is now called `{new}`.", stacklevel=4)
    return kwargs.pop(old)


def _check_epochs(epochs: Any, initial_epoch: Any) -> None:
    for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if not hasattr(value, "__index__") or isinstance(value, bool):
            raise ArgumentTypeError(f"{name} is an integer, got {value!r}.")


def _check_verbose(verbose: Any) -> None:
    if isinstance(verbose, str) and verbose != "line":
        raise ArgumentError(f"verbose is 0, 1, 2 or 'line', got {verbose!r}.")


def _is_integer(value: Any) -> bool:
    """Whether it counts something: an integer of any kind, NumPy's and `8.0` among them."""
    return not isinstance(value, (bool, str)) and (hasattr(value, "__index__") or getattr(value, "is_integer", bool)())


def _is_given(validation_data: Any) -> bool:
    return validation_data is not None and (not hasattr(validation_data, "__len__") or len(validation_data) > 0)


def _check_generator(batch_size: Any, y: Any, sample_weight: Any, validation_split: Any) -> None:
    """Raise ArgumentError for what cannot be given along with a generator."""
    if batch_size is not None:
        raise ArgumentError("The `batch_size` argument must not be specified when using a generator or Sequence.")
    if y is not None:
        raise ArgumentError("With a generator or Sequence the targets come from it, as (x, y); leave `y` out.")
    if sample_weight is not None:
        raise ArgumentError(
            "With a generator or Sequence the weights come from it, as (x, y, sample_weight); leave the argument out."
        )
    if validation_split:
        raise ArgumentError("A generator cannot be split: pass `validation_data` in place of `validation_split`.")


def _validation_tuple(given: Any) -> tuple[Any, Any, Any]:
    if isinstance(given, (list, tuple)) and len(given) == 2:
        return given[0], given[1], None
    if isinstance(given, (list, tuple)) and len(given) == 3:
        return given[0], given[1], given[2]
    raise DataError(
        "validation_data is a tuple (x_val, y_val) or (x_val, y_val, val_sample_weights), or a generator, Sequence or "
        f"loader of batches; got {type(given).__name__}"
        + (f" of {len(given)} item{'' if len(given) == 1 else 's'}." if hasattr(given, "__len__") else ".")
    )


def _check_validation_steps(steps: int | None, validation_steps: int | None, validation: Any) -> None:
    if validation_steps and steps is None:
        raise ArgumentError("`validation_steps` goes with `steps_per_epoch`: set both, or neither.")
    if steps and validation is not None and not validation_steps:
        raise ArgumentError("With `steps_per_epoch`, validation needs `validation_steps`.")


def _warn_of_duplicates(source: Source) -> None:
    if not source.ordered and source.processes and source.workers > 1:
        warnings.warn(
            "Using a generator with `use_multiprocessing=True` and multiple workers may duplicate your data. Please "
            "consider using the `keras.utils.Sequence` class.",
            stacklevel=3,
        )
