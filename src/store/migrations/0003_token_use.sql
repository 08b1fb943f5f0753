-- When a token was last used, to within a minute: whether a forgotten one can go.
ALTER TABLE idp_tokens ADD COLUMN last_used_at INTEGER;
