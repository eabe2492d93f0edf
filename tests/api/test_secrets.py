"""One secret of each kind is planted, used, and used wrongly. Then everything that leaves the program or outlives it is searched: logs, answers, events, exports, every table."""

import base64
import json
import logging
import re
import traceback

import pyotp
import pytest

from cleanmails.vault import Vault
from tests.api.conftest import EMAIL, PASSWORD
from tests.api.test_people import Browser, sign_in, token_in
from tests.api.test_senders import authority, server  # noqa: F401 - fixtures

MAILBOX = "mailbox-p4ssw0rd"
MODEL = "model-key-s3cret"
CRM = "pat-crm-s3cret"
SLACK = "http://127.0.0.1:9/services/T0/B0/slack-s3cret"
SYSTEM = "system-smtp-s3cret"
KEY = "51" * 31 + "7f"
WRONG = "wrong-p4ssw0rd-of-somebody"
NEW = "another good passphrase"


@pytest.fixture
def environ(server, authority):  # noqa: F811
    server.users["ann@agency.example"] = MAILBOX
    return {
        "CLEANMAILS_SECRET_KEY": KEY,
        "CLEANMAILS_CA_FILE": str(authority.authority),
        "CLEANMAILS_SYSTEM_SMTP": f"smtp+plain://robot:{SYSTEM}@127.0.0.1:9",
        "CLEANMAILS_SYSTEM_FROM": "robot@agency.example",
    }


@pytest.fixture
def planted(anonymous, owner, server, database, clock, settings, caplog):  # noqa: F811
    """Uses one of each; gives the secrets by name, and every answer that does not show one on purpose."""
    caplog.set_level(logging.DEBUG)
    secrets, answers = {}, []
    boss = Browser(anonymous)

    def ask(method, path, *, shown=False, **rest):
        answer = boss.request(method, path, **rest)
        if not shown:
            answers.append(answer.text)
        return answer

    assert sign_in(boss).status_code == 200
    secrets |= {
        "password": PASSWORD,
        "wrong password": WRONG,
        "session": boss.cookies["auth_token"],
        "new password": NEW,
    }
    key = ask("POST", "/v1/api-keys", shown=True, json={"name": "CRM", "role": "admin"}).json()["key"]
    secrets |= {"API key": key}
    hook = ask("POST", "/v1/outreach/webhooks", shown=True, json={"url": "http://127.0.0.1:9/hook"}).json()
    again = ask("POST", f"/v1/outreach/webhooks/{hook['webhook']['id']}/rotate-secret", shown=True, json={}).json()
    secrets |= {"webhook": hook["secret"], "rotated": again["secret"]}
    ask("POST", f"/v1/outreach/webhooks/{hook['webhook']['id']}/test")
    for kind, credential in (("hubspot", CRM), ("slack", SLACK)):
        made = ask(
            "POST",
            "/v1/outreach/integrations",
            json={"kind": kind, "credential": credential, "url": "http://127.0.0.1:9"},
        ).json()
        ask("POST", f"/v1/outreach/integrations/{made['id']}/test")
        secrets[kind] = credential
    sender = {
        "address": "ann@agency.example",
        "name": "Ann",
        "smtp_host": "127.0.0.1",
        "smtp_port": server.port,
        "smtp_password": MAILBOX,
    }
    made = ask("POST", "/v1/outreach/senders", json=sender)
    assert made.status_code == 201, made.text
    ask("POST", "/v1/outreach/senders", json={**sender, "address": "bob@agency.example", "smtp_password": WRONG})
    ask(
        "PUT",
        "/v1/workspace/ai",
        json={"kind": "openai", "model": "small", "url": "http://127.0.0.1:9/v1", "key": MODEL},
    )
    ask("POST", "/v1/workspace/ai/test", json={"prompt": "Hello"})
    domain = ask("POST", "/v1/outreach/domains", json={"name": "agency.example"}).json()
    with database.transaction() as db:
        row = db.execute("SELECT id, private_sealed FROM dkim_keys WHERE domain_id = %s", [domain["id"]]).fetchone()
    pem = Vault.from_settings(settings).open(bytes(row["private_sealed"]), f"dkim_key:{row['id']}:private").decode()
    secrets |= {
        "mailbox": MAILBOX,
        "model": MODEL,
        "DKIM": max(pem.splitlines(), key=len),
        "system": SYSTEM,
        "key": KEY,
    }
    invitation = ask("POST", "/v1/invitations", shown=True, json={"email": "eve@agency.example", "role": "viewer"})
    secrets["invitation"] = token_in(invitation)
    with database.transaction() as db:
        campaign = db.execute(
            "INSERT INTO campaigns (workspace_id, name) VALUES (%s, 'Spring') RETURNING id", [owner]
        ).fetchone()["id"]
    share = ask("POST", f"/v1/outreach/campaigns/{campaign}/shares", shown=True, json={"name": "Client"})
    secrets["share"] = token_in(share)
    anonymous.get(f"/v1/shared/{secrets['share']}")
    begun = ask("POST", "/v1/auth/second-factor", shown=True, json={"password": PASSWORD}).json()
    seed = begun.get("secret") or re.search(r"secret=([A-Z2-7]+)", json.dumps(begun))[1]
    codes = ask(
        "POST", "/v1/auth/second-factor/confirm", shown=True, json={"code": pyotp.TOTP(seed).at(clock())}
    ).json()
    secrets |= {"seed": seed, "recovery code": next(code for code in re.findall(r"[a-z2-9-]{20,}", json.dumps(codes)))}
    # And wrongly: in places where people put them by mistake.
    door = Browser(anonymous)
    answers.append(sign_in(door, password=WRONG).text)
    answers.append(door.post("/v1/auth/login", json={"email": EMAIL, "password": [PASSWORD]}).text)
    answers.append(door.get("/v1/outreach/lists", headers={"Authorization": f"Bearer {key}x"}).text)
    answers.append(door.get(f"/v1/outreach/lists?limit={key}", headers={"Authorization": f"Bearer {key}"}).text)
    answers.append(
        door.post(
            "/v1/auth/login",
            content=b'{"password": "' + PASSWORD.encode() + b'"',
            headers={"Content-Type": "application/json"},
        ).text
    )
    answers.append(door.post("/v1/auth/reset", json={"token": secrets["invitation"], "password": NEW}).text)
    answers.append(door.post("/v1/auth/forgot", json={"email": EMAIL}).text)
    ask("POST", "/v1/auth/password", json={"current": WRONG, "new": NEW})
    # What cannot be opened fails with a traceback in the log.
    with database.transaction() as db:
        db.execute("UPDATE senders SET smtp_sealed = set_byte(smtp_sealed, 20, get_byte(smtp_sealed, 20) # 1)")
    answers.append(ask("POST", f"/v1/outreach/senders/{made.json()['id']}/test").text)
    # And what is read afterwards.
    for path in ("/v1/audit", "/v1/outreach/events", "/v1/outreach/senders", "/v1/outreach/webhooks", "/v1/outreach/integrations", "/v1/api-keys", "/v1/workspace/ai",
                 "/v1/auth/sessions", "/v1/auth/me", "/v1/users", "/v1/invitations", "/v1/workspace/export", "/v1/outreach/domains", f"/v1/outreach/domains/{domain['id']}/keys",
                 f"/v1/outreach/campaigns/{campaign}/shares", f"/v1/outreach/webhooks/{hook['webhook']['id']}/attempts", "/openapi.json", "/v1/status"):  # fmt: skip
        assert ask("GET", path).status_code == 200, path
    answers.append(ask("POST", "/v1/outreach/personal-data/export", json={"email": EMAIL}).text)
    return secrets, answers


def spellings(secret):
    """How a secret may stand somewhere: as it is, in hexadecimal, in base64, within an address."""
    raw = secret.encode()
    core = base64.b64encode(raw).decode().rstrip("=")[:-1]
    return {secret, raw.hex(), core, secret.replace("-", ""), json.dumps(secret)[1:-1]}


@pytest.mark.asvs("13.3.1", "16.2.5", "14.2.1", "6.5.2")
def test_no_secret_is_anywhere_but_where_it_was_shown(planted, caplog, database):
    secrets, answers = planted
    logged = [repr(record.msg) + record.getMessage() for record in caplog.records]
    logged += ["".join(traceback.format_exception(record.msg["exc_info"])) for record in caplog.records if isinstance(record.msg, dict) and isinstance(record.msg.get("exc_info"), BaseException)]  # fmt: skip
    with database.transaction() as db:
        tables = [
            row["name"]
            for row in db.execute(
                "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            )
        ]
        # What pg_dump writes of a row: each column as text, bytes in hexadecimal.
        dumped = {name: [row["row"] for row in db.execute(f'SELECT t::text AS row FROM "{name}" t')] for name in tables}
    assert sum(map(len, dumped.values())) > 30
    found = []
    for name, secret in secrets.items():
        for spelled in spellings(secret):
            found += [f"{name} is logged: {line[:200]}" for line in logged if spelled in line]
            found += [f"{name} is answered: {text[:200]}" for text in answers if spelled in text]
            found += [
                f"{name} is in {table}: {row[:200]}" for table, rows in dumped.items() for row in rows if spelled in row
            ]
    assert not found, "\n".join(found)
    assert len(secrets) >= 16
