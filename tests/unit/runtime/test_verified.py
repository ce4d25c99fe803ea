"""Files of weights: a wrong byte is refused, a download that breaks off leaves nothing, what is read was compared."""

import hashlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.registry import read_entry
from deployments.models.emotion.settings import EmotionEntry
from deployments.models.quality.settings import QualityEntry
from deployments.runtime import verified
from deployments.runtime.errors import WeightsNotFound
from deployments.runtime.weights import choose_file
from testbed.doubles.loopback import LoopbackServer, QuietHandler

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WRONG = CONTENT[:-1] + b"x"


class _Handler(QuietHandler):
    def do_GET(self) -> None:  # noqa: N802 (the name that http.server calls)
        deeds = {"/weights.bin": CONTENT, "/wrong.bin": WRONG, "/torn.bin": CONTENT[: len(CONTENT) // 2]}
        if self.path not in deeds:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(deeds[self.path])
        self.close_connection = True


@pytest.fixture
def hub() -> Iterator[str]:
    with LoopbackServer("127.0.0.1", _Handler) as server:
        yield server.address


@pytest.mark.parametrize("sha256", [SHA256, SHA256[:8], SHA256.upper(), None])
def test_a_file_is_downloaded_once_and_read(hub: str, tmp_path: Path, sha256: str | None) -> None:
    target = tmp_path / "deep" / "weights.bin"
    assert verified.fetch(f"{hub}/weights.bin", target, sha256) == target
    assert verified.read(target, sha256) == CONTENT
    assert verified.fetch("http://127.0.0.1:1/nowhere", target, sha256) == target
    assert [path.name for path in target.parent.iterdir()] == ["weights.bin"]


def test_a_wrong_byte_is_refused_and_not_kept(hub: str, tmp_path: Path) -> None:
    target = tmp_path / "weights.bin"
    with pytest.raises(WeightsNotFound) as refused:
        verified.fetch(f"{hub}/wrong.bin", target, SHA256)
    for part in (f"{hub}/wrong.bin", SHA256, hashlib.sha256(WRONG).hexdigest(), str(target), "VERIFY_WEIGHTS=false"):
        assert part in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["torn.bin", "missing.bin"])
@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_download_that_fails_leaves_nothing(hub: str, tmp_path: Path, path: str, sha256: str | None) -> None:
    with pytest.raises(WeightsNotFound, match=f"{path} cannot be stored as"):
        verified.fetch(f"{hub}/{path}", tmp_path / "weights.bin", sha256)
    assert not list(tmp_path.iterdir())


def test_a_file_of_the_cache_with_a_wrong_byte_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "weights.bin"
    target.write_bytes(WRONG)
    with pytest.raises(WeightsNotFound, match="Delete the file") as refused:
        verified.read(target, SHA256)
    for part in (str(target), SHA256, hashlib.sha256(WRONG).hexdigest()):
        assert part in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFound, match=r"weights\.bin cannot be read"):
        verified.read(tmp_path / "weights.bin", None)


def test_a_hash_that_nobody_published_is_logged(hub: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        verified.fetch(f"{hub}/weights.bin", tmp_path / "weights.bin", None)
    assert SHA256 in caplog.text


def test_parallel_downloads_do_not_disturb_each_other(hub: str, tmp_path: Path) -> None:
    target = tmp_path / "weights.bin"
    threads = [threading.Thread(target=verified.fetch, args=(f"{hub}/weights.bin", target, SHA256)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verified.read(target, SHA256) == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["weights.bin"]


def test_every_file_whose_name_has_a_hash_is_compared_with_it() -> None:
    quality = read_entry("quality", QualityEntry)
    for entry in (
        quality.brisque,
        quality.nima_technical,
        quality.nima_aesthetic,
        read_entry("emotion", EmotionEntry).network,
    ):
        named = entry.file.rpartition(".")[0].rpartition("-")[2]
        if named != entry.file.rpartition(".")[0]:
            assert entry.sha256 is not None
            assert entry.sha256.startswith(named)


def test_weights_of_one_s_own_are_accepted_when_nothing_is_verified(tmp_path: Path) -> None:
    entry = read_entry("quality", QualityEntry).nima_technical
    (tmp_path / entry.file).write_bytes(WRONG)
    with pytest.raises(WeightsNotFound, match="expected 250367ae"):
        choose_file("nima", entry, tmp_path, "hub").read()
    assert choose_file("nima", entry, tmp_path, "hub", verify=False).read() == WRONG
