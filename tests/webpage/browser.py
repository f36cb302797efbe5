"""Headless Chromium, driven over a pipe: what a page does, says and asks for."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
         "--no-first-run", "--disable-extensions", "--disable-background-networking"]


class Page:
    """A page in Chromium.

    Attributes:
      requests: the addresses that the page asked for.
      complaints: what it wrote to the console, and its uncaught errors.
    """

    def __init__(self, write, read):
        self._write, self._read, self._count, self._session = write, read, 0, None
        self.requests, self.complaints, self._buffer = [], [], b""

    def call(self, method, **params):
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._count:
                assert "error" not in found, found
                return found["result"]
            self._hear(found)

    def _next(self):
        while b"\0" not in self._buffer:
            got = os.read(self._read, 1 << 16)
            assert got, "Chromium has ended"
            self._buffer += got
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _hear(self, event):
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(params)[:500])

    def open(self, path, width=1280, height=900):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.size(width, height)
        self.call("Page.navigate", url=f"file://{path}")
        self.run("new Promise(done => { const wait = () => document.body && document.body.dataset.ready"
                 " ? done() : setTimeout(wait, 20); wait(); })")

    def size(self, width, height, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def dark(self):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def run(self, expression):
        """The value of a JavaScript expression; a promise is awaited."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def key(self, name):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name)

    def shot(self, path, whole=False):
        import base64

        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))


@contextlib.contextmanager
def chromium(seconds=120):
    """A context that gives a `Page`; Chromium is ended after so many seconds at the latest."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        shell = ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{from_write}', "-", CHROMIUM]
        process = subprocess.Popen([*shell, *FLAGS, f"--user-data-dir={home}"], pass_fds=(to_read, from_write),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            yield Page(to_write, from_read)
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            os.close(to_write)
            os.close(from_read)
