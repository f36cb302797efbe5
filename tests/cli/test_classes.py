"""Networks as classes, checked by a loss."""

import pytest

from tests.cli.files import BATCH, LOSS, NETWORK


@pytest.mark.parametrize(("more", "options"), [
    (LOSS + BATCH, []), (LOSS + BATCH, ["--object", "Network"]), (LOSS + BATCH, ["--object", "net"]),
    (LOSS + BATCH.replace("net =", "for i in ():\n    pass\nnet ="), [])])
def test_a_network_is_checked_by_its_loss(verify, more, options):
    code, out, err = verify(NETWORK + more, *options)
    assert code == 0 and "['W']" in out and "Network is checked" in err
    code, out, _ = verify(NETWORK.replace("* (1 - self.out**2)", "") + more, *options)
    assert code == 1
