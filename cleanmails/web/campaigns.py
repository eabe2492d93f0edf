"""Campaigns."""

from litestar import Response, get
from litestar.params import FromPath

from cleanmails.api.given import Given
from cleanmails.ledger import overview
from cleanmails.records import CampaignStatus
from cleanmails.web.desk import Desk, Page

_DELIVERIES_SHOWN = 50


class CampaignPages(Page):
    """`/campaigns`."""

    @get("/campaigns/{campaign_id:int}", sync_to_thread=True)
    def campaign(self, campaign_id: FromPath[int], desk: Given[Desk]) -> Response[str]:
        """One campaign: where its leads stand, and what became of its latest mails."""
        workspace = desk.principal.workspace_id
        with desk.database.transaction() as db:
            campaign = overview.campaign(db, workspace, campaign_id)
            endings = overview.endings(db, workspace, campaign_id)
            deliveries = overview.deliveries(db, workspace, campaign_id, limit=_DELIVERIES_SHOWN)
        draft = campaign["status"] == CampaignStatus.DRAFT
        return desk.page(
            "campaign.html",
            here="campaigns",
            trail=[("Campaigns", "/campaigns")],
            campaign=campaign,
            endings=endings,
            deliveries=deliveries,
            draft=draft,
            now=desk.now,
        )
