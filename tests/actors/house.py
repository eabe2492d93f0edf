"""A small workspace for the pipeline's tests: written straight into the ledger, so that these tests need no API."""

import json

import psycopg
from psycopg.rows import dict_row


class House:
    """One workspace with what a test asks for. Methods return ids."""

    def __init__(self, database_url, vault, dkim_pair):
        self.db = psycopg.connect(database_url, autocommit=True, row_factory=dict_row)
        self.vault = vault
        self.private, self.public = dkim_pair
        self.workspace = self.one(
            "INSERT INTO workspaces (name, postal_address) VALUES ('Acme', '1 Main Street') RETURNING id"
        )

    def one(self, query, *values):
        return next(iter(self.db.execute(query, values).fetchone().values()))

    def all(self, query, *values):
        return self.db.execute(query, values).fetchall()

    def run(self, query, *values):
        self.db.execute(query, values)

    def domain(self, name="acme.example", status="verified"):
        domain = self.one(
            "INSERT INTO domains (workspace_id, name, status, verified_at) VALUES (%s, %s, %s, now()) RETURNING id",
            self.workspace,
            name,
            status,
        )
        key = self.one(
            "INSERT INTO dkim_keys (workspace_id, domain_id, selector, state, private_sealed, public_key) VALUES (%s, %s, 'cm', 'active', '', %s) RETURNING id",
            self.workspace,
            domain,
            self.public,
        )
        self.run(
            "UPDATE dkim_keys SET private_sealed = %s WHERE id = %s",
            self.vault.seal(self.private, f"dkim_key:{key}:private"),
            key,
        )
        return domain

    def sender(
        self, address="ann@acme.example", *, port=25, domain=None, limit=50, gap=(0, 0), security="plain", password=None
    ):
        sender = self.one(
            """INSERT INTO senders (workspace_id, domain_id, address, name, smtp_host, smtp_port, smtp_security, smtp_username, daily_limit,
                                    min_gap_seconds, max_gap_seconds)
               VALUES (%s, %s, %s, 'Ann Miller', '127.0.0.1', %s, %s, %s, %s, %s, %s) RETURNING id""",
            self.workspace,
            domain,
            address,
            port,
            security,
            address if password else "",
            limit,
            *gap,
        )
        if password:
            sealed = self.vault.seal(password.encode(), f"sender:{sender}:smtp_password")
            self.run("UPDATE senders SET smtp_sealed = %s WHERE id = %s", sealed, sender)
        return sender

    def leads(self, *emails, **fields):
        return [
            self.one(
                "INSERT INTO leads (workspace_id, email, first_name, company, fields) VALUES (%s, %s, 'Bob', 'Initech', %s) RETURNING id",
                self.workspace,
                email,
                json.dumps(fields),
            )
            for email in emails
        ]

    def knows(self, *domains):
        """These domains have been looked up: each is its own provider."""
        for name in domains:
            self.run(
                "INSERT INTO recipient_domains (name, provider, accepts_mail, checked_at) VALUES (%s, %s, true, now())",
                name,
                name,
            )

    def campaign(self, leads, senders, *, steps=({},), status="running", **columns):
        """A running campaign whose leads are enrolled and due now; `steps` are columns that differ from a plain step."""
        columns = {"status": status, "started_at": "now", "run": 1} | columns
        names, values = ", ".join(columns), list(columns.values())
        campaign = self.one(
            f"INSERT INTO campaigns (workspace_id, name, {names}) VALUES (%s, 'Spring', {', '.join(['%s'] * len(values))}) RETURNING id",
            self.workspace,
            *values,
        )
        self.run("INSERT INTO campaign_runs (campaign_id, run) VALUES (%s, 1)", campaign)
        for position, step in enumerate(steps):
            plain = {"subjects": ["Hello {{FIRST_NAME}}"], "body": "<p>Hi {{FIRST_NAME}} of {{COMPANY}}</p>"} | step
            names = ", ".join(plain)
            self.run(
                f"INSERT INTO steps (campaign_id, position, {names}) VALUES (%s, %s, {', '.join(['%s'] * len(plain))})",
                campaign,
                position,
                *plain.values(),
            )
        for sender in senders:
            self.run(
                "INSERT INTO campaign_senders (workspace_id, campaign_id, sender_id) VALUES (%s, %s, %s)",
                self.workspace,
                campaign,
                sender,
            )
        for lead in leads:
            self.run(
                "INSERT INTO campaign_leads (campaign_id, lead_id, workspace_id, due_at) VALUES (%s, %s, %s, now())",
                campaign,
                lead,
                self.workspace,
            )
        return campaign

    def walk(self, campaign, lead):
        return self.all("SELECT * FROM campaign_leads WHERE campaign_id = %s AND lead_id = %s", campaign, lead)[0]

    def delivery(self, campaign, lead, step=0):
        return self.all(
            "SELECT * FROM deliveries WHERE campaign_id = %s AND lead_id = %s AND step = %s", campaign, lead, step
        )[0]

    def states(self, campaign):
        return [
            row["state"]
            for row in self.all("SELECT state FROM deliveries WHERE campaign_id = %s ORDER BY lead_id, step", campaign)
        ]
