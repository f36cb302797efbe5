"""Files are fetched once, verified, and taken up where the network broke; without a network the way out is said at once."""

import builtins
import gzip
import hashlib
import http.server
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from functional_nn.data import download, load
from functional_nn.data.mnist import FILES

pooch = pytest.importorskip("pooch", reason="needs the extra `data`")
CONTENTS = {f"/{file}.gz": gzip.compress(file.encode() * 9000, compresslevel=0, mtime=0) for file in FILES}
INSTEAD = ("or pass data_dir, a folder that holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
           "t10k-labels-idx1-ubyte, with .gz or without")


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENTS by ranges, and breaks the line after as many bytes as `server.allowed` says."""

    def do_GET(self):
        data, asked = CONTENTS[self.path], self.headers.get("Range", "bytes=0-")
        self.server.asked.append((self.path, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(data):
            self.send_error(416)
            return
        ranges = self.server.ranges and start
        self.send_response(206 if ranges else 200)
        body = data[start:] if ranges else data
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        time.sleep(self.server.delay)
        self.wfile.write(body[:self.server.allowed])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.asked, server.allowed, server.ranges, server.delay = [], None, True, 0
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    hashes = tuple(hashlib.sha256(data).hexdigest() for data in CONTENTS.values())
    monkeypatch.setitem(download.SOURCES, "mnist", (f"http://127.0.0.1:{server.server_port}/", hashes))
    yield server
    server.shutdown()
    server.server_close()


def found(folder):
    return {f"/{path.name}": path.read_bytes() for path in folder.iterdir()}


def test_files_are_fetched_once(server, tmp_path):
    assert found(download.fetch("mnist", tmp_path)) == CONTENTS
    assert server.asked == [(path, "bytes=0-") for path in CONTENTS]
    assert found(download.fetch("mnist", tmp_path)) == CONTENTS and len(server.asked) == 4
    damaged = tmp_path / "mnist" / f"{FILES[2]}.gz"
    damaged.write_bytes(b"damaged")
    assert found(download.fetch("mnist", tmp_path)) == CONTENTS and len(server.asked) == 5


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_is_taken_up(server, tmp_path, ranges):
    server.allowed, server.ranges = 100_000, ranges
    with pytest.raises(ConnectionError, match=r"^mnist could not be downloaded from http://127"):
        download.fetch("mnist", tmp_path)
    part = tmp_path / "mnist" / f"{FILES[0]}.gz.part"
    kept = part.stat().st_size
    assert 0 < kept <= 100_000 and [path.name for path in part.parent.iterdir()] == [part.name]
    server.allowed = None
    assert found(download.fetch("mnist", tmp_path)) == CONTENTS
    assert server.asked[1] == (f"/{FILES[0]}.gz", f"bytes={kept}-")


def test_two_downloads_at_once_are_one(server, tmp_path):
    server.delay = 0.05  # long enough for the second one to begin within the first
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: download.fetch("mnist", tmp_path), range(4)))
    assert found(folders[0]) == CONTENTS and server.asked == [(path, "bytes=0-") for path in CONTENTS]


def test_a_download_that_was_whole_is_not_fetched_again(server, tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / f"{FILES[0]}.gz.part").write_bytes(CONTENTS[f"/{FILES[0]}.gz"])
    assert found(download.fetch("mnist", tmp_path)) == CONTENTS


def test_another_file_than_the_published_one_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setitem(CONTENTS, f"/{FILES[0]}.gz", b"another file")
    with pytest.raises(ValueError) as error:
        download.fetch("mnist", tmp_path)
    address, hashes = download.SOURCES["mnist"]
    assert str(error.value) == (f"mnist: {FILES[0]}.gz from {address} must have the published sha256 {hashes[0][:12]}…, got "
                                f"another; try again later, {INSTEAD}")
    assert not list((tmp_path / "mnist").iterdir())


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_without_a_network_the_way_out_is_said_at_once(name, tmp_path, monkeypatch):
    monkeypatch.setitem(download.SOURCES, name, ("http://127.0.0.1:9/", download.SOURCES[name][1]))
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path)
    start = time.perf_counter()
    with pytest.raises(ConnectionError) as error:
        load(name)
    assert time.perf_counter() - start < 5
    assert str(error.value) == (f"{name} could not be downloaded from http://127.0.0.1:9/ (ConnectionError); try again with a "
                                f"network, {INSTEAD}")


def test_without_pooch_the_extra_is_named(monkeypatch):
    def refuse(name, *arguments, real=builtins.__import__):
        if name == "pooch":
            raise ModuleNotFoundError("No module named 'pooch'")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ModuleNotFoundError) as error:
        load("mnist")
    assert str(error.value) == f"downloading mnist needs pooch; install it with: pip install -e '.[data]', {INSTEAD}"


def test_the_published_hashes_are_those_of_the_files_at_hand():
    folder = Path(__file__).resolve().parents[2] / "../shared/data/mnist"
    if not folder.is_dir():
        pytest.skip("needs the published files in ../shared/data/mnist")
    for file, sha256 in list(zip(FILES, download.SOURCES["mnist"][1], strict=True))[1:]:  # the first is a restored copy
        assert hashlib.sha256((folder / f"{file}.gz").read_bytes()).hexdigest() == sha256
