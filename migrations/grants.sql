-- The whole role x table matrix on one page. Run after every migration; idempotent.
-- Roles are made by server/postgres/migrate.ts: cofferdam_migrate owns, the others log in with their own password.
--                       warden                     admin                    auditor
-- catalogue, rights     select insert update       select                   select
-- keys, factors         select insert update       -                        -
-- ledger, unsealed      select insert delete       select insert            select
-- ledger, sealed        select insert              select                   select
-- trees, state          select insert update       select                   select
-- forwards              select insert update       select                   select
-- command               select update              select insert            select
-- operator, changes     select insert update       select                   select
-- seals                 select insert update       -                        -

revoke all on all tables in schema public from cofferdam_warden, cofferdam_admin, cofferdam_auditor, public;
revoke all on all sequences in schema public from cofferdam_warden, cofferdam_admin, cofferdam_auditor, public;
revoke execute on all functions in schema public from public;
revoke create on schema public from public;
grant usage on schema public to cofferdam_warden, cofferdam_admin, cofferdam_auditor;
grant execute on all functions in schema public to cofferdam_warden;
grant execute on function in_scope(uuid), whole_number(numeric), count_in(jsonb, text), is_odd_count(jsonb, text), fields_in(jsonb), budget_use(bigint), find_budgets(text, text, text), credential_named(text), micros(timestamptz), ledger_line(ledger_sealed), old_snapshots(int), missing_budgets(), effective_cap(bigint, int, timestamptz, timestamptz), budget_free_at(bigint, int, bigint, bigint, bigint, bigint), has_several_credentials(uuid), credential_state(text, timestamptz, timestamptz, timestamptz, timestamptz, bigint), chosen_credentials(text, text, text, timestamptz, inet), open_window(uuid, timestamptz), standing_window_end(standing_window, timestamptz) to cofferdam_admin, cofferdam_auditor;

grant select, insert, update on customer, customer_key, account, credential, second_factor, mfa_ticket, activation_window, folder, folder_right, legal_hold,
  directory, file, content, extent, version, node, session, download, budget, operator, key_exchange_use, standing_window, known_source, login_penalty, rotation, rotation_item to cofferdam_warden;
grant delete on directory, file, extent, folder_right, login_penalty, known_source to cofferdam_warden;
grant select, insert, delete on totp_step, charged_item, budget_snapshot, doomed_object, doomed_content, pending_extent, done_file to cofferdam_warden;
grant update (charged_at) on charged_item to cofferdam_warden;
-- Only to lock its rows.
grant update (since) on doomed_content to cofferdam_warden;
grant select, insert, update on alert, flow, self_test, seal, change, break_glass, operator_key to cofferdam_warden;
grant select on installation to cofferdam_warden;
grant select, insert on receipt_key, ledger_sealed, ledger_head, ledger_block, ledger_key to cofferdam_warden;
-- Neither number nor time of an entry: the database gives them.
grant select, insert (kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, extent, bytes, public, credential, also_credential, source, source_port, client, operator, sensitive), delete on ledger_fresh to cofferdam_warden;
grant select, insert (id, why) on ledger_quarantine to cofferdam_warden;
grant select, insert, update, delete on stranger_login to cofferdam_warden;
grant select, insert, update on ledger_tree, ledger_freeze, ledger_forward to cofferdam_warden;
grant select, insert on ledger_archive, ledger_archive_range to cofferdam_warden;
grant update (deletion_stated_at, deleted_at) on ledger_archive to cofferdam_warden;
grant update (stated_at) on ledger_archive_range to cofferdam_warden;
grant select, insert, update, delete on ledger_archiving to cofferdam_warden;
grant select, update (recorded_at) on ledger_verdict to cofferdam_warden;
grant select, update on ledger_state to cofferdam_warden;
grant select on ledger, ledger_dump, ledger_leaf, ledger_kept to cofferdam_warden;
grant select, update (state, result, error_code, error_text, finished_at) on command to cofferdam_warden;
grant usage on all sequences in schema public to cofferdam_warden;

grant select on customer, account, folder, folder_right, legal_hold, directory, file, version, done_file, node, session, charged_item, download, activation_window, budget, budget_snapshot, alert, self_test, operator, receipt_key, key_exchange_use, standing_window, rotation, rotation_item to cofferdam_admin;
grant select (id, account_id, type, algorithm, fingerprint, state, issued_by, created_at, valid_from, expires_at, first_used_at, first_used_from, last_used_at, last_used_from,
  woken_at, read_only, source_networks, ended_at, ended_by, ended_why, successor_id, proved_at) on credential to cofferdam_admin;
grant select (account_id, enrolled_at) on second_factor to cofferdam_admin;
grant select (content_id, index, customer_id, object_id, start, bytes, sealed_bytes, digest, node, created_at) on extent to cofferdam_admin;
grant select on installation, operator_key, change, break_glass to cofferdam_admin;
grant select, insert (kind, observer, operator, sensitive) on ledger_fresh to cofferdam_admin;
grant select on ledger_quarantine to cofferdam_admin, cofferdam_auditor;
grant select on ledger, ledger_sealed, ledger_dump, ledger_tree, ledger_head, ledger_block, ledger_state, ledger_freeze, ledger_key, ledger_archive, ledger_archive_range, ledger_archiving, ledger_kept, ledger_verdict, ledger_leaf, ledger_forward to cofferdam_admin;
grant select on command to cofferdam_admin;
grant insert (id, operator_id, operation, params) on command to cofferdam_admin;
-- The one alert that this role can raise: an entry of its own is missed.
grant execute on function miss_entry_of_admin(bigint, text, text) to cofferdam_admin;

grant select on customer, account, folder, folder_right, legal_hold, file, version, node, session, download, budget, alert, self_test, command, operator, receipt_key, key_exchange_use, standing_window, rotation, rotation_item, installation, operator_key, change, break_glass to cofferdam_auditor;
grant select on ledger, ledger_fresh, ledger_sealed, ledger_dump, ledger_tree, ledger_head, ledger_block, ledger_state, ledger_freeze, ledger_key, ledger_archive, ledger_archive_range, ledger_archiving, ledger_kept, ledger_verdict, ledger_leaf, ledger_forward to cofferdam_auditor;
-- What the access review needs beside that: the auditor reads it with the same statement.
grant select on activation_window to cofferdam_auditor;
grant select (id, account_id, type, algorithm, fingerprint, state, issued_by, created_at, valid_from, expires_at, first_used_at, first_used_from, last_used_at, last_used_from,
  woken_at, read_only, source_networks, ended_at, ended_by, ended_why, successor_id, proved_at) on credential to cofferdam_auditor;
grant select (account_id, enrolled_at) on second_factor to cofferdam_auditor;
-- The one thing that the auditor writes: what the standing verification found.
grant execute on function ledger_report_verdict(text, text, bigint, bigint, bigint, text, text, bigint, bigint, timestamptz, timestamptz) to cofferdam_auditor;
