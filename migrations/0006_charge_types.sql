-- What a charge is decided by, in memory: `charge_batch` (functions/charges.sql).

-- One item of a batch: who asks, for what, and what it costs.
create type charge_item as (
  session uuid,
  account uuid,
  credential uuid,
  node text,
  plane text,
  -- The open download and the extent of it that is asked for; null for an amount.
  download uuid,
  extent int,
  direction text,
  customer uuid,
  version uuid,
  content uuid,
  object uuid,
  -- Nobody read this version before.
  is_unread boolean,
  -- Null when there is no such extent, or the download is none of the session.
  bytes bigint,
  items bigint,
  -- The five budgets in the order of their rank. Null where a scope has none.
  budgets bigint[],
  -- The first item of the batch that is about the same object, and about the same file, for the same credential.
  same_object int,
  same_file int,
  -- When the credential paid for the object, and for the file, last.
  object_charged_at timestamptz,
  file_charged_at timestamptz
);

-- One budget whose row is locked, and what the batch has taken of it so far. Room is what still fits into every window.
create type charge_scope as (
  id bigint,
  added_bytes bigint,
  added_items bigint,
  -- Up to the ceiling: behind it the budget refuses.
  room_bytes bigint,
  room_items bigint,
  -- Up to half of the customer's caps; null when the budget is no share of them.
  half_bytes bigint,
  half_items bigint,
  -- Up to the cap: behind it plane and gateway slow down.
  soft_bytes bigint,
  soft_items bigint,
  slow_until timestamptz,
  ceiling_percent int,
  -- By unit and window: bytes an hour, a day, a week; items an hour, a day, a week. Null where nothing slows down.
  caps bigint[],
  used bigint[]
);

-- What became of an item.
create type charge_decision as (
  -- One of the words of `chargeOutcomes` (server/domain/budgets/words.ts).
  outcome text,
  -- The rank of the budget that refuses; 0 when none does.
  refusing_rank int,
  -- What refuses is half of the customer's caps.
  is_half boolean,
  -- When to ask again, in milliseconds.
  after_ms int,
  -- The plane or the gateway is past its cap.
  is_slow boolean,
  -- The file of the extent was paid for with this item.
  pays_file boolean
);
