"""The benchmarks' statistics, tables, interleaving and workloads. Nothing here looks at a clock."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import measure, models, stats, table
from benchmarks.import_time import ImportTime
from benchmarks.measure import Cell, Row, Settings
from benchmarks.run import parse
from benchmarks.runner import MEASURES
from benchmarks.worker import describe, module_name
from benchmarks.workers import WorkerError


def a_row(native=(1.0,), kcore=(1.0,), keras3=(2.0,), workload="mlp", what="step"):
    cells = {"native": Cell(list(native)), "kcore": Cell(list(kcore)), "keras3": Cell(list(keras3))}
    return Row("torch", workload, what, cells)


def test_ratio_is_of_the_medians_and_its_spread_of_the_rounds():
    found = stats.ratio([2.0, 2.0, 9.0], [1.0, 2.0, 3.0])
    assert found is not None
    assert found.value == 1.0
    assert (found.low, found.high) == (1.5, 2.5)


def test_ratio_without_samples_is_none():
    assert stats.ratio([], [1.0]) is None
    assert stats.ratio([1.0], []) is None


def test_quartiles_of_one_sample_are_that_sample():
    assert stats.quartiles([3.0]) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.000_012_34, "0.012"), (0.001_234, "1.23"), (0.0456, "45.6"), (1.5, "1500")]
)
def test_milliseconds_keep_three_digits(seconds, text):
    assert table.milliseconds(Cell([seconds])) == text


def test_a_contender_that_is_missing_says_why():
    row = a_row(kcore=())
    row.cells["kcore"].error = "not installed"
    text = table.results_table([row])
    assert "not installed" in text
    assert "met" not in text
    assert "MISSED" not in text


def test_table_lines_are_aligned_and_have_the_header_s_columns():
    lines = table.results_table([a_row(), a_row(workload="lstm", what="fit")]).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert {line.count("|") for line in lines} == {len(table.HEADER) + 1}


def test_a_bar_in_a_reason_does_not_break_the_table():
    assert table.markdown(("a",), [("x|y",)]).splitlines()[-1] == "| x/y |"


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (a_row(kcore=(1.04,)), "<= 1.05 met"),
        (a_row(kcore=(1.06,)), "<= 1.05 MISSED (native)"),
        (a_row(kcore=(1.04,), keras3=(1.0,)), "<= 1.05 MISSED (Keras 3)"),
        (a_row(kcore=(1.14,), keras3=(1.0,), what="fit"), "<= 1.15 met"),
        (a_row(kcore=(2.9,), what="predict_one"), "<= 3.0 met"),
        (a_row(kcore=(9.0,), what="predict_one"), "<= 3.0 MISSED (native)"),
        (a_row(kcore=(9.0,), what="train_on_batch"), ""),
    ],
)
def test_verdict_holds_the_row_to_its_targets(row, verdict):
    assert table.verdict(row) == verdict


def test_import_table_subtracts_a_bare_numpy():
    text = table.import_table([ImportTime("numpy", [0.1]), ImportTime("kcore", [0.15, 0.25, 0.35])])
    cells = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    assert cells == ["import kcore", "250", "150", "< 300 met"]


def test_json_holds_samples_and_ratios():
    found = table.as_json([a_row(kcore=(1.5,))], [ImportTime("numpy", [0.1])], {"threads": 2}, {})
    assert found["rows"][0]["contenders"]["kcore"]["samples"] == [1.5]
    assert found["rows"][0]["kcore_to_native"]["value"] == 1.5
    assert found["imports"][0]["median"] == 0.1


def test_rounds_rotate_the_order():
    assert [measure.rotation("ABC", turn) for turn in range(4)] == [
        ["A", "B", "C"], ["B", "C", "A"], ["C", "A", "B"], ["A", "B", "C"],
    ]  # fmt: skip


def test_interleaving_takes_turns_and_gives_every_contender_all_rounds():
    calls = []

    def block_of(name, seconds_each):
        def block(count, warmup):
            calls.append(name)
            return count * seconds_each

        return block

    blocks = {"a": block_of("a", 0.001), "b": block_of("b", 0.01)}
    cells = measure.interleave(blocks, Settings(rounds=3, block_s=0.1))
    assert [cells["a"].count, cells["b"].count] == [100, 10]
    assert cells["a"].samples == pytest.approx([0.001] * 3)
    assert calls[-6:] == ["a", "b", "b", "a", "a", "b"]


def test_a_contender_that_fails_drops_out_and_the_others_go_on():
    def good(count, warmup):
        return 0.1 * count

    def bad(count, warmup):
        raise WorkerError("out of memory")

    cells = measure.interleave({"bad": bad, "good": good}, Settings(rounds=4, block_s=0.1))
    assert cells["bad"].error == "out of memory"
    assert cells["bad"].samples == []
    assert len(cells["good"].samples) == 4


def test_a_contender_that_builds_something_else_is_refused():
    with pytest.raises(WorkerError, match="built 704 parameters, expected 705"):
        measure.check_built("tiny_mlp", 704, 0.7, 0.7)
    with pytest.raises(WorkerError, match="first loss is 22.4, the native loop's is 0.7"):
        measure.check_built("tiny_mlp", 705, 22.4, 0.7)
    with pytest.raises(WorkerError, match="first loss is nan"):
        measure.check_built("tiny_mlp", 705, float("nan"), None)
    measure.check_built("tiny_mlp", 705, 0.72, 0.7)


@pytest.mark.parametrize("workload", models.WORKLOADS.values(), ids=list(models.WORKLOADS))
def test_data_has_the_shapes_that_the_workload_says(workload):
    data = models.make_data(workload)
    assert data.x.shape == (workload.batch * workload.epoch_batches, *workload.input_shape)
    assert data.x.dtype == workload.input_dtype
    pieces = models.batches(workload, data)
    assert len(pieces) == workload.epoch_batches
    if workload.loss == models.BINARY:
        assert data.y.shape == (workload.samples, 1)
        assert set(np.unique(data.y)) == {0.0, 1.0}
    else:
        assert data.y.shape == (workload.samples,)
        assert set(np.unique(data.y)) <= set(range(workload.outputs))
    if workload.input_high is not None:
        assert 0 <= data.x.min() <= data.x.max() < workload.input_high


def test_data_is_the_same_every_time():
    workload = models.WORKLOADS["tiny_mlp"]
    first, second = models.make_data(workload), models.make_data(workload)
    assert np.array_equal(first.x, second.x)
    assert np.array_equal(first.y, second.y)


def test_an_epoch_takes_every_sample_once():
    workload = models.WORKLOADS["lstm"]
    pieces = list(models.shuffled_indices(workload, np.random.default_rng(0)))
    assert {len(piece) for piece in pieces} == {workload.batch}
    assert sorted(np.concatenate(pieces)) == list(range(workload.samples))


def test_every_workload_has_sizes_and_a_target():
    assert set(models.SIZES) == set(models.WORKLOADS) == set(table.STEP_TARGETS)
    assert set(table.MEASURE_TITLES) == set(MEASURES)


def test_no_backend_on_the_command_line_means_all_of_them():
    assert parse([]).backend is None
    assert parse(["--backend", "jax", "--models", "mlp"]).models == ["mlp"]


def test_contenders_modules_exist():
    root = Path(measure.__file__).parent.parent
    for backend in ("torch", "jax", "tensorflow"):
        for contender in table.CONTENDERS:
            assert (root / (module_name(contender, backend).replace(".", "/") + ".py")).is_file()


def test_a_failure_is_described_in_one_line():
    assert describe(ValueError("first\nsecond")) == "ValueError: first"
