"""A domain's key is changed without a gap: old and new are published together, and a mail is signed by a published key at every moment."""

import dkim as dkimpy
import pytest

from cleanmails.demo.zone import Zone, serving
from tests.ledger.conftest import Rows

DOMAINS = "/v1/outreach/domains"


@pytest.fixture
def zone():
    return Zone()


@pytest.fixture
def environ(zone):
    with serving(zone) as port:
        yield {"CLEANMAILS_DNS_SERVERS": f"127.0.0.1:{port}", "CLEANMAILS_URL": "http://app.localhost"}


@pytest.fixture
def domain(api, zone):
    made = api.post(DOMAINS, json={"name": "agency.example"}).json()
    for record in made["records"]:
        zone.add(record["name"], record["type"], record["value"])
    assert api.post(f"{DOMAINS}/{made['id']}/verify").json()["status"] == "verified"
    return made


@pytest.fixture
def keys(domain):
    return f"{DOMAINS}/{domain['id']}/keys"


@pytest.fixture
def waiting(api, keys):
    answer = api.post(keys, json={"selector": "next"})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def mail(api, owner, domain, database_url):
    """Calls for the bytes of a mail as it would be signed now."""
    house = Rows(database_url)
    house.workspace = owner
    [lead] = house.leads("bob@x.example")
    campaign = house.campaign([lead], [house.sender("ann@agency.example", domain=domain["id"])])
    house.db.close()

    def raw():
        return api.post(f"/v1/outreach/campaigns/{campaign}/preview", json={"lead_id": lead}).json()["raw"].encode()

    return raw


def publish(zone, key):
    zone.add(key["name"], "TXT", key["value"])


def verified(raw, *published):
    found = {key["name"]: key["value"].encode() for key in published}
    return dkimpy.verify(raw, dnsfunc=lambda name, **_: found.get(name.decode().rstrip(".")))


def test_a_key_is_changed_without_a_gap(api, zone, keys, waiting, mail, clock):
    [old] = [key for key in api.get(keys).json() if key["state"] == "active"]
    before = mail()
    assert verified(before, old, waiting)
    assert b"s=next;" not in before
    publish(zone, waiting)
    new = api.post(f"{keys}/{waiting['id']}/activate").json()
    assert (new["state"], new["finding"]["state"]) == ("active", "ok")
    after = mail()
    assert b"s=next;" in after
    assert verified(before, old, new)
    assert verified(after, old, new)
    [retired] = [key for key in api.get(keys).json() if key["state"] == "retired"]
    assert retired["id"] == old["id"]
    assert api.delete(f"{keys}/{old['id']}").json()["code"] == "key_in_use"
    clock.forward(days=8)
    assert api.delete(f"{keys}/{old['id']}").status_code == 204
    assert [key["id"] for key in api.get(keys).json()] == [new["id"]]


def test_a_key_that_dns_does_not_show_signs_nothing(api, keys, waiting, mail):
    answer = api.post(f"{keys}/{waiting['id']}/activate")
    assert (answer.status_code, answer.json()["code"]) == (409, "key_not_published")
    assert b"s=next;" not in mail()


def test_a_waiting_key_is_seen_once_it_is_published(api, zone, keys, waiting):
    assert api.post(f"{keys}/{waiting['id']}/verify").json()["published_at"] is None
    publish(zone, waiting)
    seen = api.post(f"{keys}/{waiting['id']}/verify").json()
    assert seen["published_at"] is not None
    assert "activate" in seen["advice"]


def test_one_key_waits_at_a_time_and_can_be_given_up(api, keys, waiting):
    assert api.post(keys, json={}).json()["code"] == "key_waiting"
    assert api.delete(f"{keys}/{waiting['id']}").status_code == 204
    assert api.post(keys, json={}).json()["selector"].startswith("cm2")


def test_the_active_key_stays(api, keys):
    [key] = api.get(keys).json()
    assert api.delete(f"{keys}/{key['id']}").json()["code"] == "key_in_use"


def test_keys_of_another_workspace_are_not_there(api, viewer, keys, waiting):
    assert api.get(f"{DOMAINS}/999/keys").status_code == 404
    assert api.post(f"{DOMAINS}/999/keys", json={}).status_code == 404
    assert api.post(f"{keys}/999/activate").status_code == 404
    assert viewer.post(keys, json={}).status_code == 403
