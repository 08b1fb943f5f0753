-- `userName` or `displayName` as it was sent, so that it is read without a look into the body.
ALTER TABLE resources ADD COLUMN name TEXT NOT NULL DEFAULT '';
UPDATE resources SET name = coalesce(attributes ->> CASE kind WHEN 'User' THEN 'userName' ELSE 'displayName' END, '');
