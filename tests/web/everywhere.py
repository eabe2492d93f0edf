"""Every page of the dashboard, for the tests that hold something of all of them."""

FIXED = (
    "/",
    "/campaigns",
    "/campaigns?q=x&status=running",
    "/leads",
    "/leads?q=ada&status=bounced&validation=valid&tag=x&engagement=silent",
    "/leads/new",
    "/lists",
    "/lists?archived=yes&q=x",
    "/uploads",
    "/suppressions",
    "/suppressions?kind=domain&reason=manual&q=x",
    "/unknown",
    "/unknown?campaign_id=1",
    "/inbox",
    "/inbox?show=unread&q=x&kind=reply",
    "/inbox?show=interested",
    "/inbox/review",
    "/senders",
    "/senders?q=x&status=ready",
    "/senders/new",
    "/domains",
    "/domains?q=x",
    "/webhooks",
    "/webhooks?q=x",
    "/webhooks/new",
    "/integrations",
    "/integrations?q=x",
    "/integrations/new",
    "/integrations/new?kind=slack",
    "/settings",
    "/settings/ai",
    "/settings/people",
    "/settings/keys",
    "/settings/account",
    "/settings/appearance",
    "/settings/audit",
    "/settings/audit?q=x&since=2026-01-01",
    "/settings/data",
)
"""Pages that every workspace has."""

OF_ONE = {
    "/campaigns/{}": "SELECT min(campaign_id) FROM deliveries",
    "/campaigns/{}/leads": "SELECT min(campaign_id) FROM deliveries",
    "/campaigns/{}/activity": "SELECT min(campaign_id) FROM deliveries",
    "/campaigns/{}/settings": "SELECT min(id) FROM campaigns WHERE status = 'draft'",
    "/campaigns/{}/lists": "SELECT min(id) FROM campaigns WHERE status = 'draft'",
    "/campaigns/{}/steps": "SELECT min(id) FROM campaigns WHERE status = 'draft'",
    "/campaigns/{}/schedule": "SELECT min(id) FROM campaigns WHERE status = 'draft'",
    "/campaigns/{}/review": "SELECT min(id) FROM campaigns WHERE status = 'draft'",
    "/leads/{}": "SELECT min(id) FROM leads",
    "/lists/{}": "SELECT min(id) FROM lists",
    "/uploads/{}": "SELECT min(id) FROM imports",
    "/uploads/{}?list=1": "SELECT min(id) FROM imports WHERE state = 'mapping'",
    "/uploads/{}?": "SELECT min(id) FROM imports WHERE state = 'queued'",
    "/uploads/{}?show": "SELECT min(id) FROM imports WHERE state = 'running'",
    "/uploads/{}?x": "SELECT min(id) FROM imports WHERE state = 'failed'",
    "/suppressions/{}": "SELECT min(id) FROM suppressions",
    "/inbox/{}": "SELECT min(id) FROM threads",
    "/senders/{}": "SELECT min(id) FROM senders",
    "/senders/{}/edit": "SELECT min(id) FROM senders",
    "/domains/{}": "SELECT min(id) FROM domains",
    "/webhooks/{}": "SELECT min(id) FROM outlets WHERE kind = 'webhook'",
    "/webhooks/{}?show=events&state=pending": "SELECT min(id) FROM outlets WHERE kind = 'webhook'",
    "/webhooks/{}/edit": "SELECT min(id) FROM outlets WHERE kind = 'webhook'",
    "/integrations/{}": "SELECT min(id) FROM outlets WHERE kind <> 'webhook'",
    "/integrations/{}?show=events": "SELECT min(id) FROM outlets WHERE kind <> 'webhook'",
    "/integrations/{}/edit": "SELECT min(id) FROM outlets WHERE kind <> 'webhook'",
}
"""Pages about one thing, and where one such is found."""

DOWNLOADS = (
    "/campaigns.csv",
    "/v1/outreach/leads/download",
    "/lists.csv",
    "/unknown.csv",
    "/senders.csv",
    "/domains.csv",
    "/webhooks.csv",
    "/integrations.csv",
    "/settings/audit.csv",
)


def addresses(house):
    """The addresses of all pages of the house's ledger; those about a thing that it does not have are left out."""
    about = ((path, house.one(query)) for path, query in OF_ONE.items())
    return [*FIXED, *(path.format(found) for path, found in about if found is not None)]
