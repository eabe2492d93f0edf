"""Every error that crosses a room, on one screen. Each has a stable code; `api/problems.py` maps the classes to HTTP."""

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with an input: where (`steps[0].wait_days`), a stable code, and what to do about it."""

    field: str
    code: str
    message: str


class CleanmailsError(Exception):
    """The base of all errors below; `code` is part of the API and never changes its meaning."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidError(CleanmailsError):
    """The input cannot be taken; `faults` lists everything that is wrong with it, not only the first."""

    code = "invalid"

    def __init__(self, faults: list[Fault], message: str = "The request has faults; nothing was changed.") -> None:
        super().__init__(message)
        self.faults = faults


class NotFoundError(CleanmailsError):
    """There is no such thing in this workspace."""

    code = "not_found"


class StateError(CleanmailsError):
    """The thing is not in a state that allows this."""

    code = "wrong_state"


class ConflictError(CleanmailsError):
    """Another thing already has this name, address or key."""

    code = "conflict"


class MismatchError(CleanmailsError):
    """An Idempotency-Key stands for another request already."""

    code = "idempotency_mismatch"


class StaleError(CleanmailsError):
    """The thing is not as the `If-Match` of the request says."""

    code = "stale"


class AuthError(CleanmailsError):
    """Nobody is signed in, or the credentials do not hold."""

    code = "not_signed_in"


class ForbiddenError(CleanmailsError):
    """You are known, and may not do this."""

    code = "forbidden"


class BusyError(CleanmailsError):
    """Too many requests, or a part that is needed does not answer now; try again after `retry_after` seconds."""

    code = "busy"

    def __init__(self, message: str, *, code: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class TemplateError(CleanmailsError):
    """A subject or a body cannot be read; `line` and `column` are one-based, the message says what to mend."""

    code = "template"

    def __init__(self, message: str, *, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class MissingFieldError(CleanmailsError):
    """The lead lacks a field that the mail needs and that has no fallback."""

    code = "missing_field"

    def __init__(self, field: str) -> None:
        super().__init__(f"The lead has no {field}, and the mail has no fallback for it.")
        self.field = field


class SealError(CleanmailsError):
    """A stored credential does not open: it was sealed with another key, for another record, or changed."""

    code = "sealed"


class UnreachableError(CleanmailsError):
    """A host that a user named cannot be connected to; the code tells which look or try failed (`mail/connector.py`)."""

    code = "unreachable"


class SettingsError(CleanmailsError):
    """A setting is wrong; the start stops with one sentence per fault."""

    code = "settings"
