"""What a file gives to check: a layer without any loss too."""

LAYER = """
import numpy as np
class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T
def example():
    return Affine(np.ones((3, 2)), np.zeros(2)), np.arange(6.0).reshape(2, 3)
"""


def test_a_layer_is_checked_by_a_random_gradient_of_its_output(verify):
    code, out, _ = verify(LAYER)
    assert code == 0 and "['inputs']" in out
    code, out, _ = verify(LAYER.replace("dout.sum", "dout.mean"))
    assert code == 1 and "multiplied by a constant" in out and "1/2" not in out
