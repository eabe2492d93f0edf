-- Who changed a lead, for its history.
CREATE INDEX audit_of_leads ON audit (object_id, id) WHERE action = 'leads.change';
