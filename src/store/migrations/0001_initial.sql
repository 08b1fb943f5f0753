-- Times are microseconds since 1970, UTC. Ids are UUIDs as 16 bytes. Structures are JSON. Phases and reasons are
-- words, so that a person with the sqlite3 shell can read them.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Rises with each transaction that takes entitlement away; a Grant is activated only at the epoch of its judgement.
INSERT INTO meta (key, value) VALUES ('entitlement_epoch', 1);

-- The counts make the total of an unfiltered list cheap at a million users.
CREATE TABLE idps (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    users      INTEGER NOT NULL DEFAULT 0,
    groups     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE idp_tokens (
    id         TEXT PRIMARY KEY,
    idp        INTEGER NOT NULL REFERENCES idps (id),
    hash       BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

-- `ordinal` is the stable order of lists, and what memberships point to: 5 million of them must stay small.
CREATE TABLE resources (
    ordinal     INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE,
    idp         INTEGER NOT NULL REFERENCES idps (id),
    kind        TEXT NOT NULL,
    name_key    TEXT NOT NULL,
    external_id TEXT,
    active      INTEGER NOT NULL,
    attributes  TEXT NOT NULL,
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX resources_name ON resources (idp, kind, name_key);
CREATE UNIQUE INDEX resources_external ON resources (idp, kind, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX resources_order ON resources (idp, kind);

-- `nested` marks groups, so that the groups below a group are found without a look at its 100,000 users.
CREATE TABLE members (
    group_id  INTEGER NOT NULL REFERENCES resources (ordinal) ON DELETE CASCADE,
    member_id INTEGER NOT NULL REFERENCES resources (ordinal) ON DELETE CASCADE,
    nested    INTEGER NOT NULL,
    PRIMARY KEY (group_id, member_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_member ON members (member_id);
CREATE INDEX members_nested ON members (group_id) WHERE nested = 1;

-- The feed that other replicas' Directories follow; here only its numbers are read.
CREATE TABLE changes (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    at   INTEGER NOT NULL,
    kind TEXT NOT NULL,
    id   BLOB,
    body TEXT
) STRICT;

CREATE TABLE audit (
    seq   INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    entry TEXT NOT NULL,
    hash  TEXT NOT NULL
) STRICT;

-- What names a person stands apart from the chain and can be erased.
CREATE TABLE audit_names (
    user_id BLOB PRIMARY KEY,
    name    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE decisions (
    id          TEXT PRIMARY KEY,
    at          INTEGER NOT NULL,
    allowed     INTEGER NOT NULL,
    code        INTEGER NOT NULL,
    reason_code TEXT NOT NULL,
    reason      TEXT NOT NULL,
    trace       TEXT NOT NULL,
    user_id     BLOB,
    namespace   TEXT NOT NULL,
    trigger_id  TEXT NOT NULL,
    policy      TEXT,
    event       TEXT NOT NULL
) STRICT;

CREATE TABLE tickets (
    hash        BLOB PRIMARY KEY,
    decision_id TEXT NOT NULL REFERENCES decisions (id),
    expires_at  INTEGER NOT NULL,
    spend_key   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Never deleted: an event starts one run, for ever.
CREATE TABLE spends (
    spend_key BLOB PRIMARY KEY,
    run_uid   TEXT NOT NULL,
    run_path  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- `subjects` are the policy's, as it was last looked at: what the run's entitlement rests on.
CREATE TABLE runs (
    uid                 TEXT PRIMARY KEY,
    namespace           TEXT NOT NULL,
    name                TEXT NOT NULL,
    user_id             BLOB NOT NULL,
    idp                 TEXT NOT NULL,
    user_name           TEXT NOT NULL,
    policy              TEXT NOT NULL,
    policy_uid          TEXT NOT NULL,
    decision_id         TEXT NOT NULL,
    event               TEXT NOT NULL,
    redeemed_at         INTEGER NOT NULL,
    start_by            INTEGER NOT NULL,
    max_run_duration    INTEGER NOT NULL,
    started_at          INTEGER,
    ended_at            INTEGER,
    ended_reason        TEXT,
    cancel_pending      INTEGER NOT NULL DEFAULT 0,
    subjects            TEXT NOT NULL,
    subjects_generation INTEGER NOT NULL
) STRICT;
CREATE INDEX runs_live_user ON runs (user_id) WHERE ended_at IS NULL;
CREATE INDEX runs_ended_user ON runs (user_id, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX runs_live_policy ON runs (policy_uid) WHERE ended_at IS NULL;
CREATE INDEX runs_cancel ON runs (uid) WHERE cancel_pending = 1;

CREATE TABLE refused_redemptions (
    run_uid TEXT PRIMARY KEY,
    at      INTEGER NOT NULL,
    reason  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
    id           BLOB PRIMARY KEY,
    run_uid      TEXT NOT NULL REFERENCES runs (uid),
    task         TEXT NOT NULL,
    matrix_index INTEGER NOT NULL,
    user_id      BLOB NOT NULL,
    user_name    TEXT NOT NULL,
    provider     TEXT NOT NULL,
    template     TEXT NOT NULL,
    template_uid TEXT NOT NULL,
    facts        TEXT NOT NULL,
    phase        TEXT NOT NULL,
    epoch        INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    issued_at    INTEGER,
    expires_at   INTEGER,
    not_after    INTEGER NOT NULL,
    renewals     INTEGER NOT NULL DEFAULT 0,
    secret_name  TEXT,
    asked_at     INTEGER,
    revoked_at   INTEGER,
    reason       TEXT,
    receipt      TEXT,
    failure      TEXT,
    UNIQUE (run_uid, task, matrix_index)
) STRICT;
-- With the end, so that a look for what is due for renewal doesn't read all that lives.
CREATE INDEX grants_phase ON grants (phase, expires_at);
-- What is to be finished, of all and of one user: Failed ones that are cleaned up stay for ever, but not in here.
CREATE INDEX grants_unfinished ON grants (phase, user_id) WHERE revoked_at IS NULL;
CREATE INDEX grants_user ON grants (user_id);
-- A bot has 100,000 Grants that are over; whoever deactivates it waits only for those that are not.
CREATE INDEX grants_open ON grants (user_id) WHERE phase IN ('Pending', 'Active');
CREATE INDEX grants_template ON grants (template_uid);
