"""How mailboxes of well-known providers are reached, for forms and programs that set senders up."""

from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.params import QueryParameter

from cleanmails.api.given import Given
from cleanmails.errors import Fault, InvalidError
from cleanmails.mail.dns import Resolver
from cleanmails.records import Security
from cleanmails.rules import address as addresses
from cleanmails.rules import presets
from cleanmails.rules.presets import Preset, SignIn


class SenderPreset(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a sender at a provider. `sign_in`: what it takes as password: that of the mailbox, an `app_password` made for a program, or none
    (`oauth`). `per_day`: how many mails a day it lets a mailbox send, if it says so. `note`: what people stumble over. `source`: where it is written.
    """

    id: str
    name: str
    smtp_host: str
    smtp_port: int
    smtp_security: Security
    imap_host: str | None
    imap_port: int | None
    imap_security: Security | None
    sign_in: SignIn
    per_day: int | None
    domains: list[str]
    note: str
    source: str


class SenderPresets(Controller):
    """`/v1/outreach/sender-presets`."""

    path = "/v1/outreach/sender-presets"
    tags = ("senders",)

    @get(sync_to_thread=True)
    def list_all(
        self,
        resolver: Given[Resolver],
        address: Annotated[
            str | None,
            QueryParameter(max_length=320, description="The address of a mailbox: only its provider, if it is known."),
        ] = None,
    ) -> list[SenderPreset]:
        """List the providers whose settings are known, by name; with an `address` the one that keeps its mailbox, found by its domain or by who takes the
        domain's mail.
        """
        if address is None:
            return [_preset(each) for each in presets.presets()]
        try:
            domain = addresses.normal(address).rpartition("@")[2]
        except addresses.AddressError as error:
            raise InvalidError([Fault("address", "address", f"This must be an e-mail address. {error}")]) from None
        found = presets.of_domain(domain) or presets.of_exchangers(resolver.mx(domain).hosts)
        return [_preset(found)] if found else []


def _preset(preset: Preset) -> SenderPreset:
    return SenderPreset(
        id=preset.id,
        name=preset.name,
        smtp_host=preset.smtp.host,
        smtp_port=preset.smtp.port,
        smtp_security=preset.smtp.security,
        imap_host=preset.imap.host if preset.imap else None,
        imap_port=preset.imap.port if preset.imap else None,
        imap_security=preset.imap.security if preset.imap else None,
        sign_in=preset.sign_in,
        per_day=preset.per_day,
        domains=list(preset.domains),
        note=preset.note,
        source=preset.source,
    )
