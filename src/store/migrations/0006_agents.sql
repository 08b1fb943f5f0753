-- Who answers for an Agent. The attribute says it, too; these rows find an Agent from its owner.
CREATE TABLE owners (
    agent_id INTEGER NOT NULL REFERENCES resources (ordinal) ON DELETE CASCADE,
    owner_id INTEGER NOT NULL REFERENCES resources (ordinal) ON DELETE CASCADE,
    PRIMARY KEY (agent_id, owner_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX owners_owner ON owners (owner_id);

ALTER TABLE idps ADD COLUMN agents INTEGER NOT NULL DEFAULT 0;
