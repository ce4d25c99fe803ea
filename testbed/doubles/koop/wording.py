"""Who publishes, about what and where: names as KOOP writes them, and titles with all sorts of special characters."""

import random
from dataclasses import dataclass

TYPE, OLDER_TYPE = "verkeersbesluit of -mededeling", "Verkeersbesluiten"
SUBJECT = "Verkeer | Organisatie en beleid"
OTHER_TYPES = (
    "omgevingsvergunning", "evenementenvergunning", "verordening", "andere beschikking", "andere melding",
    "overige besluiten van algemene strekking",
)  # fmt: skip
SIGN_CODES = ("A1", "A2", "B6", "C1", "C2", "C12", "D2", "E1", "E4", "E6", "E9", "F1", "G11", "L2")


@dataclass(frozen=True)
class Authority:
    """A public body, and the middle of its area in metres of RD (EPSG:28992)."""

    kind: str
    name: str
    centre: tuple[int, int]

    @property
    def scheme(self) -> str:
        """The scheme in records, which names the list that the name is from."""
        return f"OVERHEID.{self.kind}"

    @property
    def journal(self) -> str:
        """The journal in which it publishes what does not go into the Staatscourant."""
        return {"Gemeente": "gmb", "Provincie": "prb"}.get(self.kind, "stcrt")


AUTHORITIES = (
    Authority("Gemeente", "Utrecht", (136_000, 456_000)),
    Authority("Provincie", "Utrecht", (148_000, 452_000)),
    Authority("Provincie", "Fryslân", (185_000, 570_000)),
    Authority("Gemeente", "Súdwest-Fryslân", (173_000, 560_000)),
    Authority("Gemeente", "Leeuwarden", (182_500, 579_500)),
    Authority("Gemeente", "Groningen", (233_500, 582_000)),
    Authority("Provincie", "Groningen", (245_000, 585_000)),
    Authority("Gemeente", "Assen", (234_000, 556_500)),
    Authority("Gemeente", "Zwolle", (203_000, 503_000)),
    Authority("Gemeente", "Lelystad", (160_500, 500_500)),
    Authority("Gemeente", "Arnhem", (190_500, 444_000)),
    Authority("Gemeente", "Amsterdam", (121_000, 487_000)),
    Authority("Gemeente", "Bergen (NH)", (108_000, 520_000)),
    Authority("Provincie", "Noord-Holland", (115_000, 505_000)),
    Authority("Gemeente", "'s-Gravenhage", (81_000, 455_000)),
    Authority("Gemeente", "Rotterdam", (92_000, 437_000)),
    Authority("Gemeente", "Middelburg", (32_000, 391_500)),
    Authority("Gemeente", "'s-Hertogenbosch", (149_000, 411_500)),
    Authority("Gemeente", "Nuenen, Gerwen en Nederwetten", (167_000, 386_500)),
    Authority("Gemeente", "Bergeijk", (151_200, 368_700)),
    Authority("Gemeente", "Maastricht", (176_500, 317_500)),
    Authority("Waterschap", "Waterschap Rivierenland", (158_000, 433_000)),
    Authority("Ministerie", "Ministerie van Infrastructuur en Waterstaat", (81_500, 455_500)),
)
STREETS = (
    "Oudegracht", "Één Meilaan", "Sint Jozef- & Mariastraat", 'Hof "De Brink"', "'t Zand", "Burg. Röellweg [noord]",
    "Prins Hendrikkade", "Zuidersingel (parallelweg)", "A12/N210 <knooppunt>", "Curaçaostraat", "Kerkstraat",
    "De Meent; fase 2", "Weg 100% fiets\\voetpad",
)  # fmt: skip
MEASURES = (
    "instellen eenrichtingsverkeer", "aanwijzen laadpaal elektrische voertuigen", "30 km/u-zone",
    "gehandicaptenparkeerplaats op kenteken", "verplicht fietspad", "geslotenverklaring vrachtverkeer",
    "parkeerverbodszone & laad-/losplaats", "opheffen voorrangsweg",
)  # fmt: skip
FILENAMES = ("Situatietekening", "Bijlage verkeersbesluit", "Kaart & borden", "Bebordingsplan (definitief)")
OTHER_SUBJECTS = (
    "Verleende vergunning kappen boom",
    "Melding evenement",
    "Vaststelling beleidsregel",
    "Aankondiging verkeersbesluit",
)


def decision_title(rng: random.Random, authority: Authority) -> str:
    """The title of a traffic decision."""
    return f"Verkeersbesluit {rng.choice(MEASURES)} {rng.choice(STREETS)} te {authority.name}"


def other_title(rng: random.Random, authority: Authority) -> str:
    """The title of any other publication; some mention a traffic decision."""
    return f"{rng.choice(OTHER_SUBJECTS)}, {rng.choice(STREETS)} {rng.randint(1, 300)}, {authority.name}"
