"""What an error of another library says, made fit for a client: the one way of such texts into answers and reports.

Libraries put paths, addresses, keys and stack traces into their messages, and providers repeat what they were sent.
"""

import re

LONGEST = 300  # characters of a text that is passed on
MOST_READ = 2_000  # characters of a text that are searched, long enough for LONGEST characters to be left

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Everything from here on is a stack trace: of Python, Ray, torch or another language.
_TRACE = re.compile(
    r"Traceback \(most recent call|^[ \t]*File \"[^\"\n]*\", line \d|\bray::\w|\(pid=\d+, ip=|Exception raised from "
    r"|^[ \t]*frame #\d|^[ \t]*at [\w$.<>]+\(|C\+\+ CapturedTraceback|\b[Ss]tack ?trace:",
    re.MULTILINE,
)
_CODE = r"(?:py[a-z]?|so[\d.]*|cc?|cpp|cuh?|h|hpp|rs|go|jsx?|ts|java)"
_DATA = r"(?:env|db|sqlite3?|pem|key|crt|ya?ml|json|toml|ini|cfg|conf|log|te?xt|bin|pth?|ckpt|onnx|h5|safetensors|npz?)"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]*", "[url]"),
        (r"<[^<>]*\b0x[0-9a-f]+[^<>]*>", "[object]"),
        (r"\b0x[0-9a-f]{3,}\b", "[address]"),
        # Keys: by their schemes, by the names before them, by their known beginnings, and whatever is long enough.
        (r"\b(bearer|basic|digest|apikey)\s+(?=[^\s\"']*[\d=_-])[^\s\"',;]+", r"\1 [key]"),
        (
            r"([\w-]{0,40}(?:api[-_ ]?key|token|secret|passw(?:or)?d|passphrase|\bpwd|authorization|credentials?"
            r"|signature|cookie|private[-_ ]?key|access[-_ ]?key(?:[-_ ]?id)?)(?: provided| is| was)?"
            r"\\?[\"']?\s*[:=]\s*\\?)"
            r"(?!\[|bearer \[|basic \[)(?:(?:bearer|basic|token)\s+)?(?:\"[^\"]*\"|'[^']*'|[^\s,;)}\]\"']+)",
            r"\1[key]",
        ),
        (r"\b(?:sk|pk|rk|hf|gh[a-z]|github_pat|glpat|xox[a-z]|gsk|r8)[-_][\w*-]{4,}", "[key]"),
        (r"\b(?:AKIA|ASIA|AIza|ya29\.|eyJ)[\w.-]{8,}", "[key]"),
        # Paths: in quotation marks, where they may contain spaces; absolute; of Windows; relative ones to a file.
        (r"([\"'`])(?:[a-z]:[\\/]|~?/|\.{1,2}/|\\\\)[^\"'`]*\1", "[path]"),
        (r"(?<![\w:./<\]])~?(?:/[\w.@+~%,=:-]+)+/?", "[path]"),
        (r"(?<!\w)(?:[a-z]:[\\/]|\\\\)[^\s\"']+", "[path]"),
        (rf"(?<![\w/])\.{{0,2}}(?:[\w.-]+[\\/])+[\w.-]+\.(?:{_CODE}|{_DATA})\b(?::\d+)*", "[path]"),
        (r"(?<![\w/\[])[\w.-]+(?:/[\w.-]+){2,}", "[path]"),
        (rf"\b[\w-]+\.{_CODE}:\d+(?::\d+)*", "[path]"),
        # Hosts and people.
        (r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*", "[address]"),
        (r"\bhost(?:name)?\b(\s*[=:]?\s*)(?:\"[^\"]*\"|'[^']*')", r"host\1[address]"),
        (r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])", "[address]"),
        (r"\[[0-9a-f]*:[0-9a-f:.]+\](?::\d+)?|(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{1,4}(?![\w:])", "[address]"),
        (r"\b(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+):\d{2,5}\b", "[address]"),
        (r"(?<![\w+/=-])(?=[\w+/=-]*\d)[\w+/=-]{32,}", "[key]"),
        (r"\b[0-9a-f]{24,}\b", "[key]"),
    )
)


def named(error: BaseException, longest: int = LONGEST) -> str:
    """The class of another library's error and what it says; its class alone where nothing is left of the text."""
    name, text = type(error).__name__, foreign(error, longest)
    return name if text == name else f"{name}: {text}"


def foreign(error: BaseException | str, longest: int = LONGEST) -> str:
    """What another library's error says, in one line, without stack traces, paths, addresses, keys and object reprs.

    Args:
        error: the error, or a text that another library or process made.
        longest: most characters; the rest is cut off.

    Returns:
        The text; the name of the error's class where nothing else is left.
    """
    name = "no reason given" if isinstance(error, str) else type(error).__name__
    try:
        text = str(error)
    except Exception:  # an error whose own text cannot be made
        return name
    text = _COLOURS.sub("", text[: 10 * MOST_READ])
    if trace := _TRACE.search(text):
        text = text[: trace.start()]
    if len(text) > MOST_READ:
        text = text[:MOST_READ].rpartition(" ")[0] or text[:MOST_READ]  # no half of a key, which would not be known
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return text[:longest].rstrip(" :,;-") or name
