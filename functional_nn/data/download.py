"""Downloading MNIST and Fashion-MNIST: verified by hash, cached, resumed after an interruption."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # no file locks on this system: two downloads are not kept apart
    fcntl = None

from functional_nn import checks
from functional_nn.data.mnist import FILES

# The address of the four files, and the published sha256 of each, in the order of FILES.
SOURCES = {
    "mnist": ("https://storage.googleapis.com/cvdf-datasets/mnist/", (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6")),
    "fashion_mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/", (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5")),
}
TIMEOUT = 5, 30  # seconds to connect, and seconds to wait for the next bytes


def fetch(name: str, cache: Path | None = None) -> Path:
    """The folder that holds the four files of `name`, downloaded if they are not there yet.

    Each file is verified by its sha256 at every call. Where two processes want it at once, one of
    them downloads, and the other waits.

    Args:
        name: `mnist` or `fashion_mnist`.
        cache: the folder to keep the files in; the user's cache folder if None.

    Raises a ModuleNotFoundError without pooch, a ConnectionError when a download fails, and a
    ValueError for a file that is not the published one. Each message says how to do without the
    download.
    """
    instead = (
        f"or pass {{data_dir}}, a folder that holds {', '.join(FILES[:-1])} and {FILES[-1]}, "
        "with .gz or without")
    try:
        import pooch
        from requests import RequestException
    except ModuleNotFoundError as error:
        raise checks.advice(
            f"downloading {name} needs pooch; install it with: pip install -e '.[data]', {instead}",
            of=ModuleNotFoundError, data_dir=checks.NAME) from error

    address, hashes = SOURCES[name]
    folder = (Path(pooch.os_cache("functional_nn")) if cache is None else cache) / name
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        for file, sha256 in zip(FILES, hashes, strict=True):
            part = folder / f"{file}.gz.part"
            try:
                pooch.retrieve(
                    f"{address}{file}.gz", f"sha256:{sha256}", f"{file}.gz", folder,
                    downloader=_resuming(part))
            except RequestException as error:
                raise checks.advice(
                    f"{name} could not be downloaded from {address} ({type(error).__name__}); "
                    f"try again with a network, {instead}",
                    of=ConnectionError, data_dir=checks.NAME) from error
            except ValueError as error:
                raise checks.advice(
                    f"{name}: {file}.gz from {address} must have the published sha256 "
                    f"{sha256[:12]}…, got another; try again later, {instead}",
                    data_dir=checks.NAME) from error
    return folder


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """A context in which no other download runs in `folder`; it waits for one that does.

    The lock lies on the folder itself, and ends with the process. Without file locks, on some
    systems and file systems, it has no effect.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _resuming(part: Path) -> Callable:
    """A downloader for pooch that collects the bytes in `part` and requests only missing ones."""
    def download(url: str, output_file: str, _) -> None:
        import requests  # a dependency of pooch

        have = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as reply:
            # 416: no byte is missing, and pooch verifies the hash of what `part` holds
            if not (have and reply.status_code == 416):
                reply.raise_for_status()
                with part.open("ab" if reply.status_code == 206 else "wb") as file:
                    for block in reply.iter_content(1 << 16):
                        file.write(block)
        os.replace(part, output_file)

    return download
