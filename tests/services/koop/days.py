"""The days that the tests of the ingestion take from the double, and readers of the output's files."""

from collections import Counter
from datetime import date

from jobs.runtime.output import Output
from testbed.doubles.koop import KoopServer, Richness

DAY, EMPTY, NEXT = date(2023, 3, 1), date(2023, 3, 2), date(2023, 3, 3)
DECISIONS = {DAY: 14, EMPTY: 0, NEXT: 6}
DAYS = list(DECISIONS)
SEED = 7
FEW = Richness(others=5, attached=0.15)  # of PDFs, each of which a process draws: three on DAY, one on NEXT


def files(output: Output) -> list[str]:
    return [path for path in output.list() if not path.startswith("manifests/")]


def everything(output: Output) -> dict[str, bytes]:
    """All files of an output except its manifests, which contain times."""
    return {path: output.read_bytes(path) or b"" for path in files(output)}


def named(koop: KoopServer, day: date) -> Counter[tuple[str, str, int | None]]:
    """Every picture of a day: publication, name, page."""
    expected: Counter[tuple[str, str, int | None]] = Counter()
    for one in koop.collection.decisions(day):
        expected.update((one.identifier, picture.name, None) for picture in one.pictures)
        for attachment in one.attachments:
            expected.update((one.identifier, attachment.filename, page + 1) for page in range(len(attachment.pages)))
    return expected
