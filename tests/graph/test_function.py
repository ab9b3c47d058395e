"""K.function: feeding, updates, learning phase, shapes on the host, random draws, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kcore.errors import DataError, GraphError, ShapeError, SymbolicTruthError
from kcore.graph import phase
from kcore.graph.function import Function, placeholder
from kcore.graph.gradients import gradients
from kcore.graph.updates import reading_after, update
from kcore.ops import control, shaping
from kcore.ops.creation import random_normal, random_uniform
from kcore.ops.elementwise import add, exp, multiply, sin, square, tanh
from kcore.ops.nn import dropout
from kcore.ops.optimizer import sgd_update
from kcore.ops.reduction import mean, sum_
from kcore.ops.structural import shape
from kcore.variables import Variable


def var(value: Any, name: str = "v") -> Variable:
    return Variable(value, "float64", name=name)


def x_of(*shape: int | None) -> Any:
    return placeholder(shape, "float64", name="x")


# --- feeding ----------------------------------------------------------------------------------------------------------


def test_one_output_gives_one_array() -> None:
    x = x_of(2)
    assert Function([x], x * 2)([[1, 2]]).tolist() == [2, 4]
    assert [y.tolist() for y in Function([x], [x * 2, x])([[1, 2]])] == [[2, 4], [1, 2]]


def test_an_intermediate_tensor_may_be_fed_in_place_of_its_computation() -> None:
    x = x_of()
    y = exp(x)
    f = Function([y], [y + 1])
    assert f([3.0])[0] == 4
    assert "k_exp" not in f.source()


def test_data_is_cast_to_the_placeholders_dtype() -> None:
    x = placeholder((None,), "float32", name="x")
    assert Function([x], [x])([np.arange(3)])[0].dtype == np.float32


def test_what_was_not_fed_is_named() -> None:
    x = placeholder((2,), "float64", name="images")
    with pytest.raises(GraphError, match="images.*neither computed in it nor fed"):
        Function([], [x + 1])([])


@pytest.mark.parametrize("fed", [np.zeros((2, 4)), np.zeros(3), np.zeros((1, 2, 3))])
def test_a_fed_value_of_another_shape_is_refused(fed: Any) -> None:
    x = placeholder((None, 3), "float64", name="images")
    with pytest.raises(ShapeError, match=r"'images(:0)?', which has shape \(None, 3\)"):
        Function([x], [x])([fed])


def test_the_number_of_values_must_fit() -> None:
    x = x_of()
    with pytest.raises(DataError, match="takes 1 values, one per input; got 2"):
        Function([x], [x])([1, 2])
    with pytest.raises(DataError, match="list of values"):
        Function([x], [x])(np.zeros(1))


def test_text_is_refused() -> None:
    x = x_of(1)
    with pytest.raises(DataError, match="Cannot feed"):
        Function([x], [x])([["a"]])


def test_inputs_must_be_a_list() -> None:
    with pytest.raises(GraphError, match="as a list"):
        Function(x_of(), [x_of()])


def test_symbolic_values_have_no_truth() -> None:
    with pytest.raises(SymbolicTruthError, match=r"K\.switch"):
        bool(x_of() > 0)


# --- variables and updates --------------------------------------------------------------------------------------------


def test_variables_are_read_when_the_function_runs() -> None:
    v = var(1.0)
    f = Function([], [v + 1])
    v.assign(5.0)
    assert f([])[0] == 6


def test_updates_are_simultaneous() -> None:
    a, b = var(1.0, "a"), var(2.0, "b")
    swap = Function([], [a + b], [(a, b), (b, a)])
    assert swap([])[0] == 3
    assert (float(a), float(b)) == (2, 1)
    swap([])
    assert (float(a), float(b)) == (1, 2)


def test_outputs_see_the_values_before_the_updates() -> None:
    v = var(1.0)
    assert Function([], [v], [(v, v + 1)])([])[0] == 1
    assert float(v) == 2


def test_an_update_reached_from_an_output_takes_effect() -> None:
    v = var(1.0)
    assert Function([], [update(v, v + 1) * 10])([])[0] == 20
    assert float(v) == 2


def test_two_updates_of_one_variable_are_composed() -> None:
    v = var(1.0)
    Function([], [v], [(v, v + 1), (v, v * 10)])([])
    assert float(v) == 20


def test_composed_updates_reach_into_loops() -> None:
    v = var(1.0)
    final, _ = control.loop(lambda c, x, i: ([c[0] * v], []), [np.ones(())], [], 2)
    Function([], [v], [(v, v + 2), (v, final[0])])([])
    assert float(v) == 9


def test_reading_after_updates_gives_new_values() -> None:
    v = var(1.0)
    changed = update(v, v + 1)
    with reading_after([changed]):
        result = multiply(v, 10)
    assert Function([], [result])([])[0] == 20
    assert float(v) == 2


def test_an_update_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"of shape \(2,\) with a value of shape \(3,\)"):
        update(var(np.zeros(2)), np.zeros(3))


def test_only_variables_are_updated() -> None:
    with pytest.raises(GraphError, match=r"K\.update expects a variable"):
        update(x_of(), 1)


def test_results_do_not_change_with_later_runs() -> None:
    v = var(np.zeros(2))
    f = Function([], [v], [(v, v + 1)])
    first = f([])[0]
    f([])
    assert first.tolist() == [0, 0]


# --- state by reference -----------------------------------------------------------------------------------------------


def test_state_by_reference_updates_simultaneously(by_reference: Any) -> None:
    a, b = var(1.0, "a"), var(2.0, "b")
    f = Function([], [a], [(a, b), (b, a)])
    assert f([])[0] == 1
    assert (float(a), float(b)) == (2, 1)


def test_list_updates_go_in_place(by_reference: Any) -> None:
    p, m = var(np.ones(2), "p"), var(np.zeros(2), "m")
    new = sgd_update([p], [p * 2], [m], 0.5, 0.9, False)
    f = Function([], [sum_(p)], [(p, new[0]), (m, new[1])])
    assert "inplace_sgd_update" in f.source()
    assert f([])[0] == 2
    assert p.numpy().tolist() == [0, 0]
    assert m.numpy().tolist() == [-1, -1]


def test_list_updates_whose_result_is_wanted_do_not_go_in_place(by_reference: Any) -> None:
    p, m = var(np.ones(2), "p"), var(np.zeros(2), "m")
    new = sgd_update([p], [p * 2], [m], 0.5, 0.9, False)
    f = Function([], [new[0]], [(p, new[0]), (m, new[1])])
    assert "inplace_sgd_update" not in f.source()
    assert f([])[0].tolist() == [0, 0]


def test_an_output_that_views_state_is_copied(by_reference: Any) -> None:
    v = var(np.arange(4.0))
    f = Function([], [shaping.reshape(v, (2, 2))], [(v, v + 1)])
    assert f([])[0].ravel().tolist() == [0, 1, 2, 3]
    assert f([])[0].ravel().tolist() == [1, 2, 3, 4]


# --- learning phase ---------------------------------------------------------------------------------------------------


def test_the_phase_chooses_one_branch_and_drops_the_other() -> None:
    x = x_of()
    y = phase.in_train_phase(lambda: sin(x), lambda: exp(x))
    f = Function([x, phase.learning_phase()], [y])
    assert f([1.0, 1])[0] == pytest.approx(np.sin(1))
    assert f([1.0, 0])[0] == pytest.approx(np.e)
    assert "k_sin" in f.source(1)
    assert "k_exp" not in f.source(1)
    assert "k_sin" not in f.source(0)


def test_dropout_vanishes_outside_training() -> None:
    x = x_of(None, 3)
    f = Function([x, phase.learning_phase()], [phase.in_train_phase(lambda: dropout(x, 0.5), x)])
    assert "random" not in f.source(0)
    assert "random" in f.source(1)


def test_a_fixed_phase_leaves_no_choice() -> None:
    phase.set_learning_phase(1)
    try:
        x = x_of()
        f = Function([x, phase.learning_phase()], [phase.in_train_phase(x + 1, x)])
        assert f([1.0, 0])[0] == 2
    finally:
        phase.reset()


def test_a_tensor_of_the_users_chooses_when_it_runs() -> None:
    x, training = x_of(), placeholder((), "bool", name="training")
    f = Function([x, training], [phase.in_train_phase(x + 1, x, training=training)])
    assert f([1.0, True])[0] == 2
    assert f([1.0, False])[0] == 1


# --- shapes -----------------------------------------------------------------------------------------------------------


def test_known_shapes_fold_away() -> None:
    x = x_of(2, 3)
    f = Function([x], [x * shape(x)[1]])
    assert "shape" not in f.source()
    assert f([np.ones((2, 3))])[0].tolist() == [[3] * 3] * 2


def test_unknown_shapes_are_computed_on_the_host() -> None:
    x = x_of(None, 3)
    y = shaping.reshape(x, (shape(x)[0] * 3, 1))
    f = Function([x], [y, mean(x)])
    assert y.shape == (None, 1)
    assert "host_multiply" in f.source()
    assert f([np.ones((4, 3))])[0].shape == (12, 1)


def test_shapes_may_be_values_too() -> None:
    x = x_of(None, 3)
    assert Function([x], [add(shape(x)[0], 1), shape(x)])([np.ones((4, 3))])[0] == 5


# --- random -----------------------------------------------------------------------------------------------------------


def test_the_same_seed_repeats_a_script() -> None:
    def script() -> list[np.ndarray]:
        np.random.seed(3)  # noqa: NPY002 - what is tested
        f = Function([], [random_normal((4,)), random_uniform((4,))])
        return [*f([]), *f([])]

    first, second = script(), script()
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert not (first[0] == first[2]).any()


def test_sites_draw_independently_and_a_site_draws_once_a_run() -> None:
    a, b = random_normal((8,), seed=1), random_normal((8,), seed=2)
    x, y, again = Function([], [a, b, a + 0])([])
    assert not (x == y).any()
    assert (x == again).all()


# --- gradients --------------------------------------------------------------------------------------------------------


def test_several_losses_are_summed() -> None:
    v = var(2.0)
    assert Function([], gradients([square(v), 3 * v], [v]))([])[0] == 7


def test_gradients_by_intermediate_tensors_and_by_what_they_depend_on() -> None:
    x = x_of()
    y = square(x)
    by_x, by_y = Function([x], gradients(exp(y), [x, y]))([0.5])
    assert by_y == pytest.approx(np.exp(0.25))
    assert by_x == pytest.approx(np.exp(0.25))  # dy/dx = 1 at 0.5


def test_unconnected_values_have_no_gradient() -> None:
    a, b = var(1.0, "a"), var(1.0, "b")
    assert gradients(square(a), [b]) == [None]
    with pytest.raises(GraphError, match="differentiates by symbolic tensors"):
        gradients(square(a), [np.ones(2)])


def test_a_value_used_twice_gets_both_gradients() -> None:
    v = var(3.0)
    assert Function([], gradients(multiply(v, v), [v]))([])[0] == 6


# --- regions, on a backend with autodiff ------------------------------------------------------------------------------


def test_a_gradient_is_one_region_that_runs_the_forward_pass_once(differences: Any) -> None:
    v, x = var(np.array([0.3, 0.2])), x_of(2)
    hidden = tanh(v * x)
    loss = sum_(square(hidden))
    f = Function([x], [hidden, loss, *gradients(loss, [v])])
    feed = np.array([1.0, 2.0])
    value, total, gradient = f([feed])
    h = np.tanh(v.numpy() * feed)
    np.testing.assert_allclose(value, h)
    np.testing.assert_allclose(total, (h**2).sum())
    np.testing.assert_allclose(gradient, 2 * h * (1 - h**2) * feed, rtol=1e-6)
    assert f.source().count("value_and_grad(") == 1
    assert f.source().count("k_tanh(") == 1  # inside the region; handed out as an auxiliary result
    assert differences.forward_calls == 1


def test_regions_nest(differences: Any) -> None:
    v = var(0.7)
    (first,) = gradients(multiply(square(v), v), [v])
    (second,) = gradients(first, [v])
    f = Function([], [first, second])
    assert [float(g) for g in f([])] == pytest.approx([3 * 0.49, 6 * 0.7], rel=1e-4)
    assert f.source().count("value_and_grad(") == 2


def test_regions_by_values_that_depend_on_each_other(differences: Any) -> None:
    v = var(0.5)
    y = square(v)
    assert [float(g) for g in Function([], gradients(exp(y), [v, y]))([])] == pytest.approx([1.284, 1.284], rel=1e-3)


def test_regions_reach_through_loops(differences: Any) -> None:
    v = var(np.array([0.5, 0.1]))
    final, _ = control.loop(lambda c, x, i: ([tanh(c[0] * v + x[0])], []), [np.zeros(2)], [np.ones((3, 2))])
    by_region = Function([], gradients(sum_(final[0]), [v]))([])[0]
    from kcore.backend import active

    with active.backend_scope("numpy"):
        by_rules = Function([], gradients(sum_(final[0]), [v]))([])[0]
    np.testing.assert_allclose(by_region, by_rules, rtol=1e-6)


# --- the emitted source -----------------------------------------------------------------------------------------------


def test_the_source_is_straight_line_and_without_dead_values() -> None:
    x = x_of(2)
    unused = exp(x)
    f = Function([x], [sin(x) + 1], name="my function")
    assert unused.shape == (2,)
    assert f.source().splitlines()[0] == "def my_function(state, params, inputs, key):"
    assert "exp" not in f.source()
    assert not any(word in f.source() for word in ("for ", "if ", "while "))


def test_functions_are_compiled_once_per_backend_and_phase(differences: Any) -> None:
    from kcore.backend import active

    x = x_of()
    f = Function([x, phase.learning_phase()], [phase.in_train_phase(x + 1, x)])
    for training in (0, 1, 0):
        f([1.0, training])
    with active.backend_scope("numpy"):
        f([1.0, 0])
    assert len(set(f._executables.values())) == 3


def test_a_variable_that_takes_a_fed_array_is_its_own_memory():
    v, x = Variable(np.zeros(3, "float32")), placeholder((3,), "float32")
    fed = np.ones(3, "float32")
    Function([x], [], [(v, x)])([fed])
    fed[:] = 7
    np.testing.assert_array_equal(v.numpy(), np.ones(3))
