"""What belongs to the frame around pages: the workspace that one acts in, how pages look, and the components to be judged."""

from datetime import UTC, datetime, timedelta
from typing import Final

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from cleanmails.api.account import Account
from cleanmails.api.auth import Permission
from cleanmails.api.given import Given
from cleanmails.api.statistics import Share
from cleanmails.errors import Fault, NotFoundError
from cleanmails.web import charts
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form, Sheet
from cleanmails.web.render import THEMES

YEAR: Final = 31_536_000


class Shell(Page):
    """The workspace switcher, the appearance, and `/dev/components`."""

    @post("/workspace", sync_to_thread=True, needs=Permission.READ)
    def switch(self, desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Act in another workspace from here on."""
        answer = desk.ask(Account.switch, data={"workspace_id": next(iter(form.ids("workspace_id")), 0)})
        led = desk.go("/")
        led.cookies = list(answer.cookies)
        return led

    @post("/appearance", sync_to_thread=True, needs=Permission.READ)
    def appearance(self, desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Choose light, dark, or what the system has; this browser remembers."""
        theme = form.text("theme")
        led = desk.go(inside(form.text("back") or "/"))
        secure = desk.settings.public_url.startswith("https:")
        cookie = Cookie(key="theme", value=theme, path="/", max_age=YEAR, secure=secure, samesite="lax")
        led.cookies = [cookie] if theme in THEMES else []
        return led

    @get("/dev/components", sync_to_thread=True)
    def components(self, desk: Given[Desk]) -> Response[str]:
        """Every component once, in development."""
        if desk.settings.environment != "development":
            raise NotFoundError("There is nothing at this address.")
        days = [f"{number} Nov" for number in range(1, 31)]
        sent = [(number * 37) % 90 + 10 for number in range(30)]
        wrong = [
            Fault("address", "address", "This is not an e-mail address."),
            Fault("limit", "too_small", "This must be at least 1."),
        ]
        return desk.page(
            "components.html",
            here="",
            trail=[("Components", "/dev/components")],
            sheet=Sheet(
                {"name": "Q2 Outreach", "address": "ann@", "limit": "0", "check_reply": "on", "zone": "UTC"}, wrong
            ),
            moment=datetime.now(UTC) - timedelta(hours=3),
            stacked=charts.bars(
                days, ("First mails", "first", sent), ("Follow-ups", "follow", [each // 3 for each in sent])
            ),
            drawn=charts.lines(
                days,
                ("Replies", "replied", [each // 9 for each in sent]),
                ("Bounces", "bounced", [each % 4 for each in sent]),
            ),
            share=Share(count=12, of=230, denominator="delivered", percent=5.22),
            nothing=Share(count=0, of=0, denominator="delivered", percent=None),
        )


def inside(path: str) -> str:
    """Where to lead: only to a page of ours, never to what another site put into a link."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"
