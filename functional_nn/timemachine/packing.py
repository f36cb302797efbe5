"""Numbers packed for a page: four significant digits each, exactly as they are printed.

A number is a mantissa of at most four digits and a power of ten. The page puts their digits
together again and computes nothing. Arrays lie one after another, first the low bytes of all
mantissas, then the high bytes, then the exponents; the whole is compressed.
"""

import base64
import zlib

import numpy as np

__all__ = ["Packer", "digits"]

DIGITS = 4
ODD = 127  # the exponent that marks NaN (mantissa 0) and infinities (mantissa ±1)


def digits(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mantissas (int16) and exponents (int8) of an array, rounded as Python prints them.

    >>> mantissa, exponent = digits(np.array([0.012345, -3.0, 0.0, np.inf]))
    >>> mantissa.tolist(), exponent.tolist()
    ([1235, -3000, 0, 1], [-5, -3, 0, 127])
    """
    flat = np.asarray(values, np.float64).ravel()
    mantissa, exponent = np.zeros(flat.size, np.int16), np.zeros(flat.size, np.int8)
    odd = ~np.isfinite(flat)
    exponent[odd] = ODD
    mantissa[odd] = np.where(np.isnan(flat[odd]), 0, np.sign(flat[odd]))
    for i in np.flatnonzero((flat != 0) & ~odd):
        head, power = f"{flat[i]:.{DIGITS - 1}e}".split("e")
        power = int(power) - DIGITS + 1
        if power > -120:  # a smaller number is shown as 0
            mantissa[i], exponent[i] = int(head.replace(".", "")), power
    return mantissa, exponent


class Packer:
    """Collects arrays; each is known by the place of its first number or byte."""

    def __init__(self):
        self._numbers, self._bytes = [], []
        self._count = self._size = 0

    def numbers(self, values: np.ndarray) -> int:
        """Add an array of numbers, and return the place of its first one."""
        place = self._count
        self._numbers.append(digits(values))
        self._count += np.size(values)
        return place

    def bytes(self, values: np.ndarray) -> int:
        """Add an array of integers from 0 to 255, and return the place of its first one."""
        place = self._size
        self._bytes.append(np.asarray(values, np.uint8).tobytes())
        self._size += np.size(values)
        return place

    def packed(self) -> tuple[int, str]:
        """How many numbers there are, and everything compressed, in base 64."""
        mantissa = np.concatenate([pair[0] for pair in self._numbers]).astype("<i2")
        exponent = np.concatenate([pair[1] for pair in self._numbers])
        planes = mantissa.view(np.uint8).reshape(-1, 2).T.tobytes()
        whole = planes + exponent.tobytes() + b"".join(self._bytes)
        return self._count, base64.b64encode(zlib.compress(whole, 9)).decode("ascii")
