"""Formulas as they are written, computed again: what stands after an equals sign is what it says."""

import math
import re

import functional_nn as fnn

RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def computed(text):
    """The value of a line of numbers such as "½·(12 − 10)²", computed by Python."""
    text = text.replace("−", "-").replace("·", "*").replace("½", "0.5").replace("^", "**")
    text = re.sub(r"([a-z_]+)′\(", r"slope_of_\1(", text)
    text = re.sub(r"\|([^|]+)\|", r"abs(\1)", text)
    text = text.replace("²", "**2").replace("ln cosh(", "ln_cosh(").replace("≥", ">=")
    text = text.replace(", else", " else").replace("Φ(", "normal_cdf(")
    text = re.sub(r"\bln (-?[\d.e-]+)", r"ln(\1)", text)
    names = {"e": math.e, "ln": lambda v: math.log(v) if v > 0 else -math.inf, "max": max, "min": min,
             "abs": abs, "normal_cdf": lambda v: (1 + math.erf(v / math.sqrt(2))) / 2,
             "sign": lambda v: (v > 0) - (v < 0), "ln_cosh": lambda v: math.log(math.cosh(v)),
             "tanh": math.tanh}
    for name, record in fnn.activations.ACTIVATIONS.items():
        if name not in names:
            names[name] = lambda z, f=record: float(f(float(z)))
        names[f"slope_of_{name}"] = lambda z, f=record: float(f.derivative(float(z)))
    for name, record in fnn.losses.LOSSES.items():
        names[name] = lambda a, y, f=record: float(f(float(a), float(y)))
        names[f"slope_of_{name}"] = lambda a, y, f=record: float(f.gradient(float(a), float(y)))
    return float(eval(text, {"__builtins__": {}}, names))
