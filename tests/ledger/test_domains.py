"""Sending domains: one active key each, senders that belong to them, and what DNS said."""

from datetime import UTC, datetime

import pytest

from cleanmails.errors import ConflictError, NotFoundError, StateError
from cleanmails.ledger import domains
from cleanmails.records import DomainStatus

NOW = datetime(2030, 1, 31, 9, tzinfo=UTC)
SPF = {"kind": "spf", "state": "ok", "sentence": "The record is there."}


@pytest.fixture
def domain(db, house):
    """`agency.example` with its key."""
    made = domains.create(db, house.workspace, "agency.example")
    key = domains.next_key_id(db)
    domains.add_key(db, house.workspace, made, key, selector="cm", private_sealed=b"sealed", public_key="public")
    return made


def check(db, house, domain, status):
    domains.record_check(db, house.workspace, domain, findings=[SPF], status=status, now=NOW)
    return domains.read(db, house.workspace, domain)


def test_a_name_is_a_domain_once_a_workspace(db, house, domain):
    with pytest.raises(ConflictError):
        domains.create(db, house.workspace, "agency.example")


def test_a_check_without_a_verdict_keeps_the_status(db, house, domain):
    assert check(db, house, domain, DomainStatus.VERIFIED)["status"] == "verified"
    kept = check(db, house, domain, None)
    assert (kept["status"], kept["verified_at"], kept["findings"]) == ("verified", NOW, [SPF])
    assert check(db, house, domain, DomainStatus.FAULTY)["status"] == "faulty"


def test_senders_join_their_domain_once_it_is_verified(db, house, domain):
    ann, bob = house.sender("ann@agency.example"), house.sender("bob@elsewhere.example")
    check(db, house, domain, DomainStatus.PENDING)
    assert domains.read(db, house.workspace, domain)["senders"] == 0
    check(db, house, domain, DomainStatus.VERIFIED)
    rows = db.execute("SELECT id, domain_id FROM senders ORDER BY id").fetchall()
    assert [(row["id"], row["domain_id"]) for row in rows] == [(ann, domain), (bob, None)]


def test_a_domain_with_senders_stays_and_one_with_deleted_senders_goes(db, house, domain):
    ann = house.sender("ann@agency.example")
    check(db, house, domain, DomainStatus.VERIFIED)
    with pytest.raises(StateError, match="1 senders"):
        domains.delete(db, house.workspace, domain)
    db.execute("UPDATE senders SET deleted_at = now() WHERE id = %s", (ann,))
    domains.delete(db, house.workspace, domain)
    with pytest.raises(NotFoundError):
        domains.read(db, house.workspace, domain)


def test_a_domain_of_another_workspace_is_unknown(db, house, domain):
    other = house.workspace + 1
    assert domains.find(db, other, "agency.example") is None
    for call in (domains.read, domains.delete):
        with pytest.raises(NotFoundError):
            call(db, other, domain)
    with pytest.raises(NotFoundError):
        domains.record_check(db, other, domain, findings=[], status=None, now=NOW)


def test_domains_come_in_pages(db, house, domain):
    names = ["b.example", "c.example"]
    for name in names:
        made = domains.create(db, house.workspace, name)
        domains.add_key(
            db, house.workspace, made, domains.next_key_id(db), selector="cm", private_sealed=b"", public_key=""
        )
    seen = domains.list_domains(db, house.workspace, after=domain, limit=10)
    assert [row["name"] for row in seen] == names
    assert len(domains.list_domains(db, house.workspace, after=None, limit=2)) == 2
