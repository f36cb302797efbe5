"""Every path from rows to numbers gives the same numbers: those computed here by hand in float64.

The columns are the ones that have gone wrong silently somewhere: seconds since 1970, whose float32 are 128 s apart; cents; codes with
leading zeros; whole numbers beyond 2^53; a class called NA; numbers as text; and a target that is large beside its deviation.
"""

import gzip
import io
import json

import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import handover
from functional_nn.data import load, standardize
from functional_nn.data.cells import Format
from functional_nn.data.rows import parsed
from tests.cli.runs import call, done

pandas = pytest.importorskip("pandas")
N, RNG = 80, np.random.default_rng(5)
SECONDS = 1.7e9 + RNG.permutation(N) * 60.0
CENTS = RNG.integers(10**9, 10**9 + 500, N)
CODES = np.array(["007", "07", "7"])[np.arange(N) % 3]
IDS = 2**53 + RNG.integers(0, 3, N)
LAND = np.array(["NA", "ZA"])[RNG.integers(0, 2, N)]
PRICE = 1e8 + RNG.normal(size=N).round(3)
PLACES = {price: i for i, price in enumerate(PRICE.tolist())}
OPTIONS = {"categories": ["code", "id", "land"]}
FRAME = pandas.DataFrame({"seconds": SECONDS, "cents": CENTS, "code": CODES, "id": IDS, "land": LAND, "price": PRICE})


def by_hand(train):
    """The standardised features of all rows, and the target's mean and deviation, of the rows `train`."""
    def hot(values):
        kinds = sorted(set(map(str, values.tolist())))
        return np.array([[float(str(value) == kind) for kind in kinds] for value in values.tolist()])
    x = np.column_stack([SECONDS, CENTS, hot(CODES), hot(IDS), hot(LAND)])
    deviation = x[train].std(axis=0)
    return (x - x[train].mean(axis=0)) / np.where(deviation == 0, 1, deviation), PRICE[train].mean(), PRICE[train].std()


def files(folder):
    text = FRAME.to_csv(index=False)
    (folder / "a.csv").write_text(text)
    (folder / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "c.csv").write_text(text.replace(".", "@").replace(",", ";").replace("@", ","), encoding="utf-16")
    FRAME.to_parquet(folder / "d.parquet")
    FRAME.to_feather(folder / "e.feather")
    return {"csv": folder / "a.csv", "gzip": folder / "b.csv.gz", "commas and UTF-16": (folder / "c.csv", {"decimal": ","}),
            "parquet": folder / "d.parquet", "feather": folder / "e.feather", "frame": FRAME}


@pytest.mark.parametrize("way", ["csv", "gzip", "commas and UTF-16", "parquet", "feather", "frame"])
def test_the_features_are_those_by_hand(way, tmp_path):
    source = files(tmp_path)[way]
    source, more = source if isinstance(source, tuple) else (source, {})
    plain = load(source, **OPTIONS, **more)
    data = standardize(plain)
    train = [PLACES[price] for price in plain.y_train.tolist()]
    assert plain.y_train.dtype == np.float64 and len(set(train)) == len(train)
    wanted, _, _ = by_hand(train)
    np.testing.assert_allclose(data.x_train, wanted[train], rtol=1e-6, atol=1e-6)
    assert plain.feature_names[2:] == (
        "code=007", "code=07", "code=7", *(f"id={i}" for i in range(2**53, 2**53 + 3)), "land=NA", "land=ZA")
    rows = FRAME.drop(columns="price")
    for new in (rows, rows.to_dict("records"), rows[list(rows.columns)[::-1]]):
        np.testing.assert_allclose(data.encode(new), wanted, rtol=1e-6, atol=1e-6)


def test_predictions_are_those_by_hand_through_every_door(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = files(tmp_path)
    done(capsys, "train", "a.csv", "--categories", "code,id,land", "--hidden", "4", "--epochs", "2", "--out", "run")
    model = handover.load("run/model")
    plain = load("a.csv", **OPTIONS)
    x, mean, deviation = by_hand([PLACES[price] for price in plain.y_train.tolist()])
    with fnn.network.jax.enable_x64(True):
        params = [{name: np.asarray(leaf, np.float64) for name, leaf in layer.items()} for layer in model.params]
        hidden = np.maximum(x @ params[0]["w"].T + params[0]["b"], 0)
        wanted = mean + deviation * (hidden @ params[1]["w"].T + params[1]["b"])[:, 0]
    for rows in (where["csv"], where["gzip"], where["parquet"], where["feather"], FRAME, FRAME.to_dict("records"),
                 parsed("stdin", FRAME.to_csv(index=False).encode(), Format(), text=None)):
        np.testing.assert_allclose(model.predict(rows) - 1e8, wanted - 1e8, atol=1e-4)
    for rows in ("a.csv", "b.csv.gz", "d.parquet"):
        found = json.loads(call(capsys, "predict", "run", rows, "--json").out)
        np.testing.assert_allclose([row["prediction"] - 1e8 for row in found], wanted - 1e8, atol=1e-4)
    test = [PLACES[price] for price in plain.y_test.tolist()]
    said = json.loads(done(capsys, "evaluate", "run", "--json").out)["scores"]
    assert said["rmse"] == pytest.approx(np.sqrt(np.mean((wanted[test] - PRICE[test]) ** 2)), rel=1e-4)
    assert said["mae"] == pytest.approx(np.abs(wanted[test] - PRICE[test]).mean(), rel=1e-4)


def test_categories_of_pandas_are_categories_even_if_they_are_numbers():
    frame = pandas.DataFrame({"code": pandas.Categorical([1, 2, 3] * 10), "t": [0, 1] * 15})
    assert load(frame).feature_names == ("code=1", "code=2", "code=3")


def test_numbers_that_are_written_like_codes_are_said(tmp_path):
    text = "zip,a,t\n" + "".join(f"0{i % 7}123,{i % 5},{i % 2}\n" for i in range(60))
    (tmp_path / "t.csv").write_text(text)
    [note] = load(tmp_path / "t.csv").notes
    assert note == ("column 'zip' is taken for numbers, though '00123' is written like a code; categories=['zip'] takes it for "
                    "categories")
    assert not load(tmp_path / "t.csv", categories=["zip"]).notes


def test_a_spreadsheet_of_several_sheets_is_no_guess(tmp_path):
    pytest.importorskip("openpyxl")
    file = io.BytesIO()
    with pandas.ExcelWriter(file) as book:
        FRAME.to_excel(book, sheet_name="2024", index=False)
        FRAME.to_excel(book, sheet_name="2025", index=False)
    (tmp_path / "t.xlsx").write_bytes(file.getvalue())
    with pytest.raises(ValueError, match=r"t\.xlsx must hold its rows on one sheet, got 2024, 2025; save the one"):
        load(tmp_path / "t.xlsx")
