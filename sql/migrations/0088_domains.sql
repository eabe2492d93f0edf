-- Servers that may send for a domain beside those of its senders: hosts, addresses, networks, or whole terms of SPF.
ALTER TABLE domains ADD COLUMN spf_hosts text[] NOT NULL DEFAULT '{}';
