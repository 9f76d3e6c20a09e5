"""A headless Chromium that a test drives, by its DevTools protocol over a pipe."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # A made-up camera that asks nobody.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--remote-debugging-pipe",
]
# Seconds that a browser may take for an answer, or a page to become what a test waits for.
PATIENCE = 30


class Browser:
    """A browser with an empty profile in `folder`; a context manager."""

    def __init__(self, folder):
        self.folder = folder
        self.ids = itertools.count(1)
        self.events = []
        self.buffer = b""

    def __enter__(self):
        read, self.write = os.pipe()
        self.read, write = os.pipe()
        # Chromium takes commands at descriptor 3 and answers at 4.
        script = f'exec "$@" 3<&{read} 4>&{write}'
        command = ["bash", "-c", script, "bash", CHROMIUM, *FLAGS, f"--user-data-dir={self.folder}", "about:blank"]
        self.process = subprocess.Popen(
            command, pass_fds=(read, write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(read)
        os.close(write)
        return self

    def __exit__(self, *_):
        self.call("Browser.close")
        os.close(self.write)
        self.process.wait(PATIENCE)
        os.close(self.read)

    def call(self, method, session=None, **params):
        """The result of a command."""
        message = {"id": next(self.ids), "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write, data) :]
        while True:
            answer = self.receive()
            if answer.get("id") != message["id"]:
                self.events.append(answer)
                continue
            assert "error" not in answer, f"{method}: {answer['error']}"
            return answer["result"]

    def receive(self):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read], [], [], PATIENCE)
            assert ready, "the browser does not answer"
            data = os.read(self.read, 1 << 20)
            assert data, "the browser ended"
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def page(self, url, width=1280, height=900, scale=1, **media):
        """A tab of its own at `url`. `media` are features as `prefers_color_scheme="dark"`."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        return Page(self, target, url, (width, height, scale), media)


class Page:
    """A tab."""

    def __init__(self, browser, target, url, size, media):
        self.browser = browser
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(f"{domain}.enable")
        width, height, scale = size
        metrics = dict(width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call("Page.navigate", url=url)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def evaluate(self, expression):
        """The value of an expression of JavaScript; promises are awaited."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def wait(self, expression):
        """The value of an expression as soon as it is true."""
        end = time.monotonic() + PATIENCE
        while True:
            # A page that is being loaded may have no document yet.
            guarded = f"(() => {{ try {{ const it = {expression}; return it instanceof Node || it }} catch {{ return null }} }})()"
            value = self.evaluate(guarded)
            if value:
                return value
            text = self.evaluate("document.body?.innerText")
            assert time.monotonic() < end, f"never true: {expression}\n{text}\n{self.problems()}"
            time.sleep(0.02)

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText")

    def key(self, key, code=None):
        """Presses a key, as `Tab` or `ArrowRight`."""
        codes = {"Tab": 9, "Enter": 13, "ArrowRight": 39, "ArrowLeft": 37, "End": 35, "Home": 36, " ": 32}
        params = dict(key=key, code=code or key, windowsVirtualKeyCode=codes.get(key, 0))
        if key == "Enter":
            params["text"] = "\r"
        self.call("Input.dispatchKeyEvent", type="keyDown", **params)
        self.call("Input.dispatchKeyEvent", type="keyUp", **params)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def set_files(self, selector, *paths):
        """Chooses files, as a person does in the dialog."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def screenshot(self, path, whole=True):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip(whole))["data"]
        path.write_bytes(base64.b64decode(data))

    def _clip(self, whole):
        if not whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": dict(x=0, y=0, width=size["width"], height=size["height"], scale=1)}

    def problems(self):
        """What the page complained of: exceptions, errors of the console, violations of its policy."""
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            params = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"])
            if event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(params["entry"])
        return found

    def requests(self):
        """The addresses that the page asked for."""
        events = [event for event in self.browser.events if event.get("sessionId") == self.session]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]
