"""The catcher in a browser, and the small JSON door beside it. On the loopback address only; no scripts, and no image is fetched unasked.

At a mail, buttons send what its recipient would: a reply, a bounce, an absence, a wish to be left alone, a complaint.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import dns.exception
import msgspec
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException, PermissionDeniedException, ValidationException
from litestar.params import Body, FromPath, FromQuery, JSONBody
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Redirect, Template
from litestar.static_files import create_static_files_router
from litestar.template.config import TemplateConfig

from cleanmails.demo.catcher import answers, letter
from cleanmails.demo.catcher.answers import Answer, Kind
from cleanmails.demo.catcher.behaviour import Rule, by_rules
from cleanmails.demo.catcher.server import Catcher
from cleanmails.demo.catcher.store import Caught, Met
from cleanmails.demo.zone import Zone

HERE = Path(__file__).parent
PAGE = 50
VIEWS = ("html", "text", "headers", "raw")

_OWN_PAGE = "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
# The mail's own page: no scripts and no forms; links open beside it. Without images nothing tells the sender that somebody looks.
_MAIL_PAGE = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:{}"


class World:
    """What the pages show and change."""

    def __init__(self, catcher: Catcher, zone: Zone) -> None:
        self.catcher = catcher
        self.zone = zone


class ZoneRecord(msgspec.Struct, frozen=True):
    """Records of one kind to stand at a name, in place of those that were there; none takes them away."""

    name: str
    kind: str
    values: list[str]


class Behaviours(msgspec.Struct, frozen=True):
    """How mails are met from now on. No rules: as their addresses ask for."""

    rules: list[Rule]
    seed: int = 0


class Pressed(msgspec.Struct, frozen=True):
    """The form at a mail: the button, the words of a reply, and the day on which somebody is back (empty: not told)."""

    kind: Kind
    text: str = ""
    until: str = ""


@get("/", sync_to_thread=True)
def show_list(
    world: NamedDependency[World], address: FromQuery[str] = "", before: FromQuery[int | None] = None
) -> Template:
    """The newest mails first, page by page; `address` is part of a sender's or a recipient's."""
    mails = world.catcher.store.newest(address=address.strip(), before=before, limit=PAGE + 1)
    older = mails[PAGE - 1].id if len(mails) > PAGE else None
    return _page("list.html", mails=mails[:PAGE], address=address, before=before, older=older)


@get("/mails/{mail_id:int}", sync_to_thread=True)
def show_mail(
    world: NamedDependency[World],
    mail_id: FromPath[int],
    view: FromQuery[str | None] = None,
    *,
    images: FromQuery[bool] = False,
    told: FromQuery[str | None] = None,
) -> Template:
    """One mail: its head, its signatures, one view of what is in it, and buttons to answer it. `told`: which one was pressed."""
    caught, raw = _found(world, mail_id)
    read = letter.read(raw, world.zone.texts)
    shown = view if view in VIEWS else "html" if read.html is not None else "text"
    context = {"caught": caught, "letter": read, "view": shown, "images": images, "raw": raw.decode("utf-8", "replace")}
    back = datetime.now(UTC).date() + timedelta(days=7)
    return _page(
        "mail.html", **context, told=told if told in set(Kind) else None, back=back, words=Answer(kind=Kind.REPLY).text
    )


@get("/mails/{mail_id:int}/html", media_type=MediaType.HTML, sync_to_thread=True)
def show_html(
    world: NamedDependency[World], mail_id: FromPath[int], *, images: FromQuery[bool] = False
) -> Response[str]:
    """The mail's HTML part, locked in."""
    html = letter.read(_found(world, mail_id)[1], world.zone.texts).html or ""
    policy = _MAIL_PAGE.format(" http: https:" if images else "")
    return Response(f'<base target="_blank">{html}', headers={"content-security-policy": policy})


@get("/api/mails", sync_to_thread=True)
def list_mails(world: NamedDependency[World], after: FromQuery[int] = 0, limit: FromQuery[int] = -1) -> list[Caught]:
    """What came after the mail with the id `after`, oldest first."""
    return world.catcher.store.mails(after=after, limit=limit)


@get("/api/mails/{mail_id:int}/raw", media_type="message/rfc822", sync_to_thread=True)
def raw_mail(world: NamedDependency[World], mail_id: FromPath[int]) -> bytes:
    """The bytes as they came."""
    return _found(world, mail_id)[1]


@get("/api/mails/{mail_id:int}/signatures", sync_to_thread=True)
def signatures(world: NamedDependency[World], mail_id: FromPath[int]) -> list[letter.Signature]:
    """Whether the DKIM signatures hold, by the keys in the local name server."""
    return letter.read(_found(world, mail_id)[1], world.zone.texts).signatures


@get("/api/met", sync_to_thread=True)
def met(world: NamedDependency[World]) -> list[Met]:
    """Every try that met with a behaviour."""
    return world.catcher.store.met()


@get("/api/duplicates", sync_to_thread=True)
def duplicates(world: NamedDependency[World]) -> list[dict[str, object]]:
    """Every (Message-ID, recipient) that was taken more than once."""
    counts = world.catcher.counts().items()
    return [{"message_id": id, "recipient": to, "count": count} for (id, to), count in counts if count > 1]


@post("/mails/{mail_id:int}/answer", status_code=303, sync_to_thread=True)
def press(
    world: NamedDependency[World],
    mail_id: FromPath[int],
    data: Annotated[Pressed, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Redirect:
    """A button of the page."""
    try:
        until = date.fromisoformat(data.until) if data.until else None
    except ValueError as error:
        raise ValidationException("That is no day.") from error
    _answer(world, mail_id, Answer(kind=data.kind, text=data.text.strip() or Answer(kind=data.kind).text, until=until))
    return Redirect(f"/mails/{mail_id}?told={data.kind}", status_code=303)


@post("/api/mails/{mail_id:int}/answer", status_code=204, sync_to_thread=True)
def answer(world: NamedDependency[World], mail_id: FromPath[int], data: JSONBody[Answer]) -> None:
    """Puts what a recipient or his server would send back into the sender's mailbox."""
    _answer(world, mail_id, data)


def _answer(world: World, mail_id: int, given: Answer) -> None:
    caught, raw = _found(world, mail_id)
    boxes, now = world.catcher.boxes, datetime.now(UTC)
    try:
        made = answers.write(raw, caught.recipient, given, now, mail_id)
    except ValueError as error:
        raise ValidationException(str(error)) from error
    boxes.open(caught.mail_from)
    boxes.append(caught.mail_from, "INBOX", made, at=now.timestamp())


@post("/api/zone", status_code=204, sync_to_thread=True)
def publish(world: NamedDependency[World], data: JSONBody[ZoneRecord]) -> None:
    """Puts records into the local name server."""
    try:
        world.zone.replace(data.name, data.kind, *data.values)
    except (dns.exception.DNSException, ValueError) as error:
        raise ValidationException(f"{data.kind} at {data.name} cannot be published: {error}") from error


@post("/api/behaviours", status_code=204, sync_to_thread=False)
def behave(world: NamedDependency[World], data: JSONBody[Behaviours]) -> None:
    """Changes how mails are met, until it is changed again or the catcher ends."""
    try:
        world.catcher.script = by_rules(data.rules, seed=data.seed)
    except ValueError as error:
        raise ValidationException(str(error)) from error


def create_app(catcher: Catcher, zone: Zone) -> Litestar:
    """The pages over a running catcher. Only requests for the loopback address itself are answered: no other site's page can reach it."""
    engine = JinjaTemplateEngine(HERE / "templates")
    engine.engine.filters["moment"] = _moment
    return Litestar(
        route_handlers=[
            show_list,
            show_mail,
            show_html,
            list_mails,
            raw_mail,
            signatures,
            duplicates,
            met,
            press,
            answer,
            publish,
            behave,
            create_static_files_router(path="/static", directories=[HERE / "static"]),
        ],
        dependencies={"world": Provide(lambda: World(catcher, zone), sync_to_thread=False)},
        template_config=TemplateConfig(instance=engine),
        before_request=_from_here,
        openapi_config=None,
        logging_config=None,
    )


async def _from_here(request: Request[Any, Any, Any]) -> None:
    """No page of another site can reach us: not by a name that leads here, and not by a form, which cannot send JSON unasked nor claim to be ours."""
    if request.headers.get("host", "").partition(":")[0] not in ("127.0.0.1", "localhost"):
        raise PermissionDeniedException("This server answers to 127.0.0.1 and localhost alone.")
    ours = request.headers.get("sec-fetch-site") == "same-origin"
    if request.method == "POST" and request.content_type[0] != "application/json" and not ours:
        raise PermissionDeniedException("Only application/json is taken, and forms of this very page.")


def _page(name: str, **context: object) -> Template:
    return Template(
        name, context=context, headers={"content-security-policy": _OWN_PAGE, "referrer-policy": "no-referrer"}
    )


def _found(world: World, mail_id: int) -> tuple[Caught, bytes]:
    caught, raw = world.catcher.store.mail(mail_id), world.catcher.store.raw(mail_id)
    if caught is None or raw is None:
        raise NotFoundException("There is no such mail; only the newest are kept.")
    return caught, raw


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
