"""The search of KOOP's double: CQL, paging, diagnostics, and the faults that can be switched on."""

from dataclasses import dataclass
from datetime import date

import httpx
import pytest

from testbed.doubles.koop import Bucket, Drawings, Fault, KoopServer, Rule
from testbed.doubles.koop.cql import Fields, parse
from testbed.doubles.koop.faults import TRANSIENT, Faults
from testbed.doubles.koop.publications import INDEXES
from testbed.doubles.koop.wording import OLDER_TYPE, TYPE
from tests.services.koop.double import BUSY, DAYS, DIAG, SRU, USUAL, day_query, identifiers, searched


@pytest.mark.parametrize("day", DAYS)
def test_a_day_is_complete_page_by_page(koop: httpx.Client, koop_server: KoopServer, day: date) -> None:
    found, position = [], 1
    while position:
        answer = searched(koop, f"{day_query(day)} sortBy dt.identifier", startRecord=position, maximumRecords=1000)
        assert answer.findtext(f"{SRU}numberOfRecords") == str(DAYS[day])
        found += identifiers(answer)
        position = int(answer.findtext(f"{SRU}nextRecordPosition", "0"))
    assert found == sorted(one.identifier for one in koop_server.collection.decisions(day))
    assert len(set(found)) == DAYS[day]


def test_a_day_has_more_than_its_decisions(koop: httpx.Client) -> None:
    answer = searched(koop, f"dt.available=={USUAL}", maximumRecords=0)
    assert answer.findtext(f"{SRU}numberOfRecords") == "135"
    assert answer.find(f"{SRU}records") is None
    for one_type in (TYPE, OLDER_TYPE):
        some = searched(koop, f'dt.available=={USUAL} AND dt.type=="{one_type}"', maximumRecords=0)
        assert 0 < int(some.findtext(f"{SRU}numberOfRecords", "0")) < 95


def test_a_page_has_at_most_a_thousand_records(koop: httpx.Client) -> None:
    answer = searched(koop, day_query(BUSY), maximumRecords=5000)
    assert len(identifiers(answer)) == 1000
    assert answer.findtext(f"{SRU}nextRecordPosition") == "1001"


def test_corrections_are_found_by_the_day_on_which_they_were_made(koop: httpx.Client, koop_server: KoopServer) -> None:
    corrected = next(one for one in koop_server.collection.decisions(BUSY) if one.modified > one.available)
    answer = searched(koop, f"dt.modified=={corrected.modified} AND dt.available<{corrected.modified}")
    assert corrected.identifier in identifiers(answer)


QUERIES = {
    'dt.title == "De \\"Brink\\" [2] & Één"': "a",
    'dt.title = "brink 2"': "a",
    'dt.title adj "de brink"': "ab",
    'dt.title any "één fiets*"': "ac",
    'dt.title ALL "één de"': "a",
    "dt.title any f?etspad": "c",
    "w.jaargang < 2023": "b",
    "w.jaargang >= 2023": "ac",
    "w.jaargang <> 2023": "b",
    "dt.available > 2023-01-01 AND dt.available <= 2023-01-03": "bc",
    "dt.type == X or dt.type == Y and w.jaargang == 2022": "b",
    "dt.type == X or (dt.type == Y and w.jaargang == 2022)": "ab",
    "dt.type == X NOT w.jaargang == 2023": "",
    "(cql.allRecords = 1) sortBy dt.title/sort.descending": "acb",
    "cql.allRecords=1 SORTBY w.jaargang dt.available/sort.descending": "bca",
    "cql.allRecords=1 sortBy w.publicatienummer": "bac",
}


@dataclass(frozen=True)
class Searched:
    """A record for trying queries on."""

    name: str
    fields: Fields


def tried(name: str, title: str, available: str, types: list[str], year: str, number: str) -> Searched:
    """A record of a few fields."""
    fields = {"dt.title": [title], "dt.available": [available], "dt.type": types, "w.jaargang": [year]}
    return Searched(name, fields | {"w.publicatienummer": [number], "cql.allrecords": ["1"]})


TRIED = [
    tried("a", 'De "Brink" [2] & Één', "2023-01-01", ["X", "Z"], "2023", "10"),
    tried("b", "Aan de Brink, fase 2", "2023-01-02", ["Y"], "2022", "9"),
    tried("c", "Coupure fietspad", "2023-01-03", ["Z"], "2023", "11"),
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_selects(query: str) -> None:
    assert "".join(one.name for one in parse(query, INDEXES).select(TRIED)) == QUERIES[query]


REFUSED = {
    "": 7, "dt.title": 10, "dt.title ==": 10, 'dt.title == "open': 10, "(dt.title == a": 10, "dt.title == a)": 10,
    "dt.title == a AND": 10, "dt.title == a AND NOT dt.title == b": 10, "NOT dt.title == a": 10, "dt.title == two words": 10,
    "dt.subject2 == a": 16, "title == a": 16, "dt.title within a": 19, "dt.title =/fuzzy a": 20, "dt.title == a sortBy": 10,
    "dt.title == a sortBy dt.title/up": 20, "dt.available == yesterday": 36, "w.jaargang < soon": 36, 'dt.title any "&"': 27,
}  # fmt: skip


@pytest.mark.parametrize("query", REFUSED)
def test_a_wrong_query_is_answered_with_a_diagnostic(koop: httpx.Client, query: str) -> None:
    answer = searched(koop, query)
    assert answer.findtext(f"{SRU}diagnostics/{DIAG}diagnostic/{DIAG}uri") == f"info:srw/diagnostic/1/{REFUSED[query]}"
    assert answer.findtext(f"{SRU}diagnostics/{DIAG}diagnostic/{DIAG}message")
    assert answer.find(f"{SRU}numberOfRecords") is None


@pytest.mark.parametrize(
    ("parameter", "number"),
    [({"maximumRecords": "-1"}, 6), ({"startRecord": "0"}, 6), ({"startRecord": "96"}, 61), ({"version": "1.2"}, 5),
     ({"operation": "explain"}, 4), ({"sortKeys": "title"}, 8)],
)  # fmt: skip
def test_a_wrong_parameter_is_answered_with_a_diagnostic(
    koop: httpx.Client, parameter: dict[str, str], number: int
) -> None:
    uri = searched(koop, day_query(USUAL), **parameter).findtext(f".//{DIAG}uri")
    assert uri == f"info:srw/diagnostic/1/{number}"


def test_clients_that_do_not_accept_xml_get_json(koop: httpx.Client) -> None:
    parameters = {"query": day_query(USUAL), "maximumRecords": "2"}
    response = koop.get("/sru", params=parameters, headers={"Accept": "*/*"})
    answer = response.json()["searchRetrieveResponse"]
    assert answer["numberOfRecords"] == "95"
    assert [one["recordPosition"] for one in answer["records"]["record"]] == ["1", "2"]


def test_the_same_seed_publishes_the_same(koop_server: KoopServer) -> None:
    again, other = (KoopServer(DAYS, seed=seed, drawings=Drawings(10, side=(64, 90))) for seed in (0, 1))
    with again, other:
        assert again.collection.all == koop_server.collection.all
        assert other.collection.all != koop_server.collection.all


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Fault.LIMITED, 429), (Fault.LIMITED_SECONDS, 429), (Fault.LIMITED_DATE, 429), (Fault.BROKEN, 500),
     (Fault.UNAVAILABLE, 503), (Fault.EMPTY, 200), (Fault.HTML, 200), (Fault.LOOP, 302), (Fault.SLOW, 200)],
)  # fmt: skip
def test_a_rule_affects_the_requests_that_it_names(
    koop: httpx.Client, koop_server: KoopServer, fault: Fault, status: int
) -> None:
    koop_server.faults.rules.append(Rule(fault, path="^/sru$", query=str(BUSY), nth={2}, seconds=0.01))
    answers = [koop.get("/sru", params={"query": f"dt.available=={day}"}) for day in (BUSY, USUAL, BUSY, BUSY)]
    assert [answer.status_code for answer in answers] == [200, 200, status, 200]
    whole = answers[0].content
    assert [answer.content == whole for answer in (answers[2], answers[3])] == [fault is Fault.SLOW, True]
    assert ("Retry-After" in answers[2].headers) == (fault in {Fault.LIMITED_SECONDS, Fault.LIMITED_DATE})


@pytest.mark.parametrize("fault", [Fault.TRUNCATED, Fault.CLOSED])
def test_a_connection_breaks(koop: httpx.Client, koop_server: KoopServer, fault: Fault) -> None:
    koop_server.faults.rules.append(Rule(fault, nth={1}))
    with pytest.raises(httpx.RemoteProtocolError):
        searched(koop, day_query(USUAL))
    assert len(identifiers(searched(koop, day_query(USUAL)))) == 10


@pytest.mark.parametrize(
    ("fault", "count", "records", "following"),
    [(None, "95", [0, 1, 2], "4"), (Fault.MISCOUNTED, "96", [0, 1, 2], "4"), (Fault.MISSING, "95", [0, 1], "4"),
     (Fault.REPEATED, "95", [0, 0, 1], "4"), (Fault.STUCK, "95", [0, 1, 2], "1"), (Fault.REFUSED, None, [], None)],
)  # fmt: skip
def test_a_search_is_wrong(
    koop: httpx.Client,
    koop_server: KoopServer,
    fault: Fault | None,
    count: str | None,
    records: list[int],
    following: str | None,
) -> None:
    query = f"{day_query(USUAL)} sortBy dt.identifier"
    right = sorted(one.identifier for one in koop_server.collection.decisions(USUAL))
    if fault is not None:
        koop_server.faults.rules.append(Rule(fault))
    answer = searched(koop, query, maximumRecords=3)
    assert answer.findtext(f"{SRU}numberOfRecords") == count
    assert identifiers(answer) == [right[place] for place in records]
    assert answer.findtext(f"{SRU}nextRecordPosition") == following


def test_a_share_of_the_requests_fails_and_the_same_ones_for_a_seed(
    koop: httpx.Client, koop_server: KoopServer
) -> None:
    def struck(seed: int) -> list[Fault | None]:
        faults = Faults(seed)
        faults.fail_rate = 0.3
        rules = (faults.strike("/sru", "") for _ in range(400))
        return [None if rule is None else rule.fault for rule in rules]

    assert struck(1) == struck(1) != struck(2)
    assert {fault for fault in struck(1) if fault} == set(TRANSIENT)
    assert 80 < sum(fault is not None for fault in struck(1)) < 160


def test_a_bucket_runs_empty(koop: httpx.Client, koop_server: KoopServer) -> None:
    koop_server.faults.bucket = Bucket(size=3, refill=0.001)
    answers = [koop.get("/sru", params={"query": day_query(USUAL)}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert "Retry-After" not in answers[-1].headers


def test_requests_are_logged(koop: httpx.Client, koop_server: KoopServer) -> None:
    before = len(koop_server.requests)
    searched(koop, day_query(USUAL))
    koop.get("/one%20name.png")
    first, second = koop_server.requests[before:]
    assert (first.path, first.parameters["query"], first.headers["accept"]) == (
        "/sru",
        day_query(USUAL),
        "application/xml",
    )
    assert (second.path, second.at >= first.at) == ("/one name.png", True)
