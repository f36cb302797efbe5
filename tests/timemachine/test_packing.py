"""Packed numbers are read back digit by digit as the library prints them."""

import base64
import re
import zlib

import numpy as np

from functional_nn.explanation.notation import number
from functional_nn.timemachine.packing import Packer, digits


def shown(mantissa, exponent):
    """What numbers.js writes, in Python."""
    if exponent == 127:
        return "nan" if mantissa == 0 else "−∞" if mantissa < 0 else "∞"
    return number(float(f"{mantissa}e{exponent}"), 4)


def test_every_number_keeps_its_printed_digits():
    rng = np.random.default_rng(0)
    values = np.concatenate([
        rng.normal(size=300) * 10.0 ** rng.integers(-30, 30, 300), rng.normal(size=300).astype(np.float32),
        [0.0, -0.0, 1.0, -12.0, 0.99995, 9999.5, 1e-4, np.inf, -np.inf, np.nan, 163.0]])
    for value, mantissa, exponent in zip(values, *digits(values), strict=True):
        assert shown(int(mantissa), int(exponent)) == number(value, 4), value


def test_arrays_lie_where_the_packer_says():
    packer = Packer()
    places = [packer.numbers(np.array([1.5, -2.0])), packer.numbers(np.array([[1e9]])), packer.bytes(np.array([7, 255]))]
    count, text = packer.packed()
    raw = zlib.decompress(base64.b64decode(text))
    assert places == [0, 2, 0] and count == 3 and list(raw[3 * count:]) == [7, 255]
    mantissas = np.frombuffer(bytes(raw[i + k * count] for i in range(count) for k in (0, 1)), "<i2")
    assert mantissas.tolist() == [1500, -2000, 1000] and list(raw[2 * count:3 * count]) == [253, 253, 6]
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", text)
