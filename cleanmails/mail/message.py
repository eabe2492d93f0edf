"""The bytes of a mail (RFC 5322, MIME), put together without the `email` package, which is its oracle in the tests.

    dressed = html.dress(resolved, unsubscribe_url=..., postal_address=..., wrap=lambda number, url: ..., pixel_url=...)   # Dressed(html, text)
    message = compose(Letter(message_id=..., date=..., ..., html=dressed.html, text=dressed.text))                         # Message(raw, needs_smtputf8)
    raw = dkim.sign(message.raw, key, signed_at=...)
    fingerprint(raw)                                            # sha256 hex over all but Date and DKIM-Signature: preview equals sent

Signatures:

    Letter(*, message_id: str, date: datetime, sender_address: str, recipient_address: str, subject: str, html: str, text: str,
           sender_name: str = "", recipient_name: str = "", in_reply_to: str | None = None, references: tuple[str, ...] = (),
           reply_to: str | None = None, unsubscribe_url: str | None = None, unsubscribe_mailto: str | None = None, feedback_id: str | None = None)
    compose(letter: Letter) -> Message                         InvalidError with a Fault for an address that cannot stand in a header
    message_id(token: bytes, domain: str) -> str               "<token in base32@domain>"
    wire_address(address: str) -> str                          the address for MAIL FROM and RCPT TO: its domain in A-labels (RFC 5890)
    fingerprint(raw: bytes) -> str

    html.dress(body: Resolved, *, unsubscribe_url: str | None = None, postal_address: str = "",
               wrap: Callable[[int, str], str] | None = None, pixel_url: str | None = None) -> Dressed

    dkim.load_key(pem: bytes, *, domain: str, selector: str) -> Key        27 ms: once per process
    dkim.Keyring().get(key_id: Hashable, load: Callable[[], Key]) -> Key   the process' cache, safe between threads
    dkim.sign(raw: bytes, key: Key, *, signed_at: int) -> bytes            the mail with its DKIM-Signature on top
    dkim.generate_key() -> tuple[bytes, str]                               private PEM, public key in base64
    dkim.dns_record(public: str) -> str;  dkim.dns_strings(record: str) -> tuple[str, ...]
"""
