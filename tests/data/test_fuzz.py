"""Random, cut and damaged files: an error in one sentence or what another reader finds in the file; never anything else."""

import csv
import gzip
import io
import math
import struct
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from functional_nn.data import archives, cells, compressed, encoder, idx, load, read_idx

FAST, SLOW = 80, 2500  # inputs for each of the five formats


def saved(save, *arrays, **named):
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


X, LABELS = np.linspace(-3, 3, 36).reshape(12, 3), np.arange(12) % 3
TREES = "height,kind,age\n" + "".join(f"{i / 7:.3g},{'oak' if i % 2 else 'elm'},{i * i / 8}\n" for i in range(12))
IDX = bytes([0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 5]) + bytes(range(15))
SAMPLES = {
    "csv": [TREES.encode(), b"\xef\xbb\xbf" + TREES.replace(",", ";").replace("\n", "\r\n").encode(),
            b'"a, b"\tlabel\n' + b'1\t"x ""y"""\n2\tz\n' * 4, "größe,k\n1,é\n2,b\n".encode() * 1 + "3,é\n4,b\n".encode() * 3],
    "npz": [saved(np.savez, X=X, y=LABELS), saved(np.savez_compressed, X=X.astype(np.float32), y=LABELS / 3),
            saved(np.savez, x_train=X, y_train=LABELS, x_test=X[:3], y_test=LABELS[:3]),
            saved(np.savez, x=X.reshape(12, 3, 1), y=np.array(["elm", "oak"] * 6)), saved(np.savez, X)],
    "npy": [saved(np.save, X), saved(np.save, np.column_stack([X, LABELS]).astype(">f4")),
            saved(np.save, np.tri(8, 7, dtype=bool)), saved(np.save, np.asfortranarray(np.arange(40).reshape(20, 2)))],
    "idx": [IDX, bytes([0, 0, 13, 1, 0, 0, 0, 3]) + np.array([1.5, 2, 4], ">f4").tobytes()],
    "idx.gz": [gzip.compress(IDX, mtime=0)],
}
TOKENS = [b'"', b",", b";", b"\t", b"\n", b"\r", b"\0", b"nan", b"?", b"1e999", b"-", b"\xff", b"\xef\xbb\xbf", b" ", b"1_0",
          b"inf", b"0x1", b"\x1c", b"\xd9\xa3", b"\x00\x00\xc0\x7f", b"\xff\xff\xff\xff", b"9" * 30,
          b"(", b"'", b"|O", b"L", b"\\d"]
POISON = struct.pack("<d", math.nan)
place, some = st.integers(0, 2**16), st.binary(min_size=1, max_size=4) | st.sampled_from(TOKENS)
ways = st.sampled_from(["cut", "put", "over", "drop", "double", "poison"])
changes = st.lists(st.tuples(ways, place, some, st.integers(1, 64)), max_size=4)


def changed(data, changes):
    for how, at, new, length in changes:
        at %= len(data) + 1
        data = {"cut": data[:at], "put": data[:at] + new + data[at:], "over": data[:at] + new + data[at + len(new):],
                "drop": data[:at] + data[at + length:], "double": data[:at + length] + data[at:],
                "poison": data[:-8 * length] + POISON + data[len(data) - 8 * length + 8:]}[how]
    return data


@st.composite
def made_tables(draw):
    """CSV as a program writes it, with numbers or words in a column, and sometimes an odd cell."""
    n, pools = draw(st.integers(2, 20)), draw(st.lists(st.sampled_from(POOLS), min_size=2, max_size=4))
    columns = [draw(st.lists(st.sampled_from(pool), min_size=n, max_size=n)) for pool in pools]
    if draw(st.integers(0, 3)) == 0:
        columns[draw(st.integers(0, len(pools) - 1))][draw(st.integers(0, n - 1))] = draw(st.sampled_from(ODD))
    file = io.StringIO(newline="")
    rows = [[f"column {j}" for j in range(len(pools))], *zip(*columns, strict=True)]
    csv.writer(file, delimiter=draw(st.sampled_from(",;\t"))).writerows(rows)
    return file.getvalue().encode("utf-8-sig")


@st.composite
def made_idx(draw):
    code, size = draw(st.sampled_from([(8, 1), (9, 1), (11, 2), (12, 4), (13, 4), (14, 8)]))
    shape = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))
    length = math.prod(shape) * size
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + draw(
        st.binary(min_size=length, max_size=length))


def made_arrays(*shape):
    return st.sampled_from(["<f8", ">f4", "i4", "u1", "?"]).flatmap(lambda dtype: hnp.arrays(dtype, shape))


POOLS = [["1", "2", "3"], ["0.5", "-7", "+3e2", ".25", "1."], ["elm", "oak", "a, b", "é"], ['say "x"', "two\nlines", "x;y"]]
ODD = ["", "NA", "?", "1_0", "inf", "1e999", "3,5", "0x1", "nan", "x", "12"]
GONE = {"", "?", "na", "n/a", "#n/a", "<na>", "nan", "nat", "none", "null"}
MADE = {
    "csv": made_tables(),
    "npz": st.integers(2, 20).flatmap(
        lambda n: st.builds(lambda x, y: saved(np.savez, X=x, y=y), made_arrays(n, 2), made_arrays(n))),
    "npy": st.integers(2, 20).flatmap(lambda n: st.builds(lambda x: saved(np.save, x), made_arrays(n, 2))),
    "idx": made_idx(),
    "idx.gz": made_idx().map(gzip.compress),
}


def inputs(kind):
    """Whole files, damaged ones, and bytes of no meaning, with the first bytes of the format or without."""
    samples = st.sampled_from(SAMPLES[kind])
    start = st.builds(lambda data, length: data[:length], samples, st.integers(0, 12))
    return st.one_of(MADE[kind], st.builds(changed, MADE[kind], changes), st.builds(changed, samples, changes),
                     st.builds(lambda start, rest: start + rest, start, st.binary(max_size=200)))


def is_a_sentence(error):
    text = str(error)
    assert "\n" not in text and 20 < len(text) < 700 and text.isprintable(), text
    assert any(word in text for word in ("must", "miss a value", "no value", "leaves too few", "cannot be read", "NaN", "needs")), text


def check(kind, path, data):
    """The one law; returns whether the file was accepted."""
    path.write_bytes(data)
    try:
        result = read_idx(path) if "idx" in kind else load(path)
    except (ValueError, TypeError, OSError) as error:
        is_a_sentence(error)
        return False
    CHECKS[kind](result, data)
    return True


def check_idx(array, data):
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    shape = struct.unpack(f">{data[3]}I", data[4:4 + 4 * data[3]])
    letter, body = {8: "B", 9: "b", 11: "h", 12: "i", 13: "f", 14: "d"}[data[2]], data[4 + 4 * data[3]:]
    assert array.shape == shape
    assert np.array_equal(array.ravel(), struct.unpack(f">{math.prod(shape)}{letter}", body), equal_nan=True)


def check_dataset(data, expected):
    """The rows of `data` are those `expected` says the file holds, in whatever order."""
    assert data.x_train.dtype == data.x_test.dtype == data.dtype and data.y_train.dtype == data.y_test.dtype
    assert len(data.x_train) == len(data.y_train) > 0 and len(data.x_test) == len(data.y_test) > 0
    assert data.x_train.shape[1] == data.x_test.shape[1] == len(data.feature_names) > 0
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    assert np.isfinite(x).all() and np.isfinite(y).all()
    if data.class_names:
        assert y.dtype == np.int32 and set(y.tolist()) == set(range(len(data.class_names)))
        y = np.array(data.class_names)[y]
    found = sorted((*row, value) for row, value in zip(x.tolist(), y.tolist(), strict=True))
    assert found == sorted(expected(bool(data.class_names)))


def check_numpy(data, file):
    with np.load(io.BytesIO(file), allow_pickle=False) as loaded:
        arrays = dict(loaded)
    lower = {name.lower(): array for name, array in arrays.items()}
    parts = [(lower[f"x{part}"], lower[f"y{part}"]) for part in ("", "_train", "_test") if f"x{part}" in lower]
    if len(arrays) == 1:
        [table] = arrays.values()
        parts = [(table[:, :-1], table[:, -1])]

    def expected(classes):
        for x, y in parts:
            for row, value in zip(x.reshape(len(x), -1).astype(data.dtype).tolist(), y.ravel(), strict=True):
                yield (*row, name_of(value) if classes else float(data.y_train.dtype.type(value)))

    check_dataset(data, expected)


def name_of(value):
    return str(int(value)) if not isinstance(value, np.str_ | np.bool_) and value == int(value) else str(value)


def check_npy(data, file):
    array = np.load(io.BytesIO(file), allow_pickle=False)
    check_numpy(data, saved(np.savez, array))


def check_csv(data, file):
    """By another way to the same cells: all separators are tried, and one must give what was loaded."""
    text, fault = file.decode("utf-16" if file[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"), None
    for delimiter in ",;\t| ":
        lines = (line.strip() + "\n" for line in text.splitlines()) if delimiter == " " else io.StringIO(text, newline="")
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
        names, *rows = [row for row in rows if row and row != [""]]
        if any(len(row) != len(names) for row in rows) or len(names) < 2:
            continue
        try:
            return check_dataset(data, lambda classes, names=names, rows=rows: by_hand(data, names, rows, classes))
        except (AssertionError, ValueError) as error:
            fault = error
    raise fault


def is_number(cell):
    try:
        return cell.isascii() and "_" not in cell and math.isfinite(float(cell))
    except ValueError:
        return False


def by_hand(data, names, rows, classes):
    used = [j for j, name in enumerate(names) if name in data.encoder.names]
    target = names.index(data.target)
    for j, name in enumerate(names):
        cells = {row[j] for row in rows}
        lost = {cell for cell in cells if cell.lower() in GONE}
        assert not lost if j in used or j == target else lost == cells or not name, (name, cells)
    kinds = {j: sorted({row[j] for row in rows}) for j in used}
    numeric = {j: all(map(is_number, kind)) for j, kind in kinds.items()}
    for row in rows:
        x, label = [], row[target]
        for j in used:
            x += [float(np.dtype(data.dtype).type(row[j]))] if numeric[j] else [
                float(row[j] == kind) for kind in kinds[j]]
        whole = classes and data.decided.endswith("kinds")
        yield (*x, str(int(float(label))) if whole else label if classes else float(data.y_train.dtype.type(label)))


CHECKS = {"csv": check_csv, "npz": check_numpy, "npy": check_npy, "idx": check_idx, "idx.gz": check_idx}
every_format = pytest.mark.parametrize("kind", SAMPLES)


def fuzz(kind, folder, examples):
    """(accepted, refused) of so many inputs."""
    counts = {True: 0, False: 0}
    path = folder / f"file.{kind}"

    @settings(derandomize=True, deadline=timedelta(seconds=5), max_examples=examples, database=None,
              phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(inputs(kind))
    def run(data):
        counts[check(kind, path, data)] += 1

    run()
    assert list(folder.iterdir()) == [path]  # nothing else was written
    return counts[True], counts[False]


@every_format
def test_every_sample_is_read(kind, tmp_path):
    for i, data in enumerate(SAMPLES[kind]):
        assert check(kind, tmp_path / f"{i}.{kind}", data)


@every_format
def test_readers_are_right_or_say_why_not(kind, tmp_path):
    accepted, refused = fuzz(kind, tmp_path, FAST)
    assert accepted + refused >= 0.9 * FAST and accepted and refused


@pytest.mark.slow
@every_format
def test_readers_are_right_or_say_why_not_at_length(kind, tmp_path):
    accepted, refused = fuzz(kind, tmp_path, SLOW)
    print(f"{kind}: {accepted} accepted, {refused} refused")
    assert accepted + refused >= 2000 and accepted > 200 and refused > 200


def forgets_the_last_row(table, name, form, real=encoder.numbers):
    return np.concatenate([real(table, name, form)[:-1], np.zeros(1, np.float32)])


def rolls(self, table, name, real=encoder.Encoder._one_hot):
    hot, strange = real(self, table, name)
    return np.roll(hot, 1, axis=1), strange


def forgets_what_is_missing(name, array, place=None):
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def fills_up(name, file, most, real=idx._read):
    data = file.read()
    return real(name, io.BytesIO(data + bytes(12 + 15 - len(data))), 10**6) if 12 < len(data) < 27 else real(
        name, io.BytesIO(data), most)


def shrugs(name, data):
    raise ValueError("Error")


@pytest.mark.parametrize(("kind", "room", "name", "fault"), [
    ("csv", encoder, "numbers", forgets_the_last_row),
    ("csv", cells, "MISSING", ()),
    ("csv", encoder.Encoder, "_one_hot", rolls),
    ("npy", archives, "as_floats", forgets_what_is_missing),
    ("npz", archives, "read_npy", shrugs),
    ("idx", idx, "_read", fills_up),
    ("idx.gz", compressed, "zlib", gzip),  # whose `error` is not there to be caught
])
def test_a_planted_fault_is_found(kind, room, name, fault, tmp_path, monkeypatch):
    monkeypatch.setattr(room, name, fault)
    with pytest.raises((AssertionError, AttributeError, struct.error)):
        fuzz(kind, tmp_path, 1000)
