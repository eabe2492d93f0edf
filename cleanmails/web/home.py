"""Home: what is going on, and what needs somebody."""

from litestar import Response, get

from cleanmails.api.given import Given
from cleanmails.ledger import overview, senders, workers
from cleanmails.rules import duties
from cleanmails.web.desk import Desk, Page

_CAMPAIGNS_SHOWN = 50
_SENDERS_SHOWN = 200


class Home(Page):
    """The first page."""

    @get("/", sync_to_thread=True)
    def home(self, desk: Given[Desk]) -> Response[str]:
        """Campaigns and today's senders."""
        workspace = desk.principal.workspace_id
        with desk.database.transaction() as db:
            campaigns = overview.campaigns(db, workspace, limit=_CAMPAIGNS_SHOWN)
            mailboxes = senders.list_senders(db, workspace, today=desk.now.date(), after=None, limit=_SENDERS_SHOWN)
            amiss = [duty.sentence for duty in duties.judged(workers.duty_ages(db)) if duty.late]
        return desk.page("home.html", here="home", amiss=amiss, campaigns=campaigns, senders=mailboxes, now=desk.now)
