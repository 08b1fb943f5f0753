-- Addresses of users: the beginning of each, folded, so that no value is too long for an index. What is found is compared
-- whole. Without foreign keys: the rows of a user are removed by the user's own addresses.
CREATE TABLE emails (
    idp       INTEGER NOT NULL,
    value_key TEXT NOT NULL,
    user_id   INTEGER NOT NULL,
    PRIMARY KEY (idp, value_key, user_id)
) STRICT, WITHOUT ROWID;

-- Those of the users that there are already are noted at the next start: only our code can read a body in both databases.
INSERT INTO meta (key, value) VALUES ('emails_noted', 0);
