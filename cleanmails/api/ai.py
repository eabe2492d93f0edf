"""The workspace's language model, which AI tags are put to. Without one they are off, and their fallbacks stand in."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from litestar import Controller, delete, get, post, put
from litestar.params import JSONBody

from cleanmails import log
from cleanmails.actors import ask
from cleanmails.actors.work import Kit
from cleanmails.api.auth import Permission, Principal
from cleanmails.api.fields import Line
from cleanmails.api.given import Enqueue, Given
from cleanmails.errors import Fault, InvalidError, UnreachableError
from cleanmails.ledger import ai, walks
from cleanmails.ledger.db import Database
from cleanmails.mail.http import UrlError, target
from cleanmails.settings import Settings
from cleanmails.vault import Vault

_log = log.get(__name__)
_URLS: Final = {"openai": "https://api.openai.com/v1", "gemini": "https://generativelanguage.googleapis.com"}


def _a_url(value: str) -> tuple[str, str] | None:
    try:
        right = "?" not in target(value).path
    except UrlError:
        right = False
    return None if right else ("url", "This must be an address like https://api.example/v1.")


class AiChange(msgspec.Struct, frozen=True, kw_only=True):
    """A model. `kind` says how it is spoken to; `url` is where, if not at that provider itself; `key` may be left out once there is one."""

    kind: Literal["openai", "gemini"]
    model: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$")]
    url: Annotated[str, msgspec.Meta(max_length=500, extra={"check": _a_url})] | None = None
    key: Line | None = None
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=60)] = 20
    max_characters: Annotated[int, msgspec.Meta(ge=1, le=4_000)] = 400


class Ai(msgspec.Struct, frozen=True, kw_only=True):
    """The model that AI tags are put to. The key is never shown. `enabled` false: there is none, and the rest is empty."""

    enabled: bool
    kind: str | None = None
    url: str | None = None
    model: str | None = None
    timeout_seconds: int | None = None
    max_characters: int | None = None
    updated_at: datetime | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask."""

    prompt: Annotated[str, msgspec.Meta(min_length=1, max_length=4_000)] = (
        "Write one friendly sentence about the weather."
    )


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """How it went: the words that a mail would have, or why there are none."""

    passed: bool
    answer: str | None
    code: str | None
    sentence: str


class Models(Controller):
    """`/v1/workspace/ai`."""

    path = "/v1/workspace/ai"
    tags = ("workspace",)

    @get(sync_to_thread=True)
    def read(self, database: Given[Database], principal: Given[Principal]) -> Ai:
        """Read which model AI tags are put to."""
        with database.transaction() as db:
            row = ai.settings(db, principal.workspace_id)
        return Ai(enabled=False) if row is None else msgspec.convert(row | {"enabled": True}, Ai)

    @put(sync_to_thread=True, needs=Permission.SETUP)
    def write(
        self,
        data: JSONBody[AiChange],
        database: Given[Database],
        vault: Given[Vault],
        principal: Given[Principal],
        enqueue: Given[Enqueue],
    ) -> Ai:
        """Set the model. Mails that were held because nobody answered are tried again."""
        workspace = principal.workspace_id
        with database.transaction() as db:
            before = ai.settings(db, workspace)
            sealed = vault.seal(data.key.encode(), f"ai:{workspace}:key") if data.key else None
            sealed = sealed or (bytes(before["key_sealed"]) if before else None)
            if sealed is None:
                raise InvalidError([Fault("key", "required", "Give the key that the model's provider knows you by.")])
            values = msgspec.structs.asdict(data) | {"url": data.url or _URLS[data.kind], "key_sealed": sealed}
            del values["key"]
            ai.write_settings(db, workspace, values)
            walks.free_held(db, workspace)
            row = ai.settings(db, workspace)
        enqueue("plan")
        return msgspec.convert((row or {}) | {"enabled": True}, Ai)

    @delete(sync_to_thread=True, needs=Permission.SETUP)
    def remove(self, database: Given[Database], principal: Given[Principal]) -> None:
        """Switch AI tags off and forget the key. What was answered before stays."""
        with database.transaction() as db:
            ai.delete_settings(db, principal.workspace_id)

    @post("/test", sync_to_thread=True, status_code=200, needs=Permission.SETUP)
    def test(
        self,
        data: JSONBody[Question],
        database: Given[Database],
        settings: Given[Settings],
        vault: Given[Vault],
        principal: Given[Principal],
    ) -> Tried:
        """Put one question to the model, to see whether it answers, and what."""
        kit = Kit(settings=settings, database=database, vault=vault)
        with database.transaction() as db:
            row = ai.settings(db, principal.workspace_id)
        if row is None:
            return Tried(passed=False, answer=None, code="off", sentence="There is no model yet.")
        try:
            answer = ask.try_out(kit, ask.model_of(kit, principal.workspace_id, row), data.prompt)
        except UnreachableError as error:
            return Tried(passed=False, answer=None, code=error.code, sentence=error.message)
        return Tried(passed=True, answer=answer, code=None, sentence="The model answers.")
