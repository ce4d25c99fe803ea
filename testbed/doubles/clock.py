"""A clock that stands still unless a test moves it."""


class Clock:
    """Called, it gives `now` in seconds. Sleeping on it takes no time and moves it.

    Attributes:
        waits: the seconds of every sleep.
    """

    def __init__(self) -> None:
        self.now, self.waits = 1000.0, list[float]()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """In place of asyncio.sleep."""
        self.now += seconds
        self.waits.append(seconds)
