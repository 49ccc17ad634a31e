-- Whether a session still goes on, in one word that is asked on the way on which a transaction begins. Forward only.

-- The row of an open session whose end has not come; `p_or_ending`: or of one within the grace after its end. Planned once a connection.
create function session_goes_on(p_session uuid, p_or_ending boolean, p_grace_ms bigint) returns boolean language plpgsql volatile as $$
begin
  return exists (select from session s where s.id = p_session
    and (s.state = 'open' and s.expires_at > clock_timestamp() or p_or_ending and is_ending(s.ended_at, s.expires_at, p_grace_ms)));
end $$;
