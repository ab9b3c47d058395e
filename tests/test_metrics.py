"""Metrics: accumulation, counts, curves against plain NumPy, names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcore import backend as K
from kcore import metrics
from kcore.errors import ArgumentError, UnknownNameError


@pytest.fixture(autouse=True)
def numpy_backend():
    with K.backend_scope("numpy"):
        K.clear_session()
        yield


def feed(metric, *args, **kwargs):
    constants = [K.constant(a) for a in args]
    return K.eval(metric(*constants, **{k: K.constant(v) for k, v in kwargs.items()}))


BATCHES = st.lists(st.lists(st.floats(-8, 8, width=16), min_size=1, max_size=5), min_size=1, max_size=4)


@given(batches=BATCHES)
def test_a_mean_over_batches_is_the_mean_of_all(batches):
    with K.backend_scope("numpy"):
        metric = metrics.Mean()
        for i, batch in enumerate(batches):
            seen = np.concatenate([np.asarray(b) for b in batches[: i + 1]])
            np.testing.assert_allclose(feed(metric, batch), seen.mean(), atol=1e-5)


@given(batches=BATCHES)
def test_reset_forgets(batches):
    with K.backend_scope("numpy"):
        metric = metrics.Sum()
        for batch in batches:
            feed(metric, batch)
        metric.reset_states()
        np.testing.assert_allclose(feed(metric, batches[0]), np.sum(batches[0]), atol=1e-5)


def test_evaluating_a_metric_updates_it_once():
    metric = metrics.Mean()
    result = metric(K.constant([1.0, 3.0]))
    assert K.eval(result) == 2.0
    assert float(K.get_value(metric.count)) == 2.0
    assert K.eval(result) == 2.0
    assert float(K.get_value(metric.count)) == 4.0


def test_the_result_counts_the_values_of_the_same_run():
    x = K.placeholder((None,))
    metric = metrics.Mean()
    f = K.function([x], [metric(x), x * 2.0])
    assert f([np.array([1.0])])[0] == 1.0
    assert f([np.array([3.0])])[0] == 2.0


def test_weights_of_zero_mask():
    assert feed(metrics.Mean(), [1.0, 5.0, 9.0], sample_weight=[1.0, 1.0, 0.0]) == 3.0
    assert feed(metrics.MeanSquaredError(), [[0.0], [0.0]], [[2.0], [7.0]], sample_weight=[1.0, 0.0]) == 4.0


def test_metrics_in_one_function_do_not_disturb_each_other():
    x = K.placeholder((None,))
    first, second = metrics.Mean(name="a"), metrics.Sum(name="b")
    f = K.function([x], [first(x), second(x)])
    np.testing.assert_allclose(f([np.array([1.0, 3.0])]), [2.0, 4.0])
    np.testing.assert_allclose(f([np.array([5.0, 5.0])]), [3.5, 14.0])


def test_a_metric_of_ones_own():
    class Largest(metrics.Metric):
        def __init__(self, name="largest", **kwargs):
            super().__init__(name=name, **kwargs)
            self.value = self.add_weight("value", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            return K.update(self.value, K.maximum(self.value, K.max(y_pred)))

        def result(self):
            return self.value

    metric = Largest()
    assert feed(metric, [[0.0]], [[3.0]]) == 3.0
    assert feed(metric, [[0.0]], [[2.0]]) == 3.0
    assert metrics.clone_metric(metric).name == "largest"


def test_an_update_by_add_update_counts_too():
    class Counting(metrics.Metric):
        def __init__(self):
            super().__init__(name="counting")
            self.n = self.add_weight("n")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.add_update(K.update_add(self.n, 1.0))

        def result(self):
            return self.n

    metric = Counting()
    assert [float(feed(metric, [[0.0]], [[1.0]])) for _ in range(2)] == [1.0, 2.0]


# --- counts -----------------------------------------------------------------------------------------------------------

LABELS = st.lists(st.tuples(st.booleans(), st.integers(0, 16)), min_size=1, max_size=12)


@given(samples=LABELS)
def test_counts_agree_with_numpy(samples):
    y_true = np.array([float(t) for t, _ in samples])
    y_pred = np.array([p / 16 for _, p in samples])
    positive, real = y_pred > 0.5, y_true > 0
    expected = {
        metrics.TruePositives: positive & real, metrics.FalsePositives: positive & ~real,
        metrics.TrueNegatives: ~positive & ~real, metrics.FalseNegatives: ~positive & real,
    }  # fmt: skip
    with K.backend_scope("numpy"):
        for cls, cell in expected.items():
            assert feed(cls(), y_true, y_pred) == cell.sum()
        right, wrong, lost = (expected[c].sum() for c in [*list(expected)[:2], metrics.FalseNegatives])
        precision, recall = feed(metrics.Precision(), y_true, y_pred), feed(metrics.Recall(), y_true, y_pred)
    assert precision == pytest.approx(right / (right + wrong) if right + wrong else 0.0)
    assert recall == pytest.approx(right / (right + lost) if right + lost else 0.0)


def test_several_thresholds_give_several_numbers():
    found = feed(metrics.Precision(thresholds=[0.25, 0.75]), [0.0, 1.0, 1.0], [0.5, 0.5, 0.8])
    np.testing.assert_allclose(found, [2 / 3, 1.0])


def test_top_k_looks_at_the_largest_predictions_only():
    y_true = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    y_pred = [[0.1, 0.9, 0.8], [0.5, 0.4, 0.3]]
    assert feed(metrics.Precision(top_k=2), y_true, y_pred) == 0.5
    assert feed(metrics.Recall(top_k=1, class_id=1), y_true, y_pred) == 1.0


def test_thresholds_outside_the_unit_interval_are_refused():
    with pytest.raises(ArgumentError, match=r"\[0, 1\].*1.5"):
        metrics.Precision(thresholds=[0.5, 1.5])


@given(samples=LABELS)
def test_auc_of_many_thresholds_is_the_probability_of_the_right_order(samples):
    y_true = np.array([float(t) for t, _ in samples])
    y_pred = np.array([p / 16 for _, p in samples])
    pairs = [(a, b) for a in y_pred[y_true > 0] for b in y_pred[y_true == 0]]
    with K.backend_scope("numpy"):
        found = feed(metrics.AUC(num_thresholds=66), y_true, y_pred)
    if pairs:
        assert found == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs]), abs=1e-4)


def test_a_perfect_ranking_has_area_one():
    y_true, y_pred = [0.0, 0.0, 1.0, 1.0], [0.1, 0.2, 0.8, 0.9]
    for curve in ("ROC", "PR"):
        for method in ("interpolation", "majoring"):
            area = feed(metrics.AUC(curve=curve, summation_method=method), y_true, y_pred)
            assert area == pytest.approx(1.0, abs=1e-5)
    assert feed(metrics.SensitivityAtSpecificity(0.9), y_true, y_pred) == 1.0


def test_auc_refuses_unknown_curves():
    with pytest.raises(ArgumentError, match=r"'DET'.*'ROC', 'PR'"):
        metrics.AUC(curve="DET")


def test_mean_iou():
    assert feed(metrics.MeanIoU(num_classes=2), [0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]) == pytest.approx(1 / 3)


def test_sparse_and_one_hot_accuracy_agree():
    y_pred = np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]])
    sparse, one_hot = np.array([[1.0], [1.0], [1.0]]), np.array([[0.0, 1.0]] * 3)
    expected = feed(metrics.CategoricalAccuracy(), one_hot, y_pred)
    assert expected == pytest.approx(2 / 3)
    assert feed(metrics.SparseCategoricalAccuracy(), sparse, y_pred) == expected
    assert feed(metrics.TopKCategoricalAccuracy(k=2), one_hot, y_pred) == 1.0


# --- names ------------------------------------------------------------------------------------------------------------


def test_objects_without_a_name_are_numbered():
    assert [metrics.Recall().name, metrics.Recall().name, metrics.AUC().name] == ["recall_1", "recall_2", "auc_1"]


@pytest.mark.parametrize("metric", [
    lambda: metrics.AUC(num_thresholds=5, curve="PR", name="x"), lambda: metrics.Precision(thresholds=0.3),
    lambda: metrics.SensitivityAtSpecificity(0.4), lambda: metrics.MeanIoU(3), metrics.Sum,
    lambda: metrics.BinaryAccuracy(threshold=0.3), lambda: metrics.TopKCategoricalAccuracy(k=2),
    lambda: metrics.CosineSimilarity(axis=1),
])  # fmt: skip
def test_configurations_come_back(metric):
    made = metric()
    again = metrics.deserialize(metrics.serialize(made))
    assert type(again) is type(made)
    assert again.get_config() == made.get_config()


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"acuracy.*accuracy"):
        metrics.get("acuracy")
    with pytest.raises(ArgumentError):
        metrics.get(3)
    assert metrics.get("mse") is metrics.mean_squared_error
    assert isinstance(metrics.get("AUC"), metrics.AUC)
