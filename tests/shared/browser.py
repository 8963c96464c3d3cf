"""A headless Chromium, told what to do by chromedriver's own protocol (W3C WebDriver)."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

# Nothing is fetched, kept or reported: the pages are files, and the profile is thrown away.
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
    "--force-color-profile=srgb",
]
START_LIMIT = 60


class Browser:
    """A window of Chromium. A context manager: the processes and the profile end with it."""

    def __init__(self, chromedriver: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="kvmppc-chromium-")
        log = Path(self._folder.name, "log")
        with log.open("wb") as file:
            self._driver = subprocess.Popen(
                [chromedriver, "--port=0"], stdout=file, stderr=subprocess.STDOUT
            )
        self._address = f"http://127.0.0.1:{self._port(log)}/session"
        options = {
            "args": [*FLAGS, f"--user-data-dir={self._folder.name}/profile"],
            "perfLoggingPrefs": {"enableNetwork": True},
        }
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = self._post("", {"capabilities": {"alwaysMatch": wanted}})
        self._address += "/" + session["sessionId"]

    def _port(self, log: Path) -> str:
        for _ in range(START_LIMIT * 10):
            _, found, rest = log.read_text().partition("started successfully on port ")
            if found:
                return rest.split(".")[0]
            time.sleep(0.1)
        raise TimeoutError(log.read_text())

    def _post(self, path: str, values: object) -> dict:
        data = json.dumps(values).encode()
        request = urllib.request.Request(
            self._address + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)["value"]

    def _devtools(self, command: str, **parameters: object) -> dict:
        return self._post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def size(self, width: int, height: int = 900) -> None:
        """Make the page this wide, in CSS pixels."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def scheme(self, name: str) -> None:
        """Prefer "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self._devtools("Emulation.setEmulatedMedia", features=features)

    def open(self, path: Path) -> None:
        self._post("/url", {"url": path.as_uri()})

    def run(self, script: str, *arguments: object) -> object:
        """Run a script in the page; what it returns, awaited."""
        return self._post("/execute/sync", {"script": script, "args": list(arguments)})

    def keys(self, text: str) -> None:
        """Type on the keyboard, to what has the focus."""
        actions = [{"type": kind, "value": c} for c in text for kind in ("keyDown", "keyUp")]
        self._post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def log(self, kind: str) -> list[dict]:
        """What came since the last time: "browser" (errors) or "performance" (the network)."""
        return self._post("/se/log", {"type": kind})

    def picture(self, path: Path, whole: bool = False) -> None:
        """Write a screenshot as PNG, of the whole page or of what the window shows."""
        shot = self._devtools("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path: Path) -> None:
        """Write the page as it is printed."""
        path.write_bytes(base64.b64decode(self._devtools("Page.printToPDF")["data"]))

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            request = urllib.request.Request(self._address, method="DELETE")
            urllib.request.urlopen(request).close()
        finally:
            self._driver.terminate()
            self._driver.wait()
            self._folder.cleanup()
