"""One campaign: what became of its mails, where its leads stand and why, what it will send; and its start, pause and end."""

from datetime import timedelta
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from cleanmails.api.auth import Permission
from cleanmails.api.campaigns import Campaign, Campaigns
from cleanmails.api.changes import Changes
from cleanmails.api.edits import described
from cleanmails.api.explain import Explain
from cleanmails.api.exports import Exports
from cleanmails.api.forecast import CampaignForecast, Forecasts
from cleanmails.api.given import Given
from cleanmails.api.previews import Previews
from cleanmails.api.senders import Senders
from cleanmails.api.statistics import CampaignStatistics, Statistics
from cleanmails.api.subjects import StepSubjects, Subjects
from cleanmails.errors import CleanmailsError, InvalidError
from cleanmails.ledger import overview
from cleanmails.records import CampaignStatus, WalkOutcome, WalkState
from cleanmails.web import activity, charts
from cleanmails.web.desk import Desk, Page
from cleanmails.web.form import Form
from cleanmails.web.render import framed, plural, render
from cleanmails.web.setup import zone_of

_DAYS: Final = 30
_EVENTS: Final = 100
_SHOWN_DAYS: Final = 60


class CampaignPage(Page):
    """`/campaigns/{id}` and what is below it."""

    @get("/campaigns/{campaign_id:int}", sync_to_thread=True)
    def overview(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str] | Redirect:
        """What became of it so far, and what holds it back. A draft is led to its set-up."""
        campaign: Campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
        if campaign.status == CampaignStatus.DRAFT:
            return desk.go(f"/campaigns/{campaign_id}/settings")
        told: CampaignStatistics = desk.ask(Statistics.of_campaign, campaign_id=campaign_id)
        last = max((each.day for each in told.days), default=desk.now.date())
        days = [last - timedelta(days=n) for n in range(_DAYS - 1, -1, -1)]
        by_day = {each.day: each.figures for each in told.days}
        sent = [by_day[day].sent if day in by_day else 0 for day in days]
        replied = [by_day[day].replied.count if day in by_day else 0 for day in days]
        bounced = [by_day[day].bounced.count if day in by_day else 0 for day in days]
        return desk.page(
            "campaign.html",
            **_frame(desk, campaign, "overview"),
            calls=(Campaigns.read, Statistics.of_campaign, Explain.sending_status, Subjects.read),
            hold=desk.ask(Explain.sending_status, campaign_id=campaign_id),
            walks=desk.walks([campaign_id])[campaign_id],
            told=told,
            subjects={each.step: each for each in _subjects(desk, campaign, told.totals.sent)},
            sent=charts.bars(days, ("Sent", "sent", sent)),
            answers=charts.lines(days, ("Replies", "replied", replied), ("Bounces", "bounced", bounced)),
            zone=zone_of(desk, campaign),
        )

    @get("/campaigns/{campaign_id:int}/leads", sync_to_thread=True)
    def leads(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """Where its leads stand, and when the next mail of each goes out."""
        campaign: Campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
        state, outcome, q = desk.param("state"), desk.param("outcome"), desk.param("q")[:200]
        found = desk.ask(
            Campaigns.leads,
            campaign_id=campaign_id,
            standing=WalkState(state) if state in set(WalkState) else None,
            outcome=WalkOutcome(outcome) if outcome in set(WalkOutcome) else None,
            q=q,
        )
        return desk.page(
            "campaign_leads.html",
            **_frame(desk, campaign, "leads"),
            calls=(Campaigns.leads, Explain.lead, Exports.ledger_csv),
            found=found,
            walks=desk.walks([campaign_id])[campaign_id],
            state=state,
            outcome=outcome,
            q=q,
            states=[("", "All"), *((each.value, each.value.replace("_", " ")) for each in WalkState)],
            outcomes=[("", "Any"), *((each.value, each.value) for each in WalkOutcome)],
        )

    @get("/campaigns/{campaign_id:int}/leads/{lead_id:int}", sync_to_thread=True)
    def lead(self, campaign_id: FromPath[int], lead_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """Why a lead's next mail goes out or does not, and what it got so far."""
        campaign: Campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
        told = desk.ask(Explain.lead, campaign_id=campaign_id, lead_id=lead_id)
        with desk.database.transaction() as db:
            walk = overview.walk(db, desk.principal.workspace_id, campaign_id, lead_id)
            mails = overview.mails_of_lead(db, campaign_id, lead_id)
        return desk.page(
            "campaign_lead.html",
            **_frame(desk, campaign, "leads"),
            calls=(Explain.lead, Previews.preview),
            told=told,
            walk=walk,
            mails=mails,
            zone=zone_of(desk, campaign),
        )

    @get("/campaigns/{campaign_id:int}/activity", sync_to_thread=True)
    def activity(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """What has happened, and who changed what."""
        campaign: Campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
        window = desk.window(limit=_EVENTS)
        with desk.database.transaction() as db:
            rows = overview.latest(
                db, desk.principal.workspace_id, campaign_id=campaign_id, before=window.after, limit=window.fetch
            )
        return desk.page(
            "campaign_activity.html",
            **_frame(desk, campaign, "activity"),
            calls=(Changes.list_all, Exports.ledger_csv),
            activity=activity.told(rows[:_EVENTS], _EVENTS),
            types=activity.ALL,
            described=described,
            changes=desk.ask(Changes.list_all, campaign_id=campaign_id, window=desk.window(limit=20, after="_")).items,
            next=desk.cursor(rows[_EVENTS - 1]["id"]) if len(rows) > _EVENTS else None,
        )

    @get("/campaigns/{campaign_id:int}/forecast", sync_to_thread=True)
    def forecast(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """What it will send day by day, as it is and as it might be."""
        campaign: Campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
        supposed, assumed, asked = _supposed(desk, campaign)
        question = {"horizon_days": _number(desk, "days", 90, 366), "assumed": assumed}
        told = other = fault = None
        try:
            told = desk.ask(Forecasts.forecast, campaign_id=campaign_id, data=question)
            if supposed:
                other = desk.ask(Forecasts.forecast, campaign_id=campaign_id, data=question | {"changes": supposed})
        except CleanmailsError as error:
            fault = " ".join([error.message, *(each.message for each in getattr(error, "faults", []))])
        return desk.page(
            "campaign_forecast.html",
            **_frame(desk, campaign, "forecast"),
            calls=(Forecasts.forecast,),
            told=told,
            other=other,
            fault=fault,
            asked=asked,
            drawn=_drawn(told) if told else None,
            drawn_other=_drawn(other) if other else None,
            zone=zone_of(desk, campaign),
        )

    @get("/campaigns/{campaign_id:int}/preview", sync_to_thread=True)
    def preview(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """One mail to one lead as it is or will be sent, to the byte; and a test of it to oneself."""
        campaign: Campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
        with desk.database.transaction() as db:
            leads = overview.sample_leads(db, desk.principal.workspace_id, campaign_id, limit=50)
        lead = _number(desk, "lead", leads[0]["id"] if leads else 0, 2**63 - 1)
        step = _number(desk, "step", 0, 49)
        shown = fault = None
        try:
            shown = desk.ask(Previews.preview, campaign_id=campaign_id, data={"lead_id": lead, "step": step})
        except CleanmailsError as error:
            fault = " ".join(each.message for each in getattr(error, "faults", [])) or error.message
        return desk.page(
            "campaign_preview.html",
            **_frame(desk, campaign, "steps"),
            calls=(Previews.preview, Previews.test_send),
            shown=shown,
            fault=fault,
            lead=lead,
            step=step,
            leads=leads,
        )

    @post("/campaigns/{campaign_id:int}/preview/test", sync_to_thread=True)
    def test(self, campaign_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Send that mail to oneself."""
        lead, step = next(iter(form.ids("lead")), 0), next(iter(form.ids("step")), 0)
        back = f"/campaigns/{campaign_id}/preview?step={step}&lead={lead}"
        try:
            sent = desk.ask(
                Previews.test_send, campaign_id=campaign_id, data={"lead_id": lead, "step": step, "to": form.text("to")}
            )
        except CleanmailsError as error:
            return desk.refused(back, error)
        if sent.accepted:
            return desk.go(back, said=f"The test went to {sent.to}: {sent.reply}")
        return desk.go(back, said=f"The test was not accepted ({sent.stage}): {sent.reply}", kind="bad")

    @get("/campaigns/{campaign_id:int}/preview/mail", sync_to_thread=True)
    def mail(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """The mail alone, for a frame."""
        wanted = {"lead_id": _number(desk, "lead", 0, 2**63 - 1), "step": _number(desk, "step", 0, 49)}
        return _mail(desk, campaign_id, wanted)

    @post(
        "/campaigns/{campaign_id:int}/preview/mail",
        sync_to_thread=True,
        status_code=200,
        needs=Permission.READ,
        reads=True,
        request_max_body_size=5_000_000,
    )
    def typed(self, campaign_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Response[str]:
        """The mail as it would be with the words that are being typed, for a frame."""
        campaign: Campaign = desk.ask(Campaigns.read, campaign_id=campaign_id)
        step = next(iter(form.ids("step")), 0)
        wanted: dict[str, Any] = {
            "lead_id": next(iter(form.ids("lead")), 0),
            "step": step if step < len(campaign.steps) else 0,
            "subjects": form.all("subjects"),
            "body": form.text("body"),
        }
        if not campaign.senders:
            wanted["sender_id"] = next((each.id for each in desk.ask(Senders.list_all).items), None)
        return _mail(desk, campaign_id, wanted)

    @post("/campaigns/{campaign_id:int}/pause", sync_to_thread=True)
    def pause(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Pause it at once, and say what may still go out."""
        here = f"/campaigns/{campaign_id}"
        try:
            desk.ask(Campaigns.pause, campaign_id=campaign_id)
        except CleanmailsError as error:
            return desk.refused(here, error)
        with desk.database.transaction() as db:
            inside = overview.in_smtp(db, campaign_id)
        if inside:
            said = f"Paused. {plural(inside, 'mail')} had been handed to a server already; 0 more will go."
        else:
            said = "Paused. 0 more will go."
        return desk.go(here, said=said)

    @post("/campaigns/{campaign_id:int}/resume", sync_to_thread=True)
    def resume(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Let it go on."""
        try:
            desk.ask(Campaigns.resume, campaign_id=campaign_id)
        except InvalidError as error:
            return desk.refused(f"/campaigns/{campaign_id}/review", error)
        except CleanmailsError as error:
            return desk.refused(f"/campaigns/{campaign_id}", error)
        return desk.go(
            f"/campaigns/{campaign_id}",
            said="Resumed. Every lead goes on from where it stands; bounces are counted anew.",
        )

    @post("/campaigns/{campaign_id:int}/duplicate", sync_to_thread=True)
    def duplicate(self, campaign_id: FromPath[int], desk: Given[Desk], form: Given[Form]) -> Redirect:
        """Make a draft like it."""
        made = desk.once(form, lambda: f"/campaigns/{desk.ask(Changes.duplicate, campaign_id=campaign_id).id}/settings")
        return desk.go(made, said="This is the copy, a draft.")

    @post("/campaigns/{campaign_id:int}/archive", sync_to_thread=True)
    def archive(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Put it away."""
        return _done(desk, Changes.archive, campaign_id, "Put away. It keeps everything and can be restored.")

    @post("/campaigns/{campaign_id:int}/restore", sync_to_thread=True)
    def restore(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Take it back."""
        return _done(desk, Changes.restore, campaign_id, "Restored.")

    @post("/campaigns/{campaign_id:int}/delete", sync_to_thread=True)
    def delete(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Redirect:
        """Forget it, if it never sent mail."""
        try:
            desk.ask(Campaigns.delete, campaign_id=campaign_id)
        except CleanmailsError as error:
            return desk.refused(f"/campaigns/{campaign_id}", error)
        return desk.go("/campaigns", said="The campaign was deleted.")


def _done(desk: Desk, handler: Any, campaign_id: int, said: str) -> Redirect:  # noqa: ANN401 - a route handler
    """Asks for something to be done to a campaign, and leads back to it."""
    try:
        desk.ask(handler, campaign_id=campaign_id)
    except CleanmailsError as error:
        return desk.refused(f"/campaigns/{campaign_id}", error)
    return desk.go(f"/campaigns/{campaign_id}", said=said)


def _frame(desk: Desk, campaign: Campaign, section: str) -> dict[str, Any]:
    """What every page of one campaign has."""
    return {
        "here": "campaigns",
        "trail": [("Campaigns", "/campaigns"), (campaign.name, f"/campaigns/{campaign.id}")],
        "campaign": campaign,
        "section": section,
        "now": desk.now,
    }


def _subjects(desk: Desk, campaign: Campaign, sent: int) -> list[StepSubjects]:
    """The subjects against each other, where there are several; read off every mail that was `sent`, so those of great campaigns are kept for a moment."""
    if all(len(each.subjects) < 2 for each in campaign.steps):
        return []

    def count() -> list[StepSubjects]:
        found: list[StepSubjects] = desk.ask(Subjects.read, campaign_id=campaign.id).steps
        return found

    return desk.kept("subjects", campaign.id, count, lambda _: sent)


def _mail(desk: Desk, campaign_id: int, wanted: dict[str, Any]) -> Response[str]:
    shown, sentences = None, list[str]()
    try:
        shown = desk.ask(Previews.preview, campaign_id=campaign_id, data=wanted)
    except CleanmailsError as error:
        sentences = [each.message for each in getattr(error, "faults", [])] or [error.message]
    return framed(render("mail.html", shown=shown, sentences=sentences))


def _number(desk: Desk, name: str, default: int, most: int) -> int:
    text = desk.param(name)
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 19 else default


def _share(desk: Desk, name: str) -> float:
    text = desk.param(name).replace(",", ".")
    try:
        return min(1.0, max(0.0, float(text) / 100)) if text else 0.0
    except ValueError:
        return 0.0


def _supposed(desk: Desk, campaign: Campaign) -> tuple[dict[str, Any], dict[str, float], dict[str, str]]:
    """What the address supposes: changes of the campaign, what people do, and how both were asked."""
    asked = {name: desk.param(name) for name in ("limit", "new", "window", "replies", "bounces", "days")}
    changes: dict[str, Any] = {}
    limit, fresh = _number(desk, "limit", 0, 100_000), _number(desk, "new", 0, 1_000_000)
    if limit:
        changes["senders"] = [{"id": each.id, "daily_limit": limit} for each in campaign.senders]
    if fresh:
        changes["max_new_leads_per_day"] = fresh
    if asked["window"] == "always":
        changes["schedule_config"] = None
    elif asked["window"] in {"week", "all"}:
        days = [1, 2, 3, 4, 5] if asked["window"] == "week" else list(range(7))
        changes["schedule_config"] = {
            "days": days,
            "start": "08:00",
            "end": "18:00",
            "timezone": zone_of(desk, campaign),
        }
    rates = {"reply_rate": _share(desk, "replies"), "bounce_rate": _share(desk, "bounces")}
    return changes, rates, asked


def _drawn(told: CampaignForecast) -> charts.Chart:
    days = told.days[:_SHOWN_DAYS]
    return charts.bars(
        [each.date for each in days],
        ("First mails", "first", [each.first for each in days]),
        ("Follow-ups", "follow", [each.follow_ups for each in days]),
    )
