-- Addresses of leads may have a part before the @ in any script. What is lower case there is decided when they are written; the check holds what every locale agrees on.
ALTER TABLE leads DROP CONSTRAINT leads_email_check,
    ADD CONSTRAINT leads_email_check CHECK (email = lower(email COLLATE "C") AND email LIKE '%_@_%');
ALTER TABLE suppressions DROP CONSTRAINT suppressions_value_check,
    ADD CONSTRAINT suppressions_value_check CHECK (value = lower(value COLLATE "C") AND value <> '');
