"""The demonstration that the first `up` finds: a workspace with campaigns that run now and months of history (`lived.py`), and an empty one beside it."""

import msgspec
from litestar.testing import TestClient

from cleanmails.api.app import create_app
from cleanmails.api.owner import first_owner
from cleanmails.demo.lived import live
from cleanmails.demo.stage import OWNER
from cleanmails.demo.user import User
from cleanmails.ledger.db import Database
from cleanmails.settings import Settings

DOMAINS = ("north.example", "south.example")

PEOPLE = ("Ann", "Ben", "Cleo", "Dan")

BODY = (
    '<p>Hi {{FIRST_NAME | "there"}},</p><p>{I noticed|I saw} what {{COMPANY}} does, and {wondered|asked myself} who looks after '
    '{outreach|new business} there. <a href="https://agency.example/work">Here is</a> what we did for others like you.</p><p>Best,<br>the team</p>'
)


class Account(msgspec.Struct, frozen=True):
    """Whom to sign in as. `password` is known at the first start only."""

    email: str
    password: str | None


def seed(settings: Settings, *, smtp_port: int, imap_port: int, catcher_url: str) -> Account:
    """Makes the owner and the demonstration, once; the catcher must be running, the web process need not be."""
    assert settings.database_url is not None
    with Database(settings.database_url, size=2, name="cleanmails seed") as database:
        password = first_owner(database, OWNER)
        if password is not None:
            with TestClient(create_app(settings, database), base_url=settings.public_url) as http:
                user = User(http, catcher_url, smtp_port, imap_port)
                user.sign_in(OWNER, password)
                demonstrate(user)
                live(database, user, user.get("/v1/workspace")["id"])
    return Account(OWNER, password)


def demonstrate(user: User) -> None:
    """Everything over the API, as a user would; the workspace of `user` is empty."""
    user.patch("/v1/workspace", {"name": "Demonstration", "postal_address": "Agency Ltd, 1 Main Street, Springfield"})
    for number in range(12):
        name = f"company{number:02}.example"
        user.publish(name, "MX", f"10 mx.{name}.")
    for name in DOMAINS:
        user.sending_domain(name)
    senders = [
        {
            "id": user.sender(
                f"{person.lower()}@{DOMAINS[place % 2]}", f"{person} Miller", min_gap_seconds=10, max_gap_seconds=25
            )
        }
        for place, person in enumerate(PEOPLE)
    ]
    conference = _list(user, "Conference visitors", 120)
    newsletter = _list(user, "Asked for a brochure", 40)
    hours = {"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "17:00", "timezone": "Europe/Berlin"}
    common = {"senders": senders, "steps": _steps()}
    user.post(
        "/v1/outreach/campaigns",
        common | {"name": "Spring outreach", "status": "running", "lists": [{"id": conference}]},
    )
    user.post(
        "/v1/outreach/campaigns",
        common
        | {"name": "Office hours only", "status": "running", "lists": [{"id": newsletter}], "schedule_config": hours},
    )
    user.post(
        "/v1/outreach/campaigns",
        common | {"name": "Autumn ideas", "lists": [{"id": newsletter}], "schedule_config": hours},
    )


def _list(user: User, name: str, size: int) -> int:
    """A list and its leads, uploaded as CSV. Every tenth has no first name: the mail has a fallback for that."""
    list_id = int(user.post("/v1/outreach/lists", {"name": name})["id"])
    tag = name.split(maxsplit=1)[0].lower()
    rows = ["email,first_name,company"]
    rows += [
        f"{tag}{n}@company{n % 12:02}.example,{'' if n % 10 == 9 else f'Lead {n}'},Company {n % 12}"
        for n in range(size)
    ]
    user.post(
        f"/v1/outreach/lists/{list_id}/upload", content="\n".join(rows).encode(), headers={"content-type": "text/csv"}
    )
    return list_id


def _steps() -> list[dict[str, object]]:
    return [
        {"position": 0, "subjects": ['A question, {{FIRST_NAME | "if I may"}}', "{{COMPANY}} and us"], "body": BODY},
        {"position": 1, "subjects": [], "body": "<p>Did you have a moment to look at this?</p>", "wait_days": 2},
        {"position": 2, "subjects": [], "body": "<p>I will not write again. All the best!</p>", "wait_days": 4},
    ]
