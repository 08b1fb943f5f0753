-- Grants that ended lately, of which a late request may have left something.
CREATE INDEX grants_ended ON grants (revoked_at) WHERE revoked_at IS NOT NULL;
