"""What a request makes of a mailbox: the fields that it may have, merged into what is there, and whether the sender may send after it."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from cleanmails.api.fields import Line, MailAddress
from cleanmails.errors import Fault, InvalidError, StateError
from cleanmails.ledger.senders import Mailbox
from cleanmails.records import Security, SenderStatus
from cleanmails.rules import address
from cleanmails.vault import Vault

_HOST: Final = r"^[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?$"

Host = Annotated[str, msgspec.Meta(max_length=253, pattern=_HOST, examples=["smtp.agency.example"])]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Gap = Annotated[int, msgspec.Meta(ge=0, le=86_400)]
Mails = Annotated[int, msgspec.Meta(ge=1, le=100_000)]

NEW: Final = Mailbox(
    name="",
    reply_to=None,
    signature="",
    smtp_host="",
    smtp_port=587,
    smtp_security=Security.STARTTLS,
    smtp_username="",
    smtp_sealed=None,
    imap_host=None,
    imap_port=993,
    imap_security=Security.TLS,
    imap_username=None,
    imap_sealed=None,
    daily_limit=50,
    min_gap_seconds=30,
    max_gap_seconds=90,
    ramp_from=None,
    ramp_start=None,
    ramp_step=None,
    ramp_ceiling=None,
    status=SenderStatus.READY,
    status_reason=None,
    tested_at=None,
)
"""What a new sender is made of where its request says nothing."""


class RampUp(msgspec.Struct, frozen=True, kw_only=True):
    """How a new mailbox grows into its daily limit: `start` mails on its first UTC day, and `step_per_day` more for each day on which it has sent, up to
    `ceiling` (null: the daily limit). Days without a mail do not count. `begins_on`: today, if it is left out; a plan that is changed goes on.
    """

    start: Mails
    step_per_day: Mails
    ceiling: Mails | None = None
    begins_on: date | None = None

    def faults(self) -> Iterator[Fault]:
        """It grows."""
        if self.ceiling is not None and self.ceiling < self.start:
            yield Fault("ceiling", "ramp_up", "This must not be less than start.")


class SenderChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; what is left out stays. New settings of a server are tested, both of them, before they are saved.

    With `test` false they are saved without asking the server, and the sender is `restricted` until it has passed a test. A null password means that
    the server asks for no sign-in; a null `imap_host` takes the inbox away, a null `ramp_up` ends a ramp-up.
    """

    name: Line | UnsetType = UNSET
    reply_to: MailAddress | UnsetType | None = UNSET
    signature: Annotated[str, msgspec.Meta(max_length=20_000)] | UnsetType = UNSET
    smtp_host: Host | UnsetType = UNSET
    smtp_port: Port | UnsetType = UNSET
    smtp_security: Security | UnsetType = UNSET
    smtp_username: Line | UnsetType = UNSET
    smtp_password: Password | UnsetType | None = UNSET
    imap_host: Host | UnsetType | None = UNSET
    imap_port: Port | UnsetType = UNSET
    imap_security: Security | UnsetType = UNSET
    imap_username: Line | UnsetType | None = UNSET
    imap_password: Password | UnsetType | None = UNSET
    daily_limit: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | UnsetType = UNSET
    min_gap_seconds: Gap | UnsetType = UNSET
    max_gap_seconds: Gap | UnsetType = UNSET
    ramp_up: RampUp | UnsetType | None = UNSET
    status: Literal["ready", "paused"] | UnsetType = UNSET
    test: bool = True

    def __repr__(self) -> str:
        return type(self).__name__

    @property
    def fields(self) -> dict[str, Any]:
        """What the request has."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


class NewSender(SenderChange, frozen=True, kw_only=True):
    """A mailbox to send by. Left out: port 587 with STARTTLS, the address as username, 50 mails a UTC day, 30 to 90 seconds between two mails.

    Its server is tried out first, and what it says against the sender refuses the request. With `test` false the sender is saved without that, and is
    `restricted` until it has passed a test. Without `smtp_password` the server asks for no sign-in. An inbox (`imap_host`) without a password of its own is
    read with the same one.
    """

    address: MailAddress
    smtp_host: Host

    def faults(self) -> Iterator[Fault]:
        """Gaps must be the right way round, with the defaults for what is left out."""
        shortest = NEW.min_gap_seconds if self.min_gap_seconds is UNSET else self.min_gap_seconds
        longest = NEW.max_gap_seconds if self.max_gap_seconds is UNSET else self.max_gap_seconds
        yield from _gap_faults(shortest, longest)


def merged(mailbox: Mailbox, data: SenderChange, mail: str, sender_id: int, vault: Vault, *, today: date) -> Mailbox:
    """The mailbox of the address `mail` with what a request says of it, passwords sealed for `sender_id`; its status is `standing`'s business.

    `today` is the UTC day, on which a ramp-up begins that says nothing else.

    InvalidError if the two do not go together.
    """
    fields = data.fields
    if fields.get("reply_to"):
        fields["reply_to"] = address.normal(fields["reply_to"])
    if fields.get("imap_host") and mailbox.imap_sealed is None and fields.get("smtp_password"):
        fields.setdefault("imap_password", fields["smtp_password"])
    for sealed, password in (("smtp_sealed", "smtp_password"), ("imap_sealed", "imap_password")):
        if password in fields:
            plain = fields[password]
            fields[sealed] = vault.seal(plain.encode(), f"sender:{sender_id}:{password}") if plain else None
    if "ramp_up" in fields:
        fields |= _ramp(fields["ramp_up"], mailbox.ramp_from or today)
    columns = fields.keys() & set(Mailbox.__struct_fields__) - {"status"}
    made = replace(mailbox, **{name: fields[name] for name in columns})
    faults = list(_gap_faults(made.min_gap_seconds, made.max_gap_seconds))
    if faults:
        raise InvalidError(faults)
    # Who does not sign in has no name, and who signs in has one.
    made = replace(made, smtp_username=(made.smtp_username or mail) if made.smtp_sealed else "")
    if made.imap_host is None:
        return _without_inbox(made)
    return replace(
        made,
        imap_port=made.imap_port or NEW.imap_port,
        imap_security=made.imap_security or NEW.imap_security,
    )


def standing(
    mailbox: Mailbox, asked: Literal["ready", "paused"] | UnsetType, *, passed: bool | None, now: datetime
) -> Mailbox:
    """The mailbox as it may send from now on. `asked` is the status that a person wants; `passed` says whether new settings passed their test, None
    that there was nothing to test. StateError if a restricted sender is to change its status without a test.
    """
    if passed is False:
        return replace(mailbox, status=SenderStatus.RESTRICTED, status_reason="not_tested", tested_at=None)
    if passed:
        lifted = mailbox.status is SenderStatus.RESTRICTED
        mailbox = replace(
            mailbox,
            tested_at=now,
            status=SenderStatus.READY if lifted else mailbox.status,
            status_reason=None if lifted else mailbox.status_reason,
        )
    if asked is UNSET:
        return mailbox
    if mailbox.status is SenderStatus.RESTRICTED:
        raise StateError("This sender is restricted until it has passed a test.", code="sender_restricted")
    return replace(mailbox, status=SenderStatus(asked), status_reason=None)


def _ramp(plan: RampUp | None, begins_on: date) -> dict[str, Any]:
    """The columns of a ramp-up; all null without one."""
    if plan is None:
        return dict.fromkeys(("ramp_from", "ramp_start", "ramp_step", "ramp_ceiling"))
    return {
        "ramp_from": plan.begins_on or begins_on,
        "ramp_start": plan.start,
        "ramp_step": plan.step_per_day,
        "ramp_ceiling": plan.ceiling,
    }


def _without_inbox(mailbox: Mailbox) -> Mailbox:
    return replace(mailbox, imap_host=None, imap_port=None, imap_security=None, imap_username=None, imap_sealed=None)


def _gap_faults(shortest: int, longest: int) -> Iterator[Fault]:
    if shortest > longest:
        yield Fault("max_gap_seconds", "gap", "This must not be less than min_gap_seconds.")
