-- Sessions: whether they go on, and who hears that they ended.

-- Promises: sessions that ended reach every warden at once, each with its reason. The lease tells it again.
create or replace function tell_ended() returns trigger language plpgsql as $$
begin
  perform pg_notify('cofferdam_ended', node || '/' || id || '/' || coalesce(end_kind, 'doubt')) from fresh where state = 'ended';
  return null;
end $$;
create or replace trigger tell_ended after update on session referencing new table as fresh for each statement execute function tell_ended();

-- Promises: whether a session is over, and has been for less than the grace period: since it was ended, or since its
-- life was over. Called by `session_goes_on`, `charge_ending` and the warden.
create or replace function is_ending(ended_at timestamptz, expires_at timestamptz, grace_ms bigint) returns boolean language sql volatile as $$
  select coalesce(ended_at, expires_at) <= clock_timestamp() and coalesce(ended_at, expires_at) > clock_timestamp() - grace_ms * interval '1 millisecond'
$$;

-- Promises: whether there is an open session of this id whose end has not come; or, with `p_or_ending`, one within the
-- grace period after its end. It is one call, which the text that begins a transaction contains, and which is planned
-- once for each connection. Called by the warden.
create or replace function session_goes_on(p_session uuid, p_or_ending boolean, p_grace_ms bigint) returns boolean language plpgsql volatile as $$
begin
  return exists (select from session s where s.id = p_session
    and (s.state = 'open' and s.expires_at > clock_timestamp() or p_or_ending and is_ending(s.ended_at, s.expires_at, p_grace_ms)));
end $$;
