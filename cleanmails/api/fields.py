"""Kinds of fields that several nouns have, with what makes a value of them right."""

from typing import Annotated

import msgspec

from cleanmails.rules import address

_Verdict = tuple[str, str] | None


def _an_address(value: str) -> _Verdict:
    try:
        address.normal(value)
    except address.AddressError as error:
        return "address", f"This must be an e-mail address. {error}"
    return None


def _a_recipient(value: str) -> _Verdict:
    try:
        address.recipient(value)
    except address.AddressError as error:
        return "address", f"This must be an e-mail address. {error}"
    return None


def _a_domain(value: str) -> _Verdict:
    try:
        address.domain(value)
    except address.AddressError:
        return "domain", "This must be a domain name like agency.example."
    return None


def _not_blank(value: str) -> _Verdict:
    return None if value.strip() else ("blank", "This must have something in it.")


def _one_line(value: str) -> _Verdict:
    return None if value.isprintable() else ("line", "This must be one line of text, without control characters.")


def _a_tag(value: str) -> _Verdict:
    if not value.strip() or not value.isprintable() or "," in value:
        return "tag", "A tag is a word or a few on one line, without commas."
    return None


Title = Annotated[str, msgspec.Meta(max_length=200, extra={"check": _not_blank})]
"""What a thing is called by people."""

Line = Annotated[str, msgspec.Meta(max_length=320, extra={"check": _one_line})]
"""Text for a header or a command of a protocol: a line break in it would begin another."""

MailAddress = Annotated[
    str, msgspec.Meta(max_length=320, examples=["ann@agency.example"], extra={"check": _an_address})
]
"""An address; `rules.address.normal` is its one written form."""

Recipient = Annotated[str, msgspec.Meta(max_length=320, examples=["ada@lead.example"], extra={"check": _a_recipient})]
"""An address that is written to, in any script; `rules.address.recipient` is its one written form."""

SourceNote = Annotated[str, msgspec.Meta(max_length=300)]
"""Where leads come from, in words."""

Tag = Annotated[str, msgspec.Meta(max_length=50, extra={"check": _a_tag})]
"""A word of one's own on a lead."""

DomainName = Annotated[str, msgspec.Meta(max_length=253, examples=["agency.example"], extra={"check": _a_domain})]
"""A domain; `rules.address.domain` is its one written form."""
