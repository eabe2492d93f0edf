"""Which of a mailbox's folders is the one for spam, and which holds what was sent: by its special use (RFC 6154), else by its name."""

from collections.abc import Iterable, Sequence
from enum import StrEnum


class Role(StrEnum):
    """The folders that are read."""

    INBOX = "inbox"
    SPAM = "spam"
    SENT = "sent"


_USES = {"\\junk": Role.SPAM, "\\spam": Role.SPAM, "\\sent": Role.SENT}

# As servers and mail programs name them where no use is told, in the languages of the field.
_NAMES = {
    Role.SPAM: (
        "spam", "junk", "junk e-mail", "junk email", "junk mail", "bulk", "bulk mail", "spamverdacht", "unerwünscht", "junk-e-mail",
        "courrier indésirable", "indésirables", "pourriel", "correo no deseado", "no deseado", "lixo eletrônico", "lixo eletrónico",
        "posta indesiderata", "indesiderata", "ongewenst", "ongewenste e-mail", "skräppost", "uønsket", "uønsket e-post", "roskaposti",
        "wiadomości-śmieci", "niechciane", "nevyžádaná pošta", "levélszemét", "спам", "нежелательная почта", "önemsiz", "önemsiz e-posta",
        "垃圾邮件", "垃圾郵件", "迷惑メール", "스팸", "스팸메일함",
    ),
    Role.SENT: (
        "sent", "sent items", "sent mail", "sent messages", "sent-mail", "gesendet", "gesendete elemente", "gesendete objekte", "envoyés",
        "éléments envoyés", "messages envoyés", "enviados", "elementos enviados", "itens enviados", "mensagens enviadas", "inviata",
        "posta inviata", "inviati", "verzonden", "verzonden items", "skickat", "skickade objekt", "sendt", "sendte elementer", "lähetetyt",
        "wysłane", "elementy wysłane", "odeslaná pošta", "odeslané", "elküldött elemek", "отправленные", "gönderilmiş öğeler", "已发送",
        "已发送邮件", "寄件備份", "送信済み", "送信済みアイテム", "보낸 편지함", "보낸메일함",
    ),
}  # fmt: skip
_BY_NAME = {name: role for role, names in _NAMES.items() for name in names}

Listed = tuple[Sequence[str], str | None, str]
"""A folder as LIST tells of it: its flags, the character between levels, its name."""


def roles(listing: Iterable[Listed]) -> dict[Role, str]:
    """The folder of each role; INBOX always, the others where there is one. A told use goes before a name, a short path before a deep one."""
    found: dict[Role, tuple[int, int, str]] = {}
    for flags, delimiter, name in listing:
        uses = {flag.lower() for flag in flags}
        if "\\noselect" in uses or "\\nonexistent" in uses:
            continue
        parts = name.split(delimiter) if delimiter else [name]
        told = next((_USES[use] for use in sorted(uses) if use in _USES), None)
        role = told or _BY_NAME.get(parts[-1].casefold())
        if role is not None:
            found[role] = min(found.get(role, (9, 0, "")), (0 if told else 1, len(parts), name))
    return {Role.INBOX: "INBOX"} | {role: name for role, (_, _, name) in found.items()}
