"""Level 4: sparse tensors, native ones where the backend has them, dense ones in their place where it has none."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import backend as K
from kcore.sparse import SparseArray
from kcore_conformance.compare import Mismatch, same
from kcore_conformance.registry import check


def _matrix(rows: int, entries: int, columns: int = 4, seed: int = 0) -> tuple[SparseArray, np.ndarray]:
    """A sparse matrix of so many entries, one of them an explicit zero, and the dense one."""
    rng = np.random.default_rng(seed)
    flat = np.sort(rng.choice(rows * columns, entries, replace=False))
    values = rng.standard_normal(entries).astype("float32")
    values[:1] = 0
    sparse = SparseArray(np.stack(np.divmod(flat, columns), axis=1), values, (rows, columns))
    return sparse, sparse.toarray()


def _host(x: Any) -> np.ndarray:
    return x.toarray() if isinstance(x, SparseArray) else x


@check(4, "sparse")
def products_with_any_number_of_entries(backend: Any) -> None:
    x, w = K.placeholder((None, 4), sparse=True), K.variable(_matrix(4, 12, 3, seed=9)[1])
    f = K.function([x], [K.dot(x, w), K.dot(x, K.reshape(w, (1, 4, 3))), K.dot(K.transpose(w), K.variable(_SQUARE))])
    kernel = K.get_value(w)
    for rows, entries in ((3, 5), (3, 8), (2, 0), (3, 12), (0, 0)):
        sparse, dense = _matrix(rows, entries)
        product, of_rank_3, from_the_left = f([sparse])
        same(product, dense @ kernel, f"product with {entries} entries")
        same(of_rank_3, (dense @ kernel)[:, None], "product with a tensor of rank 3")
        same(from_the_left, kernel.T @ _SQUARE.toarray(), "product from the left")


_SQUARE = _matrix(4, 7, seed=3)[0]


@check(4, "sparse")
def gradients_flow_to_the_dense_operand(backend: Any) -> None:
    x, w = K.placeholder((None, 4), sparse=True), K.variable(_matrix(4, 12, 3, seed=9)[1])
    loss = K.sum(K.square(K.dot(x, w)))
    by_w, by_x = K.gradients(loss, [w, x])
    if by_x is not None:
        raise Mismatch("K.gradients by a sparse tensor is not None")
    (second,) = K.gradients(K.sum(K.square(by_w)), [w])
    f, kernel = K.function([x], [by_w, second]), K.get_value(w)
    for entries in (5, 0):
        sparse, dense = _matrix(3, entries)
        got, got_second = f([sparse])
        gram = 2 * dense.T @ dense
        same(got, gram @ kernel, "gradient")
        same(got_second, 2 * gram.T @ gram @ kernel, "second gradient")


@check(4, "sparse")
def results_stay_sparse(backend: Any) -> None:
    x, y = K.placeholder((None, 4), sparse=True), K.placeholder((None, 4), sparse=True)
    outputs = [K.concatenate([x, y], 0), K.concatenate([y, x, x], 1), K.cast(x, "int32"), K.square(x), x * 3.0, -x,
               K.tanh(x) / 2.0]  # fmt: skip
    if not all(K.is_sparse(out) for out in outputs) or K.is_sparse(K.concatenate([x, K.to_dense(y)], 0)):
        raise Mismatch("K.is_sparse: joined or mapped entry by entry, sparse tensors stay sparse, but not beside dense")
    f = K.function([x, y], [*outputs, K.to_dense(x), K.shape(x), K.concatenate([x, K.to_dense(y)], 0)])
    (a, dense_a), (b, dense_b) = _matrix(3, 5), _matrix(3, 7, seed=1)
    want = [np.concatenate([dense_a, dense_b]), np.concatenate([dense_b, dense_a, dense_a], 1),
            dense_a.astype("int32"), dense_a**2, dense_a * 3, -dense_a, np.tanh(dense_a) / 2, dense_a,
            np.asarray([3, 4], "int32"), np.concatenate([dense_a, dense_b])]  # fmt: skip
    for got, expected in zip(f([a, b]), want, strict=True):
        same(_host(got), expected, "result")


@check(4, "sparse")
def constants_and_labels(backend: Any) -> None:
    sparse, dense = _matrix(3, 5)
    constant = K.variable(sparse)
    same(K.eval(constant), dense, "K.eval of a sparse variable")
    same(K.get_value(constant).toarray(), dense, "K.get_value of a sparse variable")
    labels = np.asarray([[1, 0, 2], [3, 4, 5]], "int32")
    found = K.ctc_label_dense_to_sparse(K.constant(labels, dtype="int32"), K.constant([2, 0], dtype="int32"))
    same(K.eval(found), np.asarray([[1, 0, 0], [0, 0, 0]], "int32"), "labels")


@check(4, "sparse")
def native_sparse_tensors_are_operands(backend: Any) -> None:
    if not backend.capabilities.sparse:
        return
    sparse, dense = _matrix(3, 5)
    native = backend.from_sparse(sparse, "float32")
    if not (backend.is_native(native) and backend.is_sparse(native) and backend.spec_of(native).sparse):
        raise Mismatch("a native sparse tensor is not known as one (is_native, is_sparse, spec_of)")
    same(backend.to_sparse(native).toarray(), dense, "there and back")
    same(backend.to_numpy(K.dot(native, backend.asarray(dense.T))), dense @ dense.T, "product at once")
    same(backend.to_numpy(K.to_dense(native)), dense, "K.to_dense at once")
    x = K.placeholder((3, 4), sparse=True)
    same(K.function([x], [K.to_dense(x)])([native])[0], dense, "fed")


@check(6, "sparse")
def a_model_on_sparse_inputs_trains_as_on_dense_ones(backend: Any) -> None:
    from kcore.layers import Concatenate, Dense, Input
    from kcore.models import Model

    sparse, dense = _matrix(10, 22)
    target = _matrix(10, 30, seed=2)[1]
    results = []
    for data, is_sparse in ((sparse, True), (dense, False)):
        inputs = Input((4,), sparse=is_sparse)
        hidden = Dense(5, activation="tanh", kernel_initializer="ones")(Concatenate()([inputs, inputs]))
        model = Model(inputs, Dense(4, kernel_initializer="ones")(hidden))
        model.compile("adam", "mse")
        np.random.seed(3)  # noqa: NPY002 - shuffling follows it
        history = model.fit(data, target, batch_size=4, epochs=2, validation_split=0.2, verbose=0).history
        results.append([history["loss"], history["val_loss"], model.predict(data, batch_size=3), *model.get_weights()])
    for got, want in zip(*results, strict=True):
        same(np.asarray(got, "float32"), np.asarray(want, "float32"), "training on sparse data", tolerance=1e-4)
