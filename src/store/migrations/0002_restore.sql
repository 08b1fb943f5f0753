-- Which store this is: no copy that is put back by hand passes for another, or for what this one became since.
-- `restored` is 1 from `scim-tekton restore` until a server has taken the store as the one that it runs on.
CREATE TABLE identity (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    id       BLOB NOT NULL,
    restored INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO identity (one, id) VALUES (1, randomblob(16));

-- Since when nobody of it is entitled: a backup was restored, and nobody has said yet that its people are right.
ALTER TABLE idps ADD COLUMN unconfirmed_since INTEGER;

-- 1: of the time before a backup was restored; whether it was spent since then is not known.
ALTER TABLE tickets ADD COLUMN void INTEGER NOT NULL DEFAULT 0;
