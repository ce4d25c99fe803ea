"""What the README claims, measured again by one command each.

sections/ writes the sections of RESULTS.md; accuracy/, gpu/ and reliability/ measure what their names say; rivals/ are
the servers that Panoptes is compared with.
"""

from pathlib import Path

# Until 0.2: the commands of sections/ and accuracy/ lay here, so `python -m benchmarks.analyze` still finds
# `benchmarks.sections.analyze`.
__path__ += [str(Path(__file__).parent / room) for room in ("sections", "accuracy")]
