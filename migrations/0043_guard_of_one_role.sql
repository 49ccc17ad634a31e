-- What guards the admin role's entries runs for that role only: every other one writes several entries for each file.
drop trigger ledger_admin_guard on ledger_fresh;
create trigger ledger_admin_guard before insert on ledger_fresh for each row when (current_user = 'cofferdam_admin') execute function ledger_admin_guard();
