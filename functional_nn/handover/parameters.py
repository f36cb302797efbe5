"""Conversion of parameters to a safetensors file and back; its keys are paths such as `0/w`."""

from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.network import Network

DTYPES = MappingProxyType({"F16": np.dtype(np.float16), "BF16": np.dtype(jnp.bfloat16),
                           "F32": np.dtype(np.float32), "F64": np.dtype(np.float64)})


def _safetensors():
    try:
        import safetensors
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("handing over a model needs safetensors; install it with: "
                                  "pip install 'functional_nn[ckpt]'") from error
    return safetensors


def flat(params) -> dict[str, np.ndarray]:
    """The arrays of a pytree of parameters by their paths, in the order of its leaves.

    >>> list(flat(({"w": np.eye(2), "b": np.zeros(2)}, (), ({"w": np.eye(2)},))))
    ['0/b', '0/w', '2/0/w']
    """
    return {_key(path): np.asarray(leaf)
            for path, leaf in jax.tree_util.tree_leaves_with_path(params)}


def _key(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def to_bytes(params) -> bytes:
    """The bytes of a safetensors file that holds `params`.

    Every array is copied into C order, because safetensors writes the memory of an array as it is:
    of a transposed array it would write another matrix.

    Raises:
      ModuleNotFoundError: safetensors is not installed.
      ValueError: an array is not float16, bfloat16, float32 or float64.
    """
    library, arrays = _safetensors(), flat(params)
    for name, array in arrays.items():
        if array.dtype.newbyteorder("=") not in DTYPES.values():
            raise ValueError(f"params {name} must be of float16, bfloat16, float32 or float64, got "
                             f"{array.dtype}; convert it with astype")
    return library.numpy.save({name: np.array(array, array.dtype.newbyteorder("="), order="C")
                               for name, array in arrays.items()})


def from_bytes(file: str, data: bytes, net: Network) -> tuple:
    """The parameters of a network, read from the bytes of a safetensors file.

    Args:
      file: the path of the file, for error messages.
      data: its bytes.
      net: the network that the parameters belong to.

    Returns a pytree as `net.init` makes it, of NumPy arrays with the saved dtypes.

    Raises:
      ModuleNotFoundError: safetensors is not installed.
      ValueError: the bytes are not a safetensors file, or a parameter is missing, unknown, or of
        another shape or dtype.

    >>> import functional_nn as fnn
    >>> params = ({"w": np.array([[2.0, -1.0]]), "b": np.array([0.5])},)
    >>> from_bytes("model.safetensors", to_bytes(params), fnn.mlp((2, 1)))[0]["w"]
    array([[ 2., -1.]])
    """
    library = _safetensors()
    try:
        found = dict(library.deserialize(data))
    except library.SafetensorError as error:
        raise ValueError(f"{file} must be a safetensors file, got {str(error)[:100]!r} on reading "
                         "it; copy it again") from error
    shapes, tree = jax.tree_util.tree_flatten_with_path(jax.eval_shape(net.init, jax.random.key(0)))
    wanted = {_key(path): leaf.shape for path, leaf in shapes}
    if set(found) != set(wanted):
        odd = min(set(found) ^ set(wanted))
        what = "is missing" if odd in wanted else "is one too many"
        raise ValueError(f"{file} must hold the parameters of {net!r}, got others: {odd!r} {what}; "
                         "take both files from one folder")
    return jax.tree.unflatten(tree, [
        _array(file, name, found[name], shape) for name, shape in wanted.items()])


def _array(file: str, name: str, found: dict, shape: tuple[int, ...]) -> np.ndarray:
    if found["dtype"] not in DTYPES or tuple(found["shape"]) != shape:
        raise ValueError(f"{file} must hold {name!r} as floats of shape {shape}, which the "
                         f"manifest's network has, got {found['dtype']} of shape "
                         f"{tuple(found['shape'])}; take both files from one folder")
    return np.frombuffer(found["data"], DTYPES[found["dtype"]].newbyteorder("<")).astype(
        DTYPES[found["dtype"]]).reshape(shape)
