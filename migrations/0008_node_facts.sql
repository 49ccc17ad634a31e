-- What an edge says of itself when it greets: whether ssh2's native cipher runs in it. null: an edge of an older version.
alter table node add column native_cipher boolean;
