"""Sending domains: made with a key, published, looked up, deleted."""

import re

import pytest
from cryptography.hazmat.primitives import serialization

from cleanmails.demo.zone import Fault, Zone, serving
from cleanmails.vault import Vault


@pytest.fixture
def zone():
    return Zone()


@pytest.fixture
def environ(zone):
    with serving(zone) as port:
        yield {"CLEANMAILS_DNS_SERVERS": f"127.0.0.1:{port}", "CLEANMAILS_URL": "http://app.localhost"}


@pytest.fixture
def domain(api):
    return api.post("/v1/outreach/domains", json={"name": "Agency.Example"}).json()


def publish(zone, domain):
    for record in domain["records"]:
        zone.add(record["name"], record["type"], record["value"] + ("." if record["type"] == "CNAME" else ""))
    zone.add(domain["name"], "MX", "10 mx.agency.example.")


def verify(api, domain):
    answer = api.post(f"/v1/outreach/domains/{domain['id']}/verify")
    assert answer.status_code == 200
    return answer.json()


def states(domain):
    return {finding["kind"]: finding["state"] for finding in domain["findings"]}


def test_a_new_domain_lists_the_records_to_publish(domain):
    assert (domain["name"], domain["status"], domain["senders"], domain["findings"]) == (
        "agency.example",
        "pending",
        0,
        [],
    )
    records = {record["kind"]: record for record in domain["records"]}
    assert set(records) == {"spf", "dkim", "dmarc"}
    assert records["dkim"]["name"] == "cleanmails._domainkey.agency.example"
    assert re.fullmatch(r"v=DKIM1; k=rsa; p=[A-Za-z0-9+/=]{390,}", records["dkim"]["value"])
    assert all(len(piece) <= 255 for piece in records["dkim"]["strings"])
    assert "".join(records["dkim"]["strings"]) == records["dkim"]["value"]
    assert records["dmarc"]["name"] == "_dmarc.agency.example"


def test_the_private_key_is_sealed_for_its_row_and_never_shown(api, domain, database, settings):
    with database.transaction() as db:
        row = db.execute("SELECT id, private_sealed FROM dkim_keys").fetchone()
    pem = Vault.from_settings(settings).open(row["private_sealed"], f"dkim_key:{row['id']}:private")
    private = serialization.load_pem_private_key(pem, password=None)
    assert private.key_size == 2048
    shown = api.get(f"/v1/outreach/domains/{domain['id']}").text
    assert "PRIVATE" not in shown
    assert pem.splitlines()[1].decode() not in shown


def test_an_international_name_is_kept_in_its_ascii_form(api):
    made = api.post("/v1/outreach/domains", json={"name": "Bücher.example", "selector": "s2030"}).json()
    assert (made["name"], made["selector"]) == ("xn--bcher-kva.example", "s2030")


def test_all_faults_of_a_domain_come_at_once(api):
    answer = api.post("/v1/outreach/domains", json={"name": "", "selector": "_x_", "status": "verified"})
    assert answer.status_code == 400
    assert {fault["field"] for fault in answer.json()["faults"]} == {"name", "selector", "status"}


@pytest.mark.parametrize(
    "name", ["agency", "http://agency.example", "a b.example", "-a.example", "a..example", "x@y.example", "127.0.0.1"]
)
def test_what_is_no_domain_is_refused(api, name):
    answer = api.post("/v1/outreach/domains", json={"name": name})
    assert answer.status_code == 400
    assert answer.json()["faults"][0]["field"] == "name"


def test_a_domain_cannot_be_added_twice(api, domain):
    assert api.post("/v1/outreach/domains", json={"name": "agency.EXAMPLE"}).status_code == 409


def test_two_workspaces_may_have_the_same_domain_with_keys_of_their_own(stranger, domain):
    theirs = stranger.post("/v1/outreach/domains", json={"name": "agency.example"}).json()
    assert theirs["records"] != domain["records"]


def test_a_domain_whose_records_are_published_is_verified(api, zone, domain):
    publish(zone, domain)
    found = verify(api, domain)
    assert found["status"] == "verified"
    assert found["verified_at"] == found["checked_at"]
    assert states(found) == {"spf": "ok", "dkim": "ok", "dmarc": "ok", "mx": "ok"}
    assert api.get(f"/v1/outreach/domains/{domain['id']}").json() == found


def test_a_domain_without_records_stays_pending_and_says_what_is_missing(api, domain):
    found = verify(api, domain)
    assert (found["status"], found["verified_at"]) == ("pending", None)
    assert set(states(found).values()) == {"missing"}
    assert all(finding["sentence"] for finding in found["findings"])


def test_a_wrong_key_is_faulty_and_shown_beside_the_right_one(api, zone, domain):
    publish(zone, domain)
    zone.replace("cleanmails._domainkey.agency.example", "TXT", "v=DKIM1; k=rsa; p=AAAA")
    found = verify(api, domain)
    assert found["status"] == "faulty"
    dkim = next(finding for finding in found["findings"] if finding["kind"] == "dkim")
    assert dkim["found"] == ["v=DKIM1; k=rsa; p=AAAA"]
    assert dkim["expected"] == next(record["value"] for record in domain["records"] if record["kind"] == "dkim")


def test_a_name_server_that_fails_changes_nothing(api, zone, domain):
    publish(zone, domain)
    verify(api, domain)
    zone.fail("cleanmails._domainkey.agency.example", Fault.SERVFAIL)
    found = verify(api, domain)
    assert (found["status"], states(found)["dkim"]) == ("verified", "unreachable")


def test_the_tracking_name_is_a_record_of_the_domain_that_it_is_below(api, zone, domain):
    assert api.patch("/v1/workspace", json={"tracking_domain": "links.agency.example"}).status_code == 200
    domain = api.get(f"/v1/outreach/domains/{domain['id']}").json()
    record = next(record for record in domain["records"] if record["kind"] == "tracking")
    assert (record["type"], record["name"], record["value"]) == ("CNAME", "links.agency.example", "app.localhost")
    publish(zone, domain)
    assert states(verify(api, domain))["tracking"] == "ok"
    assert api.get("/v1/workspace").json()["tracking_verified_at"] is not None
    zone.fail("links.agency.example", Fault.SERVFAIL)
    verify(api, domain)
    assert api.get("/v1/workspace").json()["tracking_verified_at"] is not None, "nobody said that it is gone"
    api.patch("/v1/workspace", json={"tracking_domain": "other.agency.example"})
    assert api.get("/v1/workspace").json()["tracking_verified_at"] is None


def test_a_tracking_name_must_be_below_a_domain_of_the_workspace(api, domain):
    for name in ("links.elsewhere.example", "not a name", "agency.example"):
        answer = api.patch("/v1/workspace", json={"tracking_domain": name})
        assert [fault["field"] for fault in answer.json()["faults"]] == ["tracking_domain"]


def test_the_workspace_keeps_what_a_change_leaves_out(api):
    api.patch("/v1/workspace", json={"postal_address": "1 Main Street, Springfield"})
    changed = api.patch("/v1/workspace", json={"name": "Agency Ltd"}).json()
    assert (changed["name"], changed["postal_address"]) == ("Agency Ltd", "1 Main Street, Springfield")
    assert api.patch("/v1/workspace", json={"name": None, "postal_address": 4}).status_code == 400


def test_a_deleted_domain_is_gone(api, domain):
    path = f"/v1/outreach/domains/{domain['id']}"
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == api.delete(path).status_code == api.post(f"{path}/verify").status_code == 404


def test_a_domain_of_another_workspace_is_unknown(stranger, domain):
    path = f"/v1/outreach/domains/{domain['id']}"
    assert stranger.get(path).status_code == 404
    assert stranger.post(f"{path}/verify").status_code == 404
    assert stranger.delete(path).status_code == 404
    assert stranger.get("/v1/outreach/domains").json() == {"items": [], "next": None}


def test_a_viewer_may_look_and_nothing_else(viewer, domain):
    path = f"/v1/outreach/domains/{domain['id']}"
    assert viewer.get(path).json() == domain
    assert viewer.get("/v1/outreach/domains").json()["items"] == [domain]
    assert viewer.post("/v1/outreach/domains", json={"name": "b.example"}).status_code == 403
    assert viewer.post(f"{path}/verify").status_code == 403
    assert viewer.delete(path).status_code == 403
    assert viewer.patch("/v1/workspace", json={"name": "x"}).status_code == 403


def house_sender(database, owner, domain, smtp_host, imap_host=None):
    with database.transaction() as db:
        db.execute(
            """INSERT INTO senders (workspace_id, domain_id, address, smtp_host, smtp_port, smtp_security, imap_host, imap_port, imap_security)
               VALUES (%s, %s, 'ann@agency.example', %s, 465, 'tls', %s::text, CASE WHEN %s::text IS NULL THEN NULL ELSE 993 END,
                       CASE WHEN %s::text IS NULL THEN NULL ELSE 'tls' END)""",
            (owner, domain["id"], smtp_host, imap_host, imap_host, imap_host),
        )


def test_the_records_name_the_servers_that_the_senders_really_use(api, domain, database, owner):
    house_sender(database, owner, domain, "smtp.gmail.com", "imap.gmail.com")
    path = f"/v1/outreach/domains/{domain['id']}"
    changed = api.patch(path, json={"spf_hosts": ["mail.agency.example", "198.51.101.7", "mail.agency.example"]}).json()
    assert changed["spf_hosts"] == ["mail.agency.example", "198.51.101.7"]
    records = {record["kind"]: record for record in changed["records"]}
    assert records["spf"]["value"] == "v=spf1 a:mail.agency.example ip4:198.51.101.7 include:_spf.google.com ~all"
    assert (records["mx"]["type"], records["mx"]["value"]) == ("MX", "1 smtp.google.com")
    refused = api.patch(path, json={"spf_hosts": ["-all", "a b", "http://x.example"]})
    assert [fault["field"] for fault in refused.json()["faults"]] == [f"spf_hosts[{n}]" for n in range(3)]


def test_an_spf_record_that_lacks_a_server_is_told_and_stops_nobody(api, zone, domain, database, owner):
    publish(zone, domain)
    house_sender(database, owner, domain, "smtp.gmail.com")
    found = verify(api, domain)
    spf = next(finding for finding in found["findings"] if finding["kind"] == "spf")
    assert (found["status"], spf["state"], spf["hinders"]) == ("verified", "wrong", False)
    assert "include:_spf.google.com" in spf["sentence"]
    assert {each["kind"]: each["passes"] for each in found["alignment"]} == {"dkim": True, "spf": False, "dmarc": True}


def test_a_change_of_dns_is_an_event_and_the_same_again_is_none(api, zone, domain, database):
    def told():
        with database.transaction() as db:
            rows = db.execute("SELECT data FROM events WHERE type = 'domain.changed' ORDER BY id").fetchall()
        return [
            (row["data"]["status"], row["data"]["was"], [each["kind"] for each in row["data"]["records"]])
            for row in rows
        ]

    publish(zone, domain)
    verify(api, domain)
    assert told() == [("verified", "pending", ["spf", "dkim", "dmarc", "mx"])]
    verify(api, domain)
    zone.fail("cleanmails._domainkey.agency.example", Fault.SERVFAIL)
    verify(api, domain)
    assert len(told()) == 1, "nothing changed, and what DNS could not say changes nothing"
    zone.fail("cleanmails._domainkey.agency.example", None)
    zone.replace("cleanmails._domainkey.agency.example", "TXT")
    verify(api, domain)
    assert told()[1:] == [("pending", "verified", ["dkim"])], "what was known before DNS fell silent is remembered"
