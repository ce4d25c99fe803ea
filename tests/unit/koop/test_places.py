"""Names of provinces and municipalities."""

import pytest

from jobs.koop.search.places import PROVINCES, municipality_key, province


def test_there_are_twelve_provinces_and_each_finds_itself() -> None:
    assert len(PROVINCES) == 12
    assert [province(name.upper()) for name in PROVINCES] == list(PROVINCES)


@pytest.mark.parametrize(
    ("name", "official"),
    [
        ("friesland", "Fryslân"),
        ("FRYSLAN", "Fryslân"),
        ("Frysla\u0302n", "Fryslân"),
        ("noord brabant", "Noord-Brabant"),
        ("Provincie Zuid-Holland", "Zuid-Holland"),
    ],
)
def test_provinces_are_found_as_people_write_them(name: str, official: str) -> None:
    assert province(name) == official


@pytest.mark.parametrize("name", ["Holland", "", "Amsterdam", "Utrecht (stad)"])
def test_an_unknown_province_gets_the_list(name: str) -> None:
    with pytest.raises(ValueError, match=r"Drenthe, .*Fryslân, .*Zuid-Holland"):
        province(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("'s-Gravenhage", "Den Haag"),
        ("’s-Gravenhage", "den haag"),
        ("'s-Hertogenbosch", "Den Bosch"),
        ("Súdwest-Fryslân", "sudwest fryslan"),
        ("Gemeente Haarlem", "haarlem"),
        ("Bergen (NH)", "Bergen (NH.)"),
    ],
)
def test_spellings_of_a_municipality_are_equal(one: str, other: str) -> None:
    assert municipality_key(one) == municipality_key(other)


def test_namesakes_stay_apart() -> None:
    assert len({municipality_key(name) for name in ("Bergen (NH)", "Bergen (L)", "Bergen op Zoom", "Bergeijk")}) == 4
