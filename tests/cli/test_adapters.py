"""What lacks in a file is answered with lines that make it work."""

from tests.cli.files import BATCH, LOSS, NETWORK, REGRESSION


def test_what_lacks_is_answered_with_lines_that_make_it_work(verify):
    code, out, err = verify(REGRESSION)
    assert code == 2 and out == "" and "must define example(), which returns the arguments of compute_cost" in err
    pasted = "\n".join(line[4:] for line in err.split("again:")[1].splitlines())
    filled = pasted.replace("(5, 3)", "(6, 2)").replace("...", "rng.normal(size=6)").replace("(4, 3)", "2")
    assert verify(REGRESSION + filled)[0] == 1


def test_a_network_without_loss_or_object_is_answered_with_lines(verify):
    code, _, err = verify(NETWORK + BATCH)
    assert code == 2 and "lacks a loss for Network" in err and "def loss(prediction, Y):" in err
    code, _, err = verify(NETWORK + LOSS)
    assert code == 2 and "net = Network(n_in=..., n_out=...)" in err
    pasted = "\n".join(line[4:] for line in err.split("again:")[1].splitlines())
    filled = pasted.replace("(n_in=..., n_out=...)", "(3, 1)").replace("...", "rng.normal(size=(5, 1))")
    assert verify(NETWORK + LOSS + filled)[0] == 0
    code, _, err = verify(NETWORK + LOSS, "--object", "Net")
    assert code == 2 and "defines no Net; its classes are Network" in err


def test_a_script_that_trains_in_a_loop_gets_its_body_as_a_step(verify):
    text = """
import numpy as np
X, y = np.eye(4)[:, :3], np.ones((4, 1)) / 3
syn0, syn1 = np.ones((3, 4)) / 2, np.arange(4.0)[:, None] / 5
for j in range(60000):
    l1 = 1 / (1 + np.exp(-X.dot(syn0)))
    l2 = 1 / (1 + np.exp(-l1.dot(syn1)))
    l2_delta = (y - l2) * (l2 * (1 - l2))
    l1_delta = l2_delta.dot(syn1.T) * SLOPE
    syn1 += l1.T.dot(l2_delta)
    syn0 += X.T.dot(l1_delta)
"""
    code, _, err = verify(text.replace("SLOPE", "(l1 * (1 - l1))"))
    assert code == 2 and "it defines no function" in err
    pasted = "\n".join(line[4:] for line in err.split("again:")[1].splitlines())
    assert verify(text.replace("SLOPE", "(l1 * (1 - l1))") + pasted)[0] == 0
    code, out, _ = verify(text.replace("SLOPE", "1") + pasted.replace("(l1 * (1 - l1))", "1"))
    assert code == 1 and "the pullback to delta0" in out
