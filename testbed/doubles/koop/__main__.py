"""A KOOP with which to try the ingestion: `python -m testbed.doubles.koop --days 2023-01-01:95,2023-01-02:0`."""

import argparse
import time
from datetime import date

from testbed.doubles.koop.publications import Richness
from testbed.doubles.koop.server import KoopServer


def days(text: str) -> dict[date, int]:
    """ "2023-01-01:95,2023-01-02:0" -> the number of traffic decisions on each day."""
    pairs = (part.split(":") for part in text.split(","))
    return {date.fromisoformat(day): int(count) for day, count in pairs}


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m testbed.doubles.koop", description=__doc__)
    parser.add_argument("--port", type=int, default=8999)
    parser.add_argument("--days", type=days, default="2023-01-01:95", help="DATE:DECISIONS, separated by commas")
    parser.add_argument("--seed", type=int, default=0, help="of the publications")
    parser.add_argument("--pictures", type=int, default=3, help="the most pictures of a decision")
    parser.add_argument("--attached", type=float, default=1 / 3, help="the share of decisions with attachments, 0-1")
    parser.add_argument("--fail-rate", type=float, default=0, help="the share of requests that fail, 0-1")
    arguments = parser.parse_args()
    richness = Richness(pictures=arguments.pictures, attached=arguments.attached)
    with KoopServer(arguments.days, seed=arguments.seed, richness=richness, port=arguments.port) as server:
        server.faults.fail_rate = arguments.fail_rate
        print(f"KOOP's double at {server.address}: {len(server.collection.all)} publications. Stop it with Ctrl-C.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("Stopped.")


if __name__ == "__main__":
    main()
