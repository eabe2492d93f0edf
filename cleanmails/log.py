"""Structured logs: one line per unit of work on stdout, event `noun.verb`, whatever library it comes from.

`get(__name__).info("delivery.sent", delivery=7)`; what holds for a whole unit of work is bound once with `structlog.contextvars.bind_contextvars`.
"""

import logging
import sys
from functools import lru_cache
from typing import Final, Literal

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRET_WORDS: Final = ("password", "secret", "token", "authorization", "cookie", "credential")
_REDACTED: Final = "[redacted]"

_QUIET: Final = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "dramatiq": logging.WARNING,
    "periodiq": logging.WARNING,
}
"""Libraries that write a line per request or per message: their warnings count, their work is logged by ours."""


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module; call it with `__name__`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def configure(form: Literal["json", "console"], *, level: str = "INFO") -> None:
    """Send structlog and the standard library's loggers through one renderer to stdout. Call once per process, at its start."""
    # As the library's manual advises: no line says where it was written, so nobody need look.
    logging._srcfile = None  # noqa: SLF001
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *_shared()],
            processors=[_without_internals, *_ending(form)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(quiet)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of keys that look secret, at any depth: `password`, `api_key`, `session_token`, `Authorization` ..."""
    return {key: _without_secrets(key, value) for key, value in event.items()}


def _without_secrets(key: object, value: object) -> object:
    if value is not None and _looks_secret(str(key)):
        return _REDACTED
    if isinstance(value, dict):
        return {inner: _without_secrets(inner, each) for inner, each in value.items()}
    if isinstance(value, list):
        return [_without_secrets("", each) for each in value]
    return value


@lru_cache(maxsize=1024)
def _looks_secret(key: str) -> bool:
    """`key`, `private_key` and `x-api-key` are; `keyword` and `monkey` are not."""
    words = key.lower().replace("-", "_")
    return any(word in words for word in _SECRET_WORDS) or words == "key" or words.endswith(("_key", "_keys"))


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        redact,
    ]


def _ending(form: Literal["json", "console"]) -> list[Processor]:
    """Tracebacks without local variables: those hold credentials and mails."""
    if form == "console":
        plain = structlog.dev.plain_traceback
        return [
            structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), timestamp_key="time", exception_formatter=plain)
        ]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]


def _without_internals(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)


def _json(event: EventDict, **_options: object) -> str:
    """One line of JSON; time, level and event first, so that a person finds them too."""
    ordered = {key: event.pop(key) for key in ("time", "level", "event") if key in event}
    return msgspec.json.encode(ordered | dict(event), enc_hook=str).decode()
