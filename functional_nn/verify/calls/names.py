"""Which name of a gradient belongs to which name of a parameter: dW1 to W1, grad_b2 to b2."""

import re
from collections.abc import Sequence

BEFORE = ("", "d", "g", "grad", "gradient", "delta", "nabla", "dl", "dld", "dj", "djd", "dc", "dcd", "dloss", "dcost")
AFTER = ("", "grad", "grads", "gradient", "gradients", "g", "delta", "prime", "der", "deriv", "derivative", "jac", "dx")
BIASES = ("b", "bias", "biases", "intercept", "intercepts", "offset", "offsets", "bh", "by", "bo")
WEIGHTS = ("w", "weight", "weights", "kernel", "theta", "coef", "coefs", "wh", "wo")


def simplified(name: str) -> str:
    """Return the name in lower case without marks: `dW_1` is `dw1`."""
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def belongs(gradient: str, parameter: str) -> bool:
    """Return whether a gradient of that name is the parameter's.

    >>> belongs("dW1", "W1"), belongs("Theta1_grad", "Theta1"), belongs("dZ1", "W1")
    (True, True, False)
    """
    if gradient == parameter:
        return True
    mine, own = simplified(gradient), simplified(parameter)
    return bool(own) and any(mine == before + own + after for before in BEFORE for after in AFTER)


def matched(gradients: Sequence, parameters: Sequence) -> dict:
    """Return a dict from each parameter's key to its gradient's key; those without one are left out.

    >>> matched(["dW1", "db1", "dZ1"], ["W1", "b1"])
    {'W1': 'dW1', 'b1': 'db1'}
    """
    found = {own: own for own in parameters if own in gradients}
    for own in parameters:
        if own not in found:
            free = [key for key in gradients if key not in found.values() and belongs(key, own)]
            if free:
                found[own] = free[0]
    return found


def words(path: str) -> list[str]:
    """Return the words of a path in lower case: of `['Dense_0']['bias']` dense and bias."""
    return [word.lower() for word in re.findall(r"[A-Za-z]+", path)]


def says_bias(path: str) -> bool:
    """Return whether the last part of a path calls the leaf a bias.

    >>> says_bias("['b1']"), says_bias("['b_i_h']"), says_bias("['layers'][0].bias"), says_bias("['W1']")
    (True, True, True, False)
    """
    return _says(path, BIASES)


def says_weight(path: str) -> bool:
    """Return whether the last part of a path calls the leaf a weight."""
    return _says(path, WEIGHTS)


def _says(path: str, known: Sequence[str]) -> bool:
    parts = re.findall(r"\['([^']*)'\]|\.(\w+)", path)
    if not parts:
        return False
    for part in reversed(["".join(each) for each in parts]):
        found = [word.lower() for word in re.findall(r"[A-Za-z]+", part)]
        if found:
            return found[0] in known or found[-1] in known
    return False


def natural(path: str) -> list:
    """Return a sorting key that puts Dense_10 behind Dense_2."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", path)]
