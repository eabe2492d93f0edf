"""The wire: the bytes of a mail, its signature, SMTP, IMAP and DNS. Nothing here knows of campaigns, leads or the ledger."""
