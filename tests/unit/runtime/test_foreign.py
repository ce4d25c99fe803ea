"""What errors of other libraries say reaches nobody unfiltered: no paths, traces, addresses, keys or objects."""

import ast
import builtins
import re
import time
from collections.abc import Iterator

import pytest

from configs.project import PROJECT
from deployments.wire.foreign import LONGEST, foreign

KEY = "Zx81kQ-22_mmP0aa"
SECRETS = [
    "/srv/panoptes/models/clip.py", "/home/alice/.env", "/etc/passwd", "C:\\Users\\alice\\keys.txt", "~/private/x.pem",
    "deployments/models/clip/model.py", "site-packages/litellm/main", "10.1.2.3:5432", "db.internal.example:5432",
    "0x7f3a9c0d2b10", KEY, "alice@db.internal", "hunter2", "fe80::1:2:3:4", "192.168.7.9",
]  # fmt: skip
SAID = [
    'Invalid response object Traceback (most recent call last):\n  File "/srv/panoptes/models/clip.py", line 3, in f\n'
    f"    key = '{KEY}'\nKeyError: 'x'",
    'failed\n  File "/srv/panoptes/models/clip.py", line 3, in f',
    "\x1b[36mray::Clip.embed()\x1b[39m (pid=7, ip=10.1.2.3)\n  broken at /srv/panoptes/models/clip.py",
    "CUDA error: out of memory\nException raised from c10_cuda at /srv/panoptes/models/clip.py:43 (most recent call "
    f"first):\nframe #0: {KEY}",
    "[Errno 2] No such file or directory: '/home/alice/.env'",
    "[Errno 13] Permission denied: '/srv/panoptes/with spaces/hunter2'",
    "cannot open /etc/passwd: denied", "cannot open C:\\Users\\alice\\keys.txt", "no key ~/private/x.pem",
    "file:///etc/passwd is not readable", "see deployments/models/clip/model.py:118", "clip.py:118: assertion failed",
    "in site-packages/litellm/main", f"Incorrect API key provided: {KEY}", f"Authorization: Bearer {KEY}",
    f"Bearer {KEY} is not valid", f"X-Api-Key: {KEY}", f"headers {{'x-api-key': '{KEY}', 'accept': '*/*'}}",
    f"api_key={KEY}&x=1", f"?token={KEY}", f"password = {KEY}", f'{{"secret": "{KEY}"}}', f"Basic {KEY}=",
    "sk-proj-abcDEF0123", "key hf_abcdefghijkl", "AKIAIOSFODNN7EXAMPLE", "AIzaSyA-abcdefgh1", "ghp_0123456789abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "ya29.a0AfH6SMBx12",
    "https://alice:hunter2@db.internal/x failed", "postgresql+asyncpg://alice:hunter2@10.1.2.3:5432/catalogue refused",
    "redis://:hunter2@10.1.2.3 down", "GET https://store.example/x?X-Amz-Signature=hunter2 failed",
    'connection to server at "db", host "hunter2", port 5432 failed', "HTTPConnectionPool(host='hunter2', port=80)",
    "Cannot connect to 10.1.2.3:5432", "Cannot connect to db.internal.example:5432", "[fe80::1:2:3:4]:80 refused",
    "alice@db.internal is unknown", "no route to 192.168.7.9",
    "<PIL.JpegImagePlugin.JpegImageFile image mode=RGB at 0x7F3A9C0D2B10>", "object at 0x7f3a9c0d2b10",
    f"data {'QUJD' * 40}0", f"digest {'0a' * 16}", f"x {'aB3' * 15}",
    f"Server error '500' for url 'https://host/v1?key={KEY}'\nFor more information check: https://httpstatuses.com/500",
]  # fmt: skip
KNOWN_KEYS = re.compile(r"sk-proj|hf_abc|AKIA|AIza|ghp_|eyJ|ya29|QUJDQUJD|0a0a0a|aB3aB3|hunter2", re.IGNORECASE)


@pytest.mark.parametrize("said", SAID)
def test_nothing_of_this_machine_or_its_keys_is_passed_on(said: str) -> None:
    for text in (foreign(RuntimeError(said)), foreign(said), foreign(f"The provider says: {said}")):
        assert not [secret for secret in SECRETS if secret.lower() in text.lower()], text
        assert not KNOWN_KEYS.search(text), text
        assert "\n" not in text
        assert "Traceback" not in text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("Incorrect padding"), "Incorrect padding"),
        (ValueError("This model's maximum context length is 8192 tokens"), None),
        (ValueError("max_tokens: 500 and/or n=1/2 is N/A for gpt-4o (image/jpeg)"), None),
        (ValueError("invalid model timm/vit_base: unknown 'size' 224x224"), None),
        (ValueError("a\n  b\t\x00c\u202e"), "a b c"),
        (ValueError(""), "ValueError"),
        (ValueError("Traceback (most recent call last):\n…"), "ValueError"),
        (FileNotFoundError(2, "No such file or directory", "/srv/x"), "[Errno 2] No such file or directory: [path]"),
        (KeyError("x"), "'x'"),
        ("", "no reason given"),
    ],
)
def test_what_helps_is_kept(error: Exception | str, text: str | None) -> None:
    assert foreign(error) == (str(error) if text is None else text)
    assert foreign(foreign(error)) == foreign(error)


def test_an_error_without_a_text_is_named() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert foreign(Mute()) == "Mute"


@pytest.mark.parametrize("said", ["a" * 10**6, "/" * 10**5, "a/" * 10**5, "a." * 10**5, "\\" * 10**5, ":" * 10**5,
                                  "<" * 10**5, "key=" * 10**5, "a@" * 10**5, "1:" * 10**5, "'/" * 10**5])  # fmt: skip
def test_a_long_text_is_cut_and_read_quickly(said: str) -> None:
    started = time.process_time()
    assert len(foreign(said)) <= LONGEST
    assert time.process_time() - started < 10


OURS = {
    name
    for path in PROJECT.rglob("*.py")
    if path.relative_to(PROJECT).parts[0] in {"configs", "deployments", "serve_app", "jobs"}
    for name in re.findall(r"^class (\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    if not hasattr(builtins, name)
}


def unfiltered(tree: ast.Module) -> Iterator[int]:
    """The lines where the text of an error that is not ours is put into another text."""
    for handler in (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name):
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        named = {kind.id if isinstance(kind, ast.Name) else getattr(kind, "attr", "") for kind in kinds}
        if named <= OURS:
            continue
        for node in (node for node in ast.walk(handler) if isinstance(node, ast.expr)):
            shown = node.value if isinstance(node, ast.FormattedValue) else None
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"str", "repr"}:
                shown = node.args[0] if node.args else None
            if isinstance(shown, ast.Name) and shown.id == handler.name:
                yield node.lineno


# Errors of ours that are ValueErrors, and what a sandboxed process sends: its parent filters that.
FILTERED_ELSEWHERE = {
    "deployments/catalogue/spec.py",
    "deployments/sandbox/child.py",
    "jobs/koop/arguments.py",
    "jobs/koop/fetching/page_renderer.py",
    "jobs/koop/search/records.py",
}


def test_no_text_of_another_library_s_error_is_used_unfiltered() -> None:
    found = [
        f"{path.relative_to(PROJECT)}:{line}"
        for folder in ("deployments", "serve_app", "jobs")
        for path in sorted((PROJECT / folder).rglob("*.py"))
        if str(path.relative_to(PROJECT)) not in FILTERED_ELSEWHERE
        for line in unfiltered(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found


def test_the_check_above_finds_what_it_looks_for() -> None:
    handler = "try:\n    pass\nexcept {} as error:\n    raise X(f'a {{error}}')\n"
    assert list(unfiltered(ast.parse(handler.format("OSError")))) == [4]
    assert list(unfiltered(ast.parse(handler.format("(ModelFailed, OSError)")))) == [4]
    assert not list(unfiltered(ast.parse(handler.format("ModelFailed"))))
    assert not list(unfiltered(ast.parse(handler.format("OSError").replace("{error}", "{foreign(error)}"))))
