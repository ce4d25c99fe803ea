"""The query that a day sends to the search service, and which of the records are kept."""

from datetime import date

import pytest

from jobs.koop.search.query import Selection, quoted, sign_codes
from jobs.koop.search.records import Record
from tests.unit.koop.recorded import record

DAY = date(2023, 10, 27)


def takes(selection: Selection, found: Record) -> bool:
    return selection.left_out(found) is None


def decided_by(scheme: str, name: str) -> str:
    return f'<t:creator scheme="{scheme}">{name}</t:creator>'


def signs(*codes: str) -> str:
    return "".join(f"<w:verkeersbordcode>{code}</w:verkeersbordcode>" for code in codes)


def test_the_query_of_a_day_is_the_site_s_with_both_names_of_the_type() -> None:
    assert Selection().cql(DAY) == (
        'c.product-area=="officielepublicaties" AND dt.available=="2023-10-27" AND '
        '(dt.type=="verkeersbesluit of -mededeling" OR dt.type=="Verkeersbesluiten") '
        "sortBy dt.modified/sort.ascending"
    )


def test_corrections_are_queried_by_their_date() -> None:
    cql = Selection(by="modified").cql(DAY)
    assert 'dt.modified=="2023-10-27"' in cql
    assert cql.endswith("sortBy dt.available/sort.ascending")


def test_filters_that_could_lose_records_are_not_sent() -> None:
    narrow = Selection(signs=("C1",), provinces=("Utrecht",), municipalities=("Haarlem",), without_words=("laadpaal",))
    assert narrow.cql(DAY) == Selection().cql(DAY)


def test_a_filter_is_one_clause() -> None:
    cql = Selection(filter=' dt.title any "fietspad (nieuw" OR dt.title any busbaan ').cql(DAY)
    assert ' AND (dt.title any "fietspad (nieuw" OR dt.title any busbaan) sortBy' in cql


@pytest.mark.parametrize(
    ("cql", "reason"),
    [
        ("dt.title any (a", "do not match"),
        ("a) OR (b", "do not match"),
        ('dt.title any "a', "do not match"),
        (r'dt.title any "a\"', "do not match"),
        ("a sortBy dt.title", "must not sort"),
        ("NOT a", "between two clauses"),
    ],
)
def test_a_filter_that_is_no_clause_is_refused(cql: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Selection(filter=cql)


def test_a_quoted_word_of_cql_is_a_text() -> None:
    assert Selection(filter=r'dt.title any "sortBy (\" NOT"').filter


@pytest.mark.parametrize(
    ("value", "cql"),
    [("Haarlem", '"Haarlem"'), ('de "Brink" (west)', r'"de \"Brink\" (west)"'), ("a\\b", r'"a\\b"'), ("", '""')],
)
def test_values_are_quoted(value: str, cql: str) -> None:
    assert quoted(value) == cql


@pytest.mark.parametrize(
    ("wanted", "codes", "taken"),
    [
        ("E6", ["E6"], True),
        ("e06", ["C1", "E 6"], True),
        ("E6", ["E6a"], False),
        ("E1", ["E12"], False),
        ("E", ["E12"], True),
        ("E", ["C1"], False),
        ("B", ["OB504"], False),
        ("OB504", ["E4, OB504"], True),
    ],
)
def test_signs_are_taken_by_code_or_category(wanted: str, codes: list[str], taken: bool) -> None:
    assert takes(Selection(signs=(wanted,)), record(tpmeta=signs(*codes))) is taken


def test_a_decision_without_the_sign_says_so() -> None:
    selection = Selection(signs=("C1",))
    assert selection.left_out(record()) == "no traffic sign"
    assert selection.left_out(record(tpmeta=signs("E4"))) == "another traffic sign"
    assert sign_codes(record(tpmeta=signs("E4", "e04; C 12"))) == ("E4", "C12")


@pytest.mark.parametrize("sign", ["", "I", "6", "E6!", "ABC1"])
def test_unknown_signs_are_refused(sign: str) -> None:
    with pytest.raises(ValueError, match=r"not a traffic sign: .*A, B, C, D, E, F, G, H, J, K, L"):
        Selection(signs=(sign,))


def test_the_city_of_utrecht_is_not_the_province() -> None:
    city = record(kern=decided_by("OVERHEID.Gemeente", "Utrecht"))
    province = record(kern=decided_by("OVERHEID.Provincie", "Utrecht"))
    assert takes(Selection(municipalities=("utrecht",)), city)
    assert not takes(Selection(municipalities=("utrecht",)), province)
    assert takes(Selection(provinces=("utrecht",)), province)
    assert Selection(provinces=("utrecht",)).left_out(city) == "decided elsewhere"


def test_a_name_without_a_scheme_is_of_the_records_kind_of_organisation() -> None:
    kern = "<t:creator>Utrecht</t:creator>"
    city = record(kern=kern, tpmeta="<w:organisatietype>gemeente</w:organisatietype>")
    assert takes(Selection(municipalities=("Utrecht",)), city)
    assert not takes(Selection(provinces=("Utrecht",)), city)
    assert not takes(Selection(provinces=("Utrecht",), municipalities=("Utrecht",)), record(kern=kern))


def test_provinces_and_municipalities_are_either_enough() -> None:
    both = Selection(provinces=("friesland",), municipalities=("Den Haag", "Haarlem"))
    assert both.provinces == ("Fryslân",)
    assert both.deciders(record(kern=decided_by("OVERHEID.Provincie", "Friesland"))) == ("Fryslân",)
    assert both.deciders(record(kern=decided_by("OVERHEID.Gemeente", "'s-Gravenhage"))) == ("Den Haag",)
    assert both.deciders(record(kern=decided_by("OVERHEID.Gemeente", "Zwolle"))) == ()


def test_the_authority_counts_as_the_creator_does() -> None:
    found = record(kern='<w:authority scheme="OVERHEID.Gemeente">Bergen (NH)</w:authority>')
    assert takes(Selection(municipalities=("bergen nh",)), found)
    assert not takes(Selection(municipalities=("Bergen (L)",)), found)


def test_impossible_places_are_refused() -> None:
    with pytest.raises(ValueError, match="is not a province"):
        Selection(provinces=("Amsterdam",))
    with pytest.raises(ValueError, match="not the name of a municipality"):
        Selection(municipalities=(" - ",))


@pytest.mark.parametrize(
    ("words", "title", "taken"),
    [
        ("laadpaal", "Plaatsing LAADPAAL, Brink 1", False),
        ("laadpaal", "Plaatsing laadpalen", True),
        ("parkeerplaats", "Parkeerplaatsen", True),
        ("cafe", "Terras café De Brink", False),
        ("gehandicapten parkeerplaats", "Een gehandicapten-parkeerplaats", False),
    ],
)
def test_titles_are_left_out_by_whole_words(words: str, title: str, taken: bool) -> None:
    assert takes(Selection(without_words=(words,)), record(title=title)) is taken


def test_alternative_titles_are_looked_at_too() -> None:
    found = record(mantel="<t:alternative>Gemeente Haarlem - laadpaal</t:alternative>")
    assert Selection(without_words=("laadpaal",)).left_out(found) == "a word in the title"


def test_impossible_words_and_dates_are_refused() -> None:
    with pytest.raises(ValueError, match="no word that a title could have"):
        Selection(without_words=("!",))
    with pytest.raises(ValueError, match="publication"):
        Selection(by="issued")  # type: ignore[arg-type]
