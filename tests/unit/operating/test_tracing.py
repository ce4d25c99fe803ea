"""Tracing: when it is on, what is refused, which spans go out, and what a collector that is away costs."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from configs import tracing
from configs.project import PROJECT
from configs.serving import enabled_only
from configs.settings import SettingsError
from deployments.runtime.batching import Batcher
from deployments.runtime.tracing import BatchTracer, SampledTraces, span_processors
from serve_app.app import build
from testbed.doubles.otlp import Collector, attributes
from testbed.processes import free_port
from tests.unit.operating.test_serve_config import CONFIG

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of OpenTelemetry is set but what a test sets."""
    for name in (*tracing.ENDPOINTS, *tracing.PROTOCOLS, tracing.RATIO):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "tested")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as server:
        monkeypatch.setenv(ENDPOINT, server.address)
        yield server


def provider(*processors: SpanProcessor) -> TracerProvider:
    """A provider as Serve makes one."""
    made = TracerProvider(shutdown_on_exit=False)
    for processor in processors:
        made.add_span_processor(processor)
    return made


def test_without_an_endpoint_the_config_says_nothing_and_nothing_is_imported() -> None:
    assert "tracing_config" not in enabled_only(CONFIG)
    code = (
        "import sys, deployments.runtime.worker as r; r.Worker(list, list, print); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("name", tracing.ENDPOINTS)
def test_an_endpoint_switches_it_on(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:4318")
    said = enabled_only(CONFIG)["tracing_config"]
    assert said == {"enabled": True, "exporter_import_path": tracing.EXPORTER, "sampling_ratio": 1.0}
    assert f"{span_processors.__module__}:{span_processors.__name__}" == tracing.EXPORTER
    own = {"enabled": False}
    assert enabled_only(CONFIG | {"tracing_config": own})["tracing_config"] == own


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (ENDPOINT, "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://collector:4317"),
        (ENDPOINT, "http://[::1"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_TRACES_SAMPLER_ARG", "often"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")
    monkeypatch.setenv(name, value)
    for start in (lambda: enabled_only(CONFIG), lambda: build({}), span_processors):
        with pytest.raises(SettingsError, match=rf"^Cannot start: {name}: .*$"):
            start()


def test_make_serve_tells_the_proxies_too() -> None:
    assert f"RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH={tracing.EXPORTER}" in (PROJECT / "Makefile").read_text()


def test_the_check_command_refuses_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "collector:4318")
    refused = subprocess.run([sys.executable, "-m", "configs"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr == f"Cannot start: {ENDPOINT}: must be http(s)://HOST:PORT\n"


def test_without_the_extra_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(tracing, "distribution", absent)
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")
    with pytest.raises(SettingsError, match=rf"^Cannot start: {ENDPOINT} needs the extra 'tracing' .*$"):
        enabled_only(CONFIG)


def test_spans_arrive_under_the_service_s_name(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    processors = span_processors()
    with provider(*processors).get_tracer("test").start_as_current_span("request"):
        pass
    processors[0].shutdown()
    assert [span.name for span in collector.spans] == ["request"]
    assert collector.services == {"panoptes"}


def test_every_process_keeps_the_same_share_of_the_traces_and_each_of_them_whole(collector: Collector) -> None:
    ingress, model = (provider(SampledTraces(OTLPSpanExporter(), 0.25)) for _ in range(2))
    for _ in range(200):
        with ingress.get_tracer("test").start_as_current_span("request") as request:
            model.get_tracer("test").start_span("call", trace.set_span_in_context(request)).end()
    for process in (ingress, model):
        process.shutdown()
    requests = {span.trace_id for span in collector.spans if span.name == "request"}
    assert requests == {span.trace_id for span in collector.spans if span.name == "call"}
    assert 20 < len(requests) < 80  # 50 are expected; outside of this in fewer than one run of a million


def test_a_collector_that_is_away_costs_a_bounded_queue(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    (processor,) = span_processors()
    assert isinstance(processor, SampledTraces)
    tracer = provider(processor).get_tracer("test")
    for _ in range(500):
        tracer.start_span("request").end()
    assert len(processor._batch_processor._queue) <= 16
    processor.shutdown()  # type: ignore[no-untyped-call]
    assert "Queue full" in caplog.text


async def test_a_batch_is_a_span_below_each_of_its_requests(collector: Collector) -> None:
    made = provider(*span_processors())
    tracer, free = made.get_tracer("test"), threading.Event()

    def compute(items: list[int]) -> list[int]:
        assert free.wait(10)
        return items

    batcher: Batcher[int, int] = Batcher(compute, 8, BatchTracer(made))

    async def ask(name: str, items: list[int]) -> None:
        with tracer.start_as_current_span(name):
            await batcher.submit(items)

    asked = [asyncio.create_task(ask("first", [0]))]
    while not batcher.batches:
        await asyncio.sleep(0)
    asked += [asyncio.create_task(ask("second", [1, 2])), asyncio.create_task(ask("third", [3]))]
    untraced = asyncio.create_task(batcher.submit([4]))
    while batcher.waiting < 4:
        await asyncio.sleep(0)
    free.set()
    await asyncio.gather(*asked, untraced)
    made.shutdown()
    names = {span.span_id: span.name for span in collector.spans}
    found = {
        (names[span.parent_span_id], *attributes(span.attributes).values())
        for span in collector.spans
        if span.name == "batch"
    }
    assert found == {("first", 1, 1), ("second", 4, 2), ("third", 4, 1)}
