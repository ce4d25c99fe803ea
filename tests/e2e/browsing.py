"""The web page as a person uses it, in an automated browser."""

import base64
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.e2e.served import Served

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

TIMEOUT_S = 20


class Page:
    """The page in a browser: what a person does, and what they see."""

    def __init__(self, browser: "Chrome", served: Served) -> None:
        self.browser, self.served = browser, served
        self.width(1280)

    def open(self) -> "Page":
        self.spoken()
        self.browser.get(self.served.url)
        self.run("window.broken = []; addEventListener('securitypolicyviolation', e => broken.push(e.blockedURI));")
        return self

    def spoken(self) -> list[str]:
        """What the browser has logged since the last call."""
        return [entry["message"] for entry in self.browser.get_log("browser")]  # type: ignore[no-untyped-call]

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def until(self, condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + TIMEOUT_S
        while not (value := condition()):
            assert time.monotonic() < end, f"not within {TIMEOUT_S} s; the page says:\n{self.text('body')}"
            time.sleep(0.03)
        return value

    def text(self, selector: str) -> str:
        """The visible text of the first match; empty if there is none."""
        script = (
            "const found = document.querySelector(arguments[0]); return found?.checkVisibility() ? found.innerText : ''"
        )
        return str(self.run(script, selector)).strip()

    def count(self, selector: str) -> int:
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def click(self, selector: str) -> None:
        self.browser.find_element("css selector", selector).click()

    def type(self, selector: str, text: str) -> None:
        self.browser.find_element("css selector", selector).send_keys(text)

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def press_shift_tab(self) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).key_down("\ue008").send_keys("\ue004").key_up("\ue008").perform()

    def focused(self) -> str:
        """The focused element: its id, or its class."""
        return str(self.run("return document.activeElement.id || document.activeElement.className"))

    def tab_to(self, wanted: str) -> list[str]:
        """Press Tab until `wanted` is focused; return what was focused on the way."""
        passed: list[str] = []
        for _ in range(60):
            self.press("\ue004")
            passed.append(self.focused())
            if passed[-1] == wanted:
                return passed
        raise AssertionError(f"Tab never comes to {wanted}: {passed}")

    def drop(self, *files: tuple[str, bytes], media_type: str = "image/png") -> None:
        """Drop files with any name, also names that a disk cannot hold; of a HEIC a browser tells no media type."""
        carried = [[name, base64.b64encode(data).decode()] for name, data in files]
        self.run(
            """
            const transfer = new DataTransfer();
            for (const [name, data] of JSON.parse(arguments[0])) {
              const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
              transfer.items.add(new File([bytes], name, { type: arguments[1] }));
            }
            for (const type of ["dragenter", "dragover", "drop"]) {
              document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
            }
            """,
            json.dumps(carried),
            media_type,
        )

    def processed(self, number: int) -> None:
        """Wait until so many cards show their thumbnail."""
        self.until(lambda: self.count("li[data-status=processed] img:not([hidden])[src]") >= number)

    def width(self, pixels: int, scheme: str = "light") -> None:
        metrics = {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def overflow(self) -> list[str]:
        """The elements that extend past the right edge of the window."""
        return list(
            self.run(
                """
                const wide = document.documentElement.clientWidth;
                if (document.documentElement.scrollWidth <= wide) return [];
                return [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > wide + 1)
                  .map((each) => `${each.tagName}#${each.id}.${each.className}`);
                """
            )
        )

    def assert_nothing_executed(self) -> None:
        # An open alert would already have broken every command before this one.
        assert self.run("return [window.hacked === undefined, broken.length, document.scripts.length]") == [True, 0, 1]
        assert self.count("main img[src='x'], dialog img[src='x'], main script, dialog script") == 0
        spoken = self.spoken()
        assert not [line for line in spoken if "Content Security Policy" in line or "Uncaught" in line], spoken
