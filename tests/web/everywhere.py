"""Every page of the dashboard, for the tests that hold something of all of them."""

FIXED = (
    "/",
    "/leads",
    "/leads?q=ada&status=bounced",
    "/leads/new",
    "/lists",
    "/lists?archived=yes&q=x",
    "/uploads",
    "/suppressions",
    "/suppressions?kind=domain&reason=manual&q=x",
    "/unknown",
    "/unknown?campaign_id=1",
)
"""Pages that every workspace has."""

OF_ONE = {
    "/leads/{}": "SELECT min(id) FROM leads",
    "/lists/{}": "SELECT min(id) FROM lists",
    "/uploads/{}": "SELECT min(id) FROM imports",
    "/suppressions/{}": "SELECT min(id) FROM suppressions",
}
"""Pages about one thing, and where one such is found."""

DOWNLOADS = ("/leads.csv", "/lists.csv", "/unknown.csv")


def addresses(house):
    """The addresses of all pages of the house's ledger; those about a thing that it does not have are left out."""
    about = ((path, house.one(query)) for path, query in OF_ONE.items())
    return [*FIXED, *(path.format(found) for path, found in about if found is not None)]
