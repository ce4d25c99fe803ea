"""The ingestion's command line: defaults, options, and one line for each mistake."""

from datetime import date

import pytest

from jobs.koop.arguments import Arguments, read
from jobs.koop.ingest import run
from jobs.runtime.errors import JobRefused

DAYS = ["--start", "2023-01-01", "--end", "2023-01-03"]


def given(*words: str) -> Arguments:
    return read([*DAYS, "--output", "data/koop", *words], 1_000_000)


def test_the_defaults() -> None:
    arguments = given()
    assert arguments.days == (date(2023, 1, 1), date(2023, 1, 2), date(2023, 1, 3))
    assert (arguments.rate, arguments.burst, arguments.days_in_flight) == (0.85, 50, 4)
    assert arguments.options.selection.by == "available"
    assert arguments.options.keep == "maps-and-aerial"
    assert arguments.options.min_bytes == 0
    assert arguments.options.max_pixels == 1_000_000
    assert arguments.endpoints.sru == "https://repository.overheid.nl/sru"


def test_every_option() -> None:
    arguments = given(
        *("--by", "modified", "--filter", "maps", "--signs", "c1", "E06", "--provinces", "friesland", "Utrecht"),
        *("--municipalities", "'s-Gravenhage", "--exclude-words", "laadpaal", "--cql", "dt.title any fiets"),
        *("--min-bytes", "50000", "--max-records", "7", "--max-pages", "9", "--page-side", "600", "--force"),
        *("--rate", "2.5", "--burst", "3", "--days-in-flight", "2", "--application", "other"),
    )
    selection = arguments.options.selection
    assert selection.by == "modified"
    assert selection.signs == ("C1", "E6")
    assert selection.provinces == ("Fryslân", "Utrecht")
    assert selection.municipalities == ("'s-Gravenhage",)
    assert selection.without_words == ("laadpaal",)
    options = arguments.options
    assert (options.keep, options.min_bytes, options.max_records) == ("maps", 50_000, 7)
    assert (options.max_pages, options.page_side) == (9, 600)
    assert (arguments.rate, arguments.burst, arguments.days_in_flight) == (2.5, 3, 2)
    assert (arguments.force, arguments.dry_run, arguments.application) == (True, False, "other")


def test_endpoints_by_option_and_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOOP_SRU_URL", "http://localhost:1/sru")
    monkeypatch.setenv("KOOP_SITE_URL", "http://localhost:1/site/")
    monkeypatch.setenv("KOOP_ATTACHMENTS_URL", "")
    endpoints = given("--site-url", "http://localhost:2/").endpoints
    assert endpoints.sru == "http://localhost:1/sru"
    assert endpoints.site == "http://localhost:2"
    assert endpoints.attachments == "https://repository.officiele-overheidspublicaties.nl/externebijlagen"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--start", "2023-02-30"], "'2023-02-30' is not a date: write one such as 2023-01-31"),
        (["--end", "yesterday"], "'yesterday' is not a date"),
        (["--end", "2022-12-31"], "--end 2022-12-31 lies before --start 2023-01-01"),
        (["--provinces", "Holland"], "'Holland' is not a province: choose from Drenthe, Flevoland, Fryslân"),
        (["--municipalities", "-"], "is not the name of a municipality"),
        (["--signs", "stop"], "'stop' is not a traffic sign"),
        (["--by", "created"], "invalid choice: 'created'"),
        (["--filter", "photos"], "invalid choice: 'photos'"),
        (["--cql", "a (b"], "do not match"),
        (["--min-bytes", "-1"], "'-1' is not a whole number"),
        (["--max-records", "0"], "'0' is not a whole number of 1 or more"),
        (["--rate", "0"], "'0' is not a number of requests per second above 0"),
        (["--rate", "nan"], "'nan' is not a number"),
        (["--sru-url", "repository.overheid.nl"], "is not an http(s) URL"),
        (["--site-url", "file:///etc"], "is not an http(s) URL"),
        (["--sru-url", "http://["], "'http://[' is not an http(s) URL"),
        (["--sru-url", "http://user:word@host/sru"], "'http://host/sru' is not an http(s) URL without credentials"),
        (["--output", ""], "--output is missing"),
        (["--speed", "9"], "nrecognized arguments: --speed 9 (see --help)."),
    ],
)
def test_impossible_options_are_refused_in_one_line(words: list[str], why: str) -> None:
    with pytest.raises(JobRefused) as refused:
        given(*words)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_options_are_named() -> None:
    with pytest.raises(JobRefused, match=r"^The following arguments are required: --start, --end \(see --help\)\.$"):
        read([], 1)


def test_an_impossible_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_MAX_BATCH", "none")
    with pytest.raises(JobRefused, match="CLIP_MAX_BATCH"):
        run([*DAYS, "--dry-run"])
