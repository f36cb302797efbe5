"""Curves stand in one picture if their values can be compared."""

from functional_nn.report.run import Run, letter, panels

DIGITS = Run("d", data="digits", loss="cross_entropy", best_epoch=2, history={
    "epoch": [1, 2], "cost": [1.0, 0.5], "validation_cost": [0.9, 0.7], "validation_accuracy": [0.5, 0.75], "penalty": [1, 1]})
LINE = Run("l", data="line", loss="mse", history={"epoch": [1], "cost": [2.0], "validation_rmse": [3.0]})


def test_costs_of_other_losses_and_what_is_counted_otherwise_stand_apart():
    steps = Run("s", loss="mse", history={"step": [10, 20], "cost": [4.0, 3.0]})
    found = [(panel.quantity, panel.unit, sorted({line.run for line in panel.lines}))
             for panel in panels([DIGITS, LINE, DIGITS, steps])]
    assert found == [("cost (cross_entropy)", "epoch", [0, 2]), ("cost (mse)", "epoch", [1]), ("cost (mse)", "step", [3]),
                     ("accuracy", "epoch", [0, 2]), ("rmse", "epoch", [1]), ("penalty", "epoch", [0, 2])]


def test_the_heading_says_the_best_of_the_validation_and_whose_it_is():
    other = Run("n", loss="cross_entropy", history={"epoch": [1], "cost": [0.1]})  # lower, but of the training rows
    assert [panel.heading for panel in panels([DIGITS, other])] == [
        "Cost: best 0.7 on the validation rows, at epoch 2 (A)", "Accuracy: best 0.75 on the validation rows, at epoch 2 (A)",
        "Penalty"]
    assert panels([other])[0].heading == "Cost: best 0.1, at epoch 1"


def test_a_run_without_curves_has_no_picture_and_no_unit():
    assert panels([Run("a"), Run("b", history={"cost": [1.0]})]) == []
    assert Run("a").unit == Run("a").measure == "" and DIGITS.measure == "accuracy" and LINE.measure == "rmse"


def test_letters_go_on_after_z():
    assert [letter(i) for i in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
