"""Two workspaces that have one of everything, each with its own mark in every text: whatever shows a foreign mark has leaked.

`ids` are what stands in addresses, by the name of the parameter. Whoever adds a parameter adds a row here: a test names what is missing.
"""

import json
from datetime import UTC, datetime, timedelta

import psycopg
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from psycopg import sql
from psycopg.rows import dict_row

from cleanmails.api.auth import KEY_PREFIX, Permission, Role, token_hash
from cleanmails.vault import Vault
from tests.api.conftest import PASSWORD

NOWHERE = 2**62
"""An id that nothing has."""

IDS = frozenset(
    [
        "api_key_id",
        "campaign_id",
        "conversation_id",
        "delivery_id",
        "dkim_key_id",
        "domain_id",
        "entry_id",
        "event_id",
        "import_id",
        "integration_id",
        "invitation_id",
        "lead_id",
        "list_id",
        "message_id",
        "note_id",
        "sender_id",
        "session_id",
        "set_aside_id",
        "share_id",
        "suppression_id",
        "user_id",
        "upload_id",
        "validation_id",
        "webhook_id",
    ]
)
"""What a `World` has a row of. A route with another id in its address needs a row in the class below, and its name here."""

VOLATILE = ("api_keys.used_at", "sessions.seen_at", "sessions.expires_at")
"""What a request changes by being made."""


def parameter(name, path):
    """What a parameter of an address is the id of: keys are a domain's, or those of the API."""
    if name == "key_id":
        return "dkim_key_id" if "domain" in path else "api_key_id"
    return name


PRIVATE = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class World:
    """A workspace with one of everything. `mark` is part of each text in it."""

    def __init__(self, db, vault, mark, password_hash):
        self.db, self.vault, self.mark = db, vault, mark
        self.now = datetime.now(UTC)
        self.ids, self.sessions, self.users = {}, {}, {}
        self.workspace = self.one("INSERT INTO workspaces (name, postal_address) VALUES (%s, %s)", mark, mark)
        self.people(password_hash)
        self.setting_up()
        self.leads()
        self.campaign()
        self.deliveries()
        self.conversation()
        self.outlets()
        assert set(self.ids) == IDS

    def one(self, query, *values):
        return next(iter(self.db.execute(f"{query} RETURNING id", values).fetchone().values()))

    def run(self, query, *values):
        self.db.execute(query, values)

    # Who may act.

    def people(self, password_hash):
        for role in Role:
            user = self.one(
                "INSERT INTO users (email, name, password_hash) VALUES (%s, %s, %s)",
                f"{role}@{self.mark}.example", self.mark, password_hash,
            )  # fmt: skip
            self.run(
                "INSERT INTO memberships (workspace_id, user_id, role) VALUES (%s, %s, %s)", self.workspace, user, role
            )
            self.users[role] = user
            self.sessions[role] = f"session-of-{role}-{self.mark}"
            self.begin(self.sessions[role], user)
        self.ids["user_id"] = self.users[Role.VIEWER]
        self.ids["session_id"] = self.begin(f"another-of-owner-{self.mark}", self.users[Role.OWNER])
        self.ids["api_key_id"] = self.key("for-nobody")
        self.ids["invitation_id"] = self.one(
            "INSERT INTO invitations (workspace_id, email, role, token_hash, invited_by, created_at, expires_at) VALUES (%s, %s, 'member', %s, %s, now(), %s)",
            self.workspace, f"guest@{self.mark}.example", token_hash(f"invitation-{self.mark}"), self.users[Role.OWNER], self.now + timedelta(days=7),
        )  # fmt: skip
        self.run(
            "INSERT INTO audit (at, workspace_id, user_id, action, path, remote_address, user_agent) VALUES (now(), %s, %s, 'lists.create', %s, '', %s)",
            self.workspace, self.users[Role.OWNER], f"/{self.mark}", self.mark,
        )  # fmt: skip

    def begin(self, token, user, *, days=30):
        return self.one(
            "INSERT INTO sessions (token_hash, user_id, workspace_id, seen_at, expires_at, user_agent) VALUES (%s, %s, %s, %s, %s, %s)",
            token_hash(token), user, self.workspace, self.now, self.now + timedelta(days=days), self.mark,
        )  # fmt: skip

    def key(self, name, role="admin", scopes=None, **columns):
        """The id of a key whose token is `token(name)`."""
        given = {"expires_at": None, "revoked_at": None} | columns
        return self.one(
            """INSERT INTO api_keys (workspace_id, name, prefix, key_hash, role, scopes, used_at, expires_at, revoked_at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            self.workspace, f"{name} {self.mark}", KEY_PREFIX, token_hash(self.token(name)), role, scopes, self.now, *given.values(),
        )  # fmt: skip

    def token(self, name):
        return f"{KEY_PREFIX}{name}_{self.mark}"

    # What is in the workspace.

    def setting_up(self):
        workspace, mark = self.workspace, self.mark
        domain = self.ids["domain_id"] = self.one(
            "INSERT INTO domains (workspace_id, name, status, verified_at) VALUES (%s, %s, 'verified', now())", workspace, f"{mark}.example"
        )  # fmt: skip
        for state, noun in (("active", None), ("waiting", "dkim_key_id")):
            key = self.one(
                "INSERT INTO dkim_keys (workspace_id, domain_id, selector, state, private_sealed, public_key) VALUES (%s, %s, %s, %s, '', 'MIIB')",
                workspace, domain, f"{state}-{mark}", state,
            )  # fmt: skip
            self.run(
                "UPDATE dkim_keys SET private_sealed = %s WHERE id = %s", self.vault.seal(PRIVATE, f"dkim_key:{key}:private"), key
            )  # fmt: skip
            if noun:
                self.ids[noun] = key
        sender = self.ids["sender_id"] = self.one(
            """INSERT INTO senders (workspace_id, domain_id, address, name, smtp_host, smtp_port, smtp_security, smtp_username, signature, last_error)
               VALUES (%s, %s, %s, %s, '127.0.0.1', 1, 'plain', %s, %s, %s)""",
            workspace, domain, f"ann@{mark}.example", mark, mark, mark, mark,
        )  # fmt: skip
        self.run("INSERT INTO sender_days (sender_id, day, used) VALUES (%s, now()::date, 1)", sender)
        self.ids["set_aside_id"] = self.one(
            "INSERT INTO messages_set_aside (workspace_id, sender_id, role, validity, uid, reason, set_aside_at) VALUES (%s, %s, 'inbox', 1, 1, %s, now())",
            workspace, sender, mark,
        )  # fmt: skip
        self.run(
            """INSERT INTO ai_settings (workspace_id, kind, url, model, key_sealed, timeout_seconds, max_characters)
               VALUES (%s, 'openai', %s, %s, %s, 1, 100)""",
            workspace, f"http://127.0.0.1:1/{mark}", mark, self.vault.seal(b"key", f"ai:{workspace}:key"),
        )  # fmt: skip

    def leads(self):
        workspace, mark = self.workspace, self.mark
        made = self.ids["list_id"] = self.one("INSERT INTO lists (workspace_id, name) VALUES (%s, %s)", workspace, mark)
        lead = self.ids["lead_id"] = self.one(
            "INSERT INTO leads (workspace_id, email, first_name, last_name, company, fields) VALUES (%s, %s, %s, %s, %s, %s)",
            workspace, f"bob@{mark}.example", mark, mark, mark, json.dumps({"city": mark}),
        )  # fmt: skip
        self.run("INSERT INTO list_leads (list_id, lead_id) VALUES (%s, %s)", made, lead)
        load = self.ids["import_id"] = self.one(
            "INSERT INTO imports (workspace_id, list_id, filename, rows, created, updated, duplicate, suppressed, invalid, ended_at) VALUES (%s, %s, %s, 1, 0, 0, 0, 0, 1, now())",
            workspace, made, mark,
        )  # fmt: skip
        self.run(
            "INSERT INTO import_rejects (import_id, line, verdict, reason, raw) VALUES (%s, 2, 'invalid', %s, %s)", load, mark, mark
        )  # fmt: skip
        self.ids["upload_id"] = self.one(
            """INSERT INTO sender_uploads (workspace_id, filename, rows, created, updated, skipped, invalid, ignored_columns, created_at)
               VALUES (%s, %s, 0, 0, 0, 0, 0, '{}', now())""", workspace, mark
        )  # fmt: skip
        self.ids["validation_id"] = self.one(
            "INSERT INTO validations (workspace_id, list_id, again, total, created_at) VALUES (%s, %s, false, 1, now())", workspace, made
        )  # fmt: skip
        self.ids["suppression_id"] = self.one(
            "INSERT INTO suppressions (workspace_id, kind, value, reason, note) VALUES (%s, 'address', %s, 'manual', %s)",
            workspace, f"gone@{mark}.example", mark,
        )  # fmt: skip

    def campaign(self):
        workspace, mark = self.workspace, self.mark
        campaign = self.ids["campaign_id"] = self.one(
            "INSERT INTO campaigns (workspace_id, name, status, started_at, pause_reason, run) VALUES (%s, %s, 'paused', now(), %s, 1)", workspace, mark, mark
        )  # fmt: skip
        self.run("INSERT INTO campaign_runs (campaign_id, run) VALUES (%s, 1)", campaign)
        for position in (0, 1):
            self.run(
                "INSERT INTO steps (campaign_id, position, subjects, body) VALUES (%s, %s, %s, %s)", campaign, position, [mark], f"<p>{mark}</p>"
            )  # fmt: skip
        for noun in ("list", "sender"):
            query = f"INSERT INTO campaign_{noun}s (workspace_id, campaign_id, {noun}_id) VALUES (%s, %s, %s)"
            self.run(query, workspace, campaign, self.ids[f"{noun}_id"])
        self.run(
            "INSERT INTO campaign_leads (campaign_id, lead_id, workspace_id, state, sender_id) VALUES (%s, %s, %s, 'in_flight', %s)",
            campaign, self.ids["lead_id"], workspace, self.ids["sender_id"],
        )  # fmt: skip
        self.token_of_share = f"share-{mark}"
        self.ids["share_id"] = self.one(
            "INSERT INTO shares (workspace_id, campaign_id, name, token_hash, created_at, expires_at) VALUES (%s, %s, %s, %s, now(), %s)",
            workspace, campaign, mark, token_hash(self.token_of_share), self.now + timedelta(days=30),
        )  # fmt: skip

    def deliveries(self):
        workspace, mark, ids = self.workspace, self.mark, self.ids
        for step, state, settled in ((0, "sent", "now"), (1, "unknown", None)):
            delivery = self.one(
                """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, subject, planned_at, queued_at, rendered_at,
                                           message_id, hash, sending_at, token, settled_at, reason)
                   VALUES (%s, %s, %s, %s, %s, 'other', %s, %s, now(), now(), now(), %s, ''::bytea, now(), 1, %s, %s)""",
                workspace, ids["campaign_id"], ids["lead_id"], step, ids["sender_id"], state, mark, f"<{step}@{mark}.example>", settled, mark,
            )  # fmt: skip
            self.run(
                """INSERT INTO hits (workspace_id, delivery_id, kind, at, method, user_agent) VALUES (%s, %s, 'open', now(), 'GET', %s)""",
                workspace, delivery, mark,
            )  # fmt: skip
        ids["delivery_id"] = delivery
        for type_, data in (
            ("email.sent", {"step": 0, "email": f"bob@{mark}.example"}),
            ("campaign.paused", {"reason": mark}),
        ):
            ids["event_id"] = self.one(
                "INSERT INTO events (at, workspace_id, type, campaign_id, lead_id, delivery_id, sender_id, data) VALUES (now(), %s, %s, %s, %s, %s, %s, %s)",
                workspace, type_, ids["campaign_id"], ids["lead_id"], delivery, ids["sender_id"], json.dumps(data),
            )  # fmt: skip

    def conversation(self):
        workspace, mark, ids = self.workspace, self.mark, self.ids
        thread = ids["conversation_id"] = self.one(
            """INSERT INTO threads (workspace_id, campaign_id, lead_id, sender_id, subject, snippet, last_kind, last_at, last_message_id)
               VALUES (%s, %s, %s, %s, %s, %s, 'reply', now(), 1)""",
            workspace, ids["campaign_id"], ids["lead_id"], ids["sender_id"], mark, mark,
        )  # fmt: skip
        for n, (state, where) in enumerate([("settled", thread), ("review", None)]):
            ids["entry_id"] = ids.get("message_id")
            ids["message_id"] = self.one(
                """INSERT INTO inbox_messages (workspace_id, sender_id, digest, folder, uid, state, kind, meaning, thread_id, lead_id, delivery_id, from_address,
                                               subject, body, reply, html, evidence, settled_at)
                   VALUES (%s, %s, %s, 'INBOX', 1, %s, 'reply', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now())""",
                workspace, ids["sender_id"], bytes([n]) * 32, state, json.dumps({"kind": "reply"}), where, ids["lead_id"], ids["delivery_id"],
                f"bob@{mark}.example", mark, mark, mark, f"<p>{mark}</p>", json.dumps({"why": "ambiguous", "candidates": [ids["delivery_id"]]}),
            )  # fmt: skip
        self.run(
            """INSERT INTO answers (workspace_id, thread_id, sender_id, state, to_address, subject, body, message_id, created_at, settled_at)
               VALUES (%s, %s, %s, 'sent', %s, %s, %s, %s, now(), now())""",
            workspace, thread, ids["sender_id"], f"bob@{mark}.example", mark, mark, f"<answer@{mark}.example>",
        )  # fmt: skip
        ids["note_id"] = self.one(
            "INSERT INTO notes (workspace_id, thread_id, text, created_at) VALUES (%s, %s, %s, now())", workspace, thread, mark
        )  # fmt: skip

    def outlets(self):
        for kind, noun in (("webhook", "webhook_id"), ("slack", "integration_id")):
            outlet = self.ids[noun] = self.one(
                """INSERT INTO outlets (workspace_id, kind, name, url, types, xact, event_id)
                   VALUES (%s, %s, %s, %s, '{email.sent}', pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, 9223372036854775807)""",
                self.workspace, kind, self.mark, f"http://127.0.0.1:1/{self.mark}",
            )  # fmt: skip
            self.run(
                "UPDATE outlets SET sealed = %s WHERE id = %s", self.vault.seal(b"whsec_AAAA" if kind == "webhook" else b"http://127.0.0.1:1/slack", f"outlet:{outlet}:secret"), outlet
            )  # fmt: skip
            self.run("INSERT INTO outlet_lanes (outlet_id, lane) SELECT %s, n FROM generate_series(0, 3) n", outlet)
            message = self.one(
                """INSERT INTO outlet_messages (workspace_id, outlet_id, event_id, event_at, type, thread, lane)
                   VALUES (%s, %s, %s, now(), 'email.sent', 0, 0)""",
                self.workspace, outlet, self.ids["event_id"],
            )  # fmt: skip
            self.run(
                "INSERT INTO outlet_attempts (outlet_id, message_id, at, outcome, ms, error, answer) VALUES (%s, %s, now(), 'failed', 1, %s, %s)",
                outlet, message, self.mark, self.mark,
            )  # fmt: skip


class Ledger:
    """Both workspaces, and what the ledger holds."""

    def __init__(self, database_url, settings, password_hash):
        self.db = psycopg.connect(database_url, autocommit=True, row_factory=dict_row)
        vault = Vault.from_settings(settings)
        self.ours = World(self.db, vault, "qzours", password_hash)
        self.theirs = World(self.db, vault, "qzforeign", password_hash)
        self.password = PASSWORD
        self._prints = sql.SQL(" UNION ALL ").join(self._print_of(table) for table in self._tables())

    def prints(self):
        """Rows and content of every table: `{"leads": (2, "d41d...")}`."""
        return {row["name"]: (row["rows"], row["print"]) for row in self.db.execute(self._prints)}

    def _tables(self):
        rows = self.db.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1"
        )
        return [row["relname"] for row in rows]

    def _print_of(self, table):
        dropped = [column.partition(".")[2] for column in VOLATILE if column.startswith(f"{table}.")]
        return sql.SQL(
            "SELECT {name} AS name, count(*) AS rows, md5(string_agg((to_jsonb(t) - {dropped}::text[])::text, ' ' ORDER BY to_jsonb(t)::text)) AS print FROM {table} t"
        ).format(name=sql.Literal(table), dropped=sql.Literal(dropped), table=sql.Identifier(table))


SCOPES = tuple(permission.value for permission in Permission)
