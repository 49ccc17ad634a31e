-- The list of what could have been read takes from this index everything but the names of the files.
drop index version_readable;
create index version_readable on version (folder_id, (case when withdrawn_at is null then 'infinity' else withdrawn_at end), published_at) include (id, customer_id, size, state, withdrawn_at, file_id, sha256) where published_at is not null;
