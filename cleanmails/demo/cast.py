"""The made-up people of the demonstration, and where they work. Every name and domain is invented; `.example` belongs to nobody (RFC 2606)."""

from collections.abc import Iterator
from random import Random
from typing import Final

import msgspec


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST: Final = _words(
    "Ada Akira Amara Ana Andrzej Anneke Arjun Beatriz Björn Camille Carlos Chen Chiara Daan Dalia Daniel Dmitri Élodie Elif Emeka Emma Erik Fatima Felix Freya "
    "Gabriela Giulia Grace Hana Hannah Hugo Ines Ingrid Isabel Ivan Jasper Joana Jonas Julia Kofi Lars Layla Leila Leon Liam Lina Lucía Łukasz Magnus Maria Mateo "
    "Mei Mila Mohammed Nadia Nina Noah Noor Olga Oliver Oskar Paula Pedro Priya Rafael Rosa Ruben Samira Sara Sofia Søren Tariq Theo Tomás Uma Viktor Wanda Yara Zoë"
)  # fmt: skip
_LAST: Final = _words(
    "Abara Andersen Bakker Becker Bergström Bianchi Castillo Costa Dubois Eriksen Fischer Fontaine García Grabowski Haddad Hansen Hoffmann Ivanova Jansen Kaya Keller "
    "Kowalska Kumar Lambert Larsen Lindqvist López Marino Meyer Moreau Müller Nakamura Nguyen Novak Okafor Olsen Patel Pereira Petrov Ricci Rossi Santos Schneider Silva "
    "Smith Suzuki Tanaka Torres Vasquez Vermeulen Wagner Weber Wolff Yilmaz Zieliński"
)
_ADJECTIVES: Final = _words("Amber Birch Bright Cedar Clear Copper Coral Delta Ember Fern Golden Granite Harbor Indigo")
_NOUNS: Final = _words("Bridge Field Forge Gate Works Line Peak Point Ridge Stone Water Yard")
_KINDS: Final = ("Logistics", "Labs", "Foods", "Robotics", "Studio", "Partners", "Systems", "Group", "Health", "Energy")
_TITLES: Final = (
    "Managing Director",
    "Head of Sales",
    "Founder",
    "COO",
    "Head of Operations",
    "Marketing Lead",
    "CTO",
    "Buyer",
)
_CITIES: Final = (
    "Berlin",
    "Lisbon",
    "Utrecht",
    "Lyon",
    "Aarhus",
    "Graz",
    "Poznań",
    "Milan",
    "Zürich",
    "Ghent",
    "Malmö",
    "Bilbao",
)
_PLAIN: Final = str.maketrans({"ö": "o", "ü": "u", "ä": "a", "é": "e", "É": "E", "í": "i", "Ł": "L", "ł": "l", "á": "a", "ø": "o", "ë": "e", "ñ": "n", "ń": "n", "ó": "o"})  # fmt: skip

_MAILERS: Final = (
    ("google", "10 aspmx.l.google.com."),
    ("google", "10 aspmx.l.google.com."),
    ("microsoft", "0 mail.protection.outlook.com."),
)
"""Two in three companies have their mail at one of the two; the others run their own."""


class Company(msgspec.Struct, frozen=True):
    """A company with its domain, whoever receives its mail, and the record that says so."""

    name: str
    domain: str
    provider: str
    mx: str


class Person(msgspec.Struct, frozen=True):
    """Somebody at a company."""

    email: str
    first_name: str
    last_name: str
    company: Company
    job_title: str
    city: str


def companies() -> list[Company]:
    """A hundred and sixty-eight, always the same."""
    made = []
    for number, (adjective, noun) in enumerate((a, n) for a in _ADJECTIVES for n in _NOUNS):
        domain = f"{adjective}{noun}.example".lower()
        provider, mx = _MAILERS[number % 5] if number % 5 < len(_MAILERS) else (domain, f"10 mx.{domain}.")
        made.append(Company(f"{adjective}{noun.lower()} {_KINDS[number % len(_KINDS)]}", domain, provider, mx))
    return made


def people(dice: Random) -> Iterator[Person]:
    """People without end, no two with one address."""
    employers, taken = companies(), dict[str, int]()
    while True:
        first, last, company = dice.choice(_FIRST), dice.choice(_LAST), dice.choice(employers)
        local = f"{first}.{last}".translate(_PLAIN).lower()
        again = taken[f"{local}@{company.domain}"] = taken.get(f"{local}@{company.domain}", 0) + 1
        address = f"{local}{again if again > 1 else ''}@{company.domain}"
        yield Person(address, first, last, company, dice.choice(_TITLES), dice.choice(_CITIES))
