-- A ticket that has ended is empty: there is nothing that could be shown, whatever a clock says (T-36).
alter table mfa_ticket alter column ticket_hash drop not null;

-- A fingerprint may stand in several rows: keys that nobody proved to have and that are revoked, beside the one whose it is. Which of them its name means, for
-- every look-up: the one that is not revoked, then the one that was proved, then the newest.
create function credential_named(print text) returns uuid language sql stable as $$
  select id from credential where fingerprint = print order by state = 'revoked', proved_at is null, created_at desc, id limit 1
$$;
-- Of revoked ones there may be many; the unique index knows only one.
create index credential_by_fingerprint on credential (fingerprint);
drop index credential_unproved;

create or replace function find_budgets(kind_in text, name_in text, customer_in text) returns setof bigint language sql stable as $$
  select b.id from budget b
    left join account a on a.id = b.account_id left join customer c on c.id = b.customer_id
  where (kind_in = 'credential' and b.rank = 1 and b.credential_id = (select credential_named(name_in)))
     or (kind_in = 'account' and b.rank = 2 and a.name = name_in and (customer_in is null or c.name = customer_in))
     or (kind_in = 'customer' and b.rank = 3 and c.name = name_in)
     or (kind_in = 'plane' and b.rank = 4 and b.plane = name_in)
     or (kind_in = 'gateway' and b.rank = 5)
  order by b.rank, b.id
$$;

-- Keys that were used before it was written who proved to have one: a first use is a proof, and what was used is nobody's to take over. A password is its holder's
-- from the start.
update credential k set proved_at = case k.type when 'password' then k.created_at else k.first_used_at end
  where k.proved_at is null and (k.type = 'password' or k.first_used_at is not null);
alter table credential add constraint first_use_is_a_proof check (first_used_at is null or proved_at is not null);
